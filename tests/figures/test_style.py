"""What all figures share."""

from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from camri_exp.figures import style


def lightness(colour):
    """CIE L*, 0 black to 100 white."""
    channel = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(channel <= 0.04045, channel / 12.92, ((channel + 0.055) / 1.055) ** 2.4)
    return 116 * (linear @ [0.2126, 0.7152, 0.0722]) ** (1 / 3) - 16


def test_colours_differ_in_grey():
    colours = [style.IMPORTANT, style.OTHER, style.NEUTRAL, style.FAINT]
    assert min(abs(lightness(a) - lightness(b)) for a, b in combinations(colours, 2)) > 12


def test_a_saved_figure_is_a_single_png_file_and_unknown_to_pyplot(tmp_path):
    style.save(style.new(2, 2), tmp_path / "a.png")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert Image.open(tmp_path / "a.png").format == "PNG"
    assert not plt.get_fignums()


def test_long_names_are_shortened_and_dollars_escaped():
    assert style.short("Speed limit 20 km/h", 11) == "Speed limi…"
    assert style.short("5$") == r"5\$"
