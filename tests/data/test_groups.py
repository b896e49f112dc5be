"""Groups of images: from a CSV, from paths, and never in two splits."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camri_exp.data.csv_list import LabelledFile
from camri_exp.data.folder import FolderDataModule, with_splits
from camri_exp.data.groups import groups_of
from camri_exp.data.splits import SPLITS, HashRule
from camri_exp.errors import UserError
from tests.helpers.image_files import class_folders


def by_patient(tmp_path: Path, patients: int = 40) -> Path:
    """Folders of two classes with three images of each patient."""
    classes = ("ill", "well")
    class_folders(tmp_path, count=3 * patients, classes=classes)
    for name in classes:
        for i, file in enumerate(sorted((tmp_path / name).iterdir())):
            file.rename(file.with_name(f"patient{i // 3:02}_{i % 3}.png"))
    return tmp_path


def loaded(root: Path, **settings: object) -> FolderDataModule:
    data = FolderDataModule(str(root), image_size=8, **settings)
    data.setup()
    return data


def test_the_first_capture_in_the_path_is_the_group(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = loaded(by_patient(tmp_path), groups=r"(patient\d+)_", calibration_fraction=0.2)
    where: dict[str, set[str]] = {}
    for split in SPLITS:
        assert data.groups(split) == [name.split("/")[1][:9] for name in data.names(split)]
        for group in data.groups(split) or ():
            where.setdefault(group, set()).add(split)
    rule = HashRule(calibration=0.2)
    assert where == {f"patient{i:02}": {rule(f"patient{i:02}")} for i in range(40)}
    assert capsys.readouterr().err == ""


def test_a_path_without_a_match_is_a_group_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert groups_of(["a/p1_0.png", "a/x.png", "b/p1_1.png"], r"(p\d+)_") == ["p1", "a/x.png", "p1"]
    message = "data.groups=(p\\d+)_: 1 of 3 paths do not match (a/x.png, …); each is a group of its own.\n"
    assert capsys.readouterr().err == message


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(p", r"^data\.groups=\(p: not a regular expression \(missing \), unterminated"),
        (r"p\d", r"expected a capture, as in '\(patient\\d\+\)_'; it is the group\.$"),
        ("(q)", r"^data\.groups=\(q\) matches no path; the first is a/p1\.png\.$"),
    ],
)
def test_a_pattern_without_groups_is_refused(pattern: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        groups_of(["a/p1.png"], pattern)


def write_csv(root: Path, *rows: str) -> Path:
    (root / "list.csv").write_text("\n".join(["path,label,split,group", *rows]))
    return root / "list.csv"


def test_a_column_of_a_csv_is_the_group(tmp_path: Path) -> None:
    class_folders(tmp_path, count=30)
    rows = [
        f"{name}/{i:03}.png,{name},,{f'scene {i // 5}' if i < 25 else ''}" for name in ("cat", "dog") for i in range(30)
    ]
    path = write_csv(tmp_path, *rows)
    data = loaded(path)
    for split in ("train", "val", "test"):
        for name, group in zip(data.names(split), data.groups(split) or (), strict=True):
            number = int(name[4:7])
            assert group == (f"scene {number // 5}" if number < 25 else name)
            assert HashRule()(group) == split
    with pytest.raises(UserError, match=r"data\.groups and a column group in the CSV: give one of them"):
        loaded(path, groups=r"(\d)")


def test_a_group_in_two_given_splits_is_refused(tmp_path: Path) -> None:
    class_folders(tmp_path)
    path = write_csv(tmp_path, "cat/000.png,cat,train,a", "cat/001.png,cat,test,a", "dog/000.png,dog,train,b")
    with pytest.raises(
        UserError, match=r"the group 'a' is in train and in test \(cat/001\.png\); the images of a group"
    ):
        loaded(path)


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=1, max_size=80), st.sampled_from([0.0, 0.2]))
def test_no_group_is_in_two_splits(images: list[tuple[int, bool]], calibration: float) -> None:
    """Also where some images have a split, others not, and a split is missing."""
    files = [
        LabelledFile(f"{i}.png", "a", ("train", "val")[group % 2] if given_split else None, f"group {group}")
        for i, (group, given_split) in enumerate(images)
    ]
    where: dict[str | None, set[str | None]] = {}
    for file in with_splits(files, HashRule(calibration=calibration)):
        where.setdefault(file.group, set()).add(file.split)
    assert all(len(splits) == 1 for splits in where.values())


def test_a_folder_and_a_csv_may_give_calibration_images(tmp_path: Path) -> None:
    for split in SPLITS:
        class_folders(tmp_path / split, count=3)
    data = loaded(tmp_path)
    assert {split: data.length(split) for split in data.splits} == dict.fromkeys(SPLITS, 6)
    rows = [
        f"{split}/{name}/{i:03}.png,{name},{split}," for split in SPLITS for name in ("cat", "dog") for i in range(3)
    ]
    listed = loaded(write_csv(tmp_path, *rows))
    assert {split: listed.names(split) for split in SPLITS} == {split: data.names(split) for split in SPLITS}
    assert listed.groups("calibration") is None
