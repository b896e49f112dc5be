"""German Traffic Sign Recognition Benchmark: 43 signs, 39,209 training, 12,630 test images (Stallkamp et al. 2012)."""

import csv
import os
import sys
from pathlib import Path
from typing import Any

from camri_exp.data.download import Archive, fetch_and_unpack
from camri_exp.data.file_based import ImageFileDataModule
from camri_exp.data.groups import groups_of
from camri_exp.data.splits import hold_out
from camri_exp.data.storage import SplitView
from camri_exp.errors import UserError, nearest

URL = "https://sid.erda.dk/public/archives/daaeac0d7ce1152aea9b61d9f1e19370/"
TRACK = r"(\d+/\d+)_\d+\.ppm$"  # the physical sign: 00014/00023 of …/00014/00023_00005.ppm
TEST_IMAGES, TEST_CLASSES = "GTSRB/Final_Test/Images", "GT-final_test.csv"
TEST = {
    TEST_IMAGES: Archive(URL + "GTSRB_Final_Test_Images.zip", "c7e4e6327067d32654124b0fe9e82185"),
    TEST_CLASSES: Archive(URL + "GTSRB_Final_Test_GT.zip", "fe31e9c9270bbcd7b84b7f21a9d9d9e5"),
}
TRAINING = {  # variant: folder of the training images, archive
    "official": (
        "GTSRB/Final_Training/Images",
        Archive(URL + "GTSRB_Final_Training_Images.zip", "f33fd80ac59bff73c82d25ab499e03a3"),
    ),
    "torchvision": (
        "GTSRB/Training",
        Archive(URL + "GTSRB-Training_fixed.zip", "513f3c79a4c5141765e10e952eaa2478"),
    ),
}
COUNTS = {"official": (39_209, 12_630), "torchvision": (26_640, 12_630)}  # training and test images

SIGNS = (
    *(f"Speed limit {limit}" for limit in (20, 30, 50, 60, 70, 80)),
    "End of speed limit 80", "Speed limit 100", "Speed limit 120", "No passing", "No passing for trucks",
    "Right of way", "Priority road", "Yield", "Stop", "No vehicles", "No trucks", "No entry", "General caution",
    "Curve left", "Curve right", "Double curve", "Bumpy road", "Slippery road", "Road narrows right", "Road work",
    "Traffic signals", "Pedestrians", "Children crossing", "Bicycles crossing", "Ice or snow", "Wild animals",
    "End of all limits", "Turn right ahead", "Turn left ahead", "Ahead only", "Straight or right", "Straight or left",
    "Keep right", "Keep left", "Roundabout", "End of no passing", "End of no passing for trucks",
)  # fmt: skip


class GTSRBDataModule(ImageFileDataModule):
    """GTSRB below ``root/gtsrb``, in the layout of its archives and of torchvision.

    Test is the official test set. Validation is a tenth of the tracks of each class. Tracks are never split, because
    the 30 frames of one physical sign are nearly identical: those in training would make those in validation too easy.

    Args:
        root: the parent of ``gtsrb``.
        variant: ``official``, all 39,209 training images, or ``torchvision``, the 26,640 that its class reads.
        drop_leaked: drop the test images that equal a training image pixel by pixel (8 stop signs).
        val_fraction: the fraction of the physical signs of each class that is used for validation, at least one sign.
            The rarest classes have seven: a tenth is one, and their validation recall is then that of one sign.
        split_seed: selects the signs for validation.
        image_size: all images are resized to a square of this size.
        rest: see ``ImageFileDataModule``.

    Raises:
        UserError: the data is missing and cannot be downloaded, or has another content.
    """

    leaked_kept = "kept, as in published results; data.drop_leaked=true drops them"

    def __init__(
        self,
        root: str,
        variant: str = "official",
        drop_leaked: bool = False,
        val_fraction: float = 0.1,
        split_seed: int = 0,
        image_size: int = 32,
        **rest: Any,
    ) -> None:
        super().__init__(root=root, image_size=image_size, **rest)
        if variant not in TRAINING:
            raise ValueError(f"variant={variant}; expected one of {', '.join(TRAINING)}.{nearest(variant, TRAINING)}")
        if not 0 < val_fraction < 1:
            raise ValueError(f"val_fraction={val_fraction}; expected a fraction of the signs above 0 and below 1")
        self.variant, self.drop_leaked = variant, drop_leaked
        self.val_fraction, self.split_seed = val_fraction, split_seed
        self.folder = self.files_below = Path(root) / "gtsrb"

    def prepare_data(self) -> None:
        parts = dict([TRAINING[self.variant], *TEST.items()])
        try:
            fetch_and_unpack(parts, self.folder)
        except UserError as error:
            raise UserError(
                f"GTSRB is not in {self.folder}, and {error}. To install it manually, unpack the archives of "
                f"{URL} there ({', '.join(parts)}), or give its location: data.root=DIR"
            ) from error

    def load(self) -> dict[str, SplitView]:
        self.class_names = list(SIGNS)
        training_files, test_files = self._training_files(), self._test_files()
        self._warn_if_incomplete(len(training_files), len(test_files))
        files = training_files + test_files
        names = [name for name, _ in files]
        prefix = os.path.join(self.folder, "")
        paths = [prefix + name for name in names]  # 50,000 calls of os.path.join take longer than most of this method
        images = self.read(paths, [label for _, label in files], names, self.folder)

        count = len(training_files)
        tracks = groups_of(names[:count], TRACK)
        fractions = {"val": self.val_fraction, "calibration": self.calibration_fraction}
        held_out = hold_out(images.target[:count], tracks, fractions, self.split_seed)
        splits = {split: images.split(index, tracks) for split, index in held_out.items()}
        return splits | {"test": images.split(range(count, len(files)))}

    def _training_files(self) -> list[tuple[str, int]]:
        top = TRAINING[self.variant][0]
        files = []
        for folder in sorted(os.listdir(self.folder / top)):
            if folder.isdecimal() and int(folder) < len(SIGNS):
                names = sorted(name for name in os.listdir(self.folder / top / folder) if name.endswith(".ppm"))
                files += [(f"{top}/{folder}/{name}", int(folder)) for name in names]
        if not files:
            raise UserError(
                f"{self.folder / top} contains no GTSRB images (00000/00000_00000.ppm, …). Remove that folder to "
                "download them, or give their location: data.root=DIR"
            )
        return files

    def _test_files(self) -> list[tuple[str, int]]:
        with open(self.folder / TEST_CLASSES, newline="") as file:
            rows = list(csv.DictReader(file, delimiter=";"))
        if not rows or not {"Filename", "ClassId"} <= set(rows[0]):
            raise UserError(
                f"{self.folder / TEST_CLASSES} is not the official list of test classes (Filename;…;ClassId). "
                f"It comes from {TEST[TEST_CLASSES].url}"
            )
        return [(f"{TEST_IMAGES}/{row['Filename']}", int(row["ClassId"])) for row in rows]

    def _warn_if_incomplete(self, training: int, test: int) -> None:
        expected = COUNTS[self.variant]
        if (training, test) != expected:
            print(
                f"GTSRB ({self.variant}) has {expected[0]} training and {expected[1]} test images; {self.folder} has "
                f"{training} and {test}. Results will not be comparable with published ones.",
                file=sys.stderr,
            )
