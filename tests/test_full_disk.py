"""Every command on a full disk: one line that says so, earlier files whole, and no half files."""

import hashlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from camri_exp.models.checkpoint import read_checkpoint
from tests.conftest import QUICK, Command
from tests.helpers.image_files import image_file
from tests.helpers.runs import trained

MODEL = ("data=digits", "model.width=0.25")
SIZE = 8 << 20  # bytes of the disk
LEFT = [0, 4096, 1 << 14]  # bytes that are left: nothing, or some files fit and others do not
WORDS = ("No space left on device", "the disk may be full")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two runs, ``runs/ce`` and ``runs/camri``, and images."""
    home = tmp_path_factory.mktemp("whole")
    (home / "runs").mkdir()
    for loss in ("ce", "camri"):
        trained(home / "runs" / loss, *MODEL, f"loss={loss}")
    for number in range(200):
        image_file(home / "images" / f"{number}.png", seed=number, size=(8, 8), mode="L")
    return home


@pytest.fixture
def disk(whole: Path, command: Command, tmp_path: Path) -> Iterator[Path]:
    """A small disk with the runs on it; the current folder contains it as ``disk``."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("needs the permission to mount a tmpfs")
    shutil.copytree(whole / "runs", folder / "runs")
    (tmp_path / "images").symlink_to(whole / "images")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def fill(disk: Path, left: int) -> None:
    with open(disk / "filler", "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
        file.truncate(max(file.tell() - left, 0))


def contents(disk: Path) -> dict[str, str]:
    """Each file with content, except the log of a run, which grows, and the locks."""
    paths = (path for path in sorted(disk.rglob("*")) if path.is_file() and path.name not in ("filler", "run.log"))
    hashes = {str(path.relative_to(disk)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
    return {name: digest for name, digest in hashes.items() if not Path(name).name.startswith((".claim", ".plan"))}


CHANGED_BY_RESUME = ("result.json", "config.yaml", "metrics.csv")
RUN = "disk/runs/camri"
CHECKPOINT = f"checkpoint={RUN}/checkpoints/best.ckpt"
COMMANDS = {
    "train": ("train", *MODEL, *QUICK, "hydra.run.dir=disk/new"),
    "resume": ("train", f"resume={RUN}", "trainer.max_epochs=3"),
    "evaluate": ("evaluate", f"run={RUN}", "output=disk/evaluation"),
    "evaluate, in the run": ("evaluate", f"run={RUN}"),
    "predict": ("predict", CHECKPOINT, "images=images", "output=disk/labels.csv"),
    "export torch": ("export", CHECKPOINT, "images=images", "format=torch", "output=disk/model.pt2"),
    "export onnx": ("export", CHECKPOINT, "images=images", "output=disk/model.onnx"),
    "report": ("report", "sweep=disk/runs"),
}


@pytest.mark.slow
@pytest.mark.parametrize("left", LEFT)
@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_disk_ends_in_one_line_and_harms_no_file(name: str, left: int, disk: Path, command: Command) -> None:
    before = contents(disk)
    fill(disk, left)
    finished = command(*COMMANDS[name])
    lines = finished.err.strip().splitlines()
    if name == "predict" and finished.code == 0:  # the table fitted into what was left, and is whole
        assert left > 0
        assert len((disk / "labels.csv").read_text().splitlines()) == 201
        return
    assert finished.code == 1, finished.out
    assert "Traceback" not in finished.err
    assert len(lines) <= (2 if name in ("train", "resume") else 1), finished.err  # a training counts its images first
    assert any(words in lines[-1] for words in WORDS), lines
    after = contents(disk)
    changing = [f"runs/camri/{file}" for file in CHANGED_BY_RESUME] if name == "resume" else []
    assert {path: after.get(path) for path in before if path not in changing} == {
        path: digest for path, digest in before.items() if path not in changing
    }
    assert not list(disk.rglob(".part-*"))
    read_checkpoint(disk / "runs" / "camri" / "checkpoints" / "last.ckpt")
    assert not (disk / "new" / "result.json").exists()
    (disk / "filler").unlink()
    again = ("train", f"resume={RUN}") if name == "resume" else COMMANDS[name]
    assert command(*again).code == 0
