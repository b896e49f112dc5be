"""Measure what the limits of camri_exp.data.near_copies find in a folder of photographs.

python scripts/near_copies.py DIR [OUTPUT.png]

Prints the share of photographs that are found again after a change, and the number of pairs that are found as they are;
draws these pairs, of which a person can see whether they are copies.
"""

import io
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageEnhance

from camri_exp.data.near_copies import look_alikes, near_pairs, thumbnails

SIZE, SAMPLE, DRAWN = 64, 200, 48


def as_tensor(images: list[Image.Image]) -> torch.Tensor:
    squares = [np.asarray(image.resize((SIZE, SIZE), Image.Resampling.BILINEAR)) for image in images]
    return torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2)


def as_jpeg(image: Image.Image) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=40)
    return Image.open(file).convert("RGB")


def cut(image: Image.Image, share: float) -> Image.Image:
    width, height = image.size
    return image.crop((int(share * width), int(share * height), int((1 - share) * width), int((1 - share) * height)))


CHANGES = {
    "JPEG of quality 40": as_jpeg,
    "half of the size": lambda image: image.reduce(2),
    "brightness x 1.2": lambda image: ImageEnhance.Brightness(image).enhance(1.2),
    "contrast x 0.8": lambda image: ImageEnhance.Contrast(image).enhance(0.8),
    "3 % cut off each side": lambda image: cut(image, 0.03),
}


def main(folder: Path, output: Path) -> None:
    paths = sorted(folder.rglob("*.jpg"))
    whole = [Image.open(path).convert("RGB") for path in np.random.default_rng(0).permutation(paths)[:SAMPLE]]
    originals = thumbnails(as_tensor(whole))
    for name, change in CHANGES.items():
        changed = thumbnails(as_tensor([change(image) for image in whole]))
        found = sum(len(near_pairs(changed[[i]], originals[[i]])) for i in range(len(whole)))
        print(f"{name}: {found} of {len(whole)} found")
    every = torch.cat([as_tensor([Image.open(path).convert("RGB")]) for path in paths])
    small = thumbnails(every)
    pairs = near_pairs(small, small)
    pairs = pairs[pairs[:, 0] < pairs[:, 1]]
    groups = look_alikes(every, list(map(str, paths)))
    print(f"{len(pairs)} pairs among {len(paths)} photographs, {len(set(groups))} groups; drawn in {output}")
    drawn = torch.cat([every[pairs[:DRAWN, 0]], every[pairs[:DRAWN, 1]]], dim=3)
    lines = [torch.cat(list(line), dim=2) for line in drawn.split(6) if len(line) == 6]
    Image.fromarray(torch.cat(lines, dim=1).permute(1, 2, 0).numpy()).save(output)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2] if len(sys.argv) > 2 else "near_copies.png"))
