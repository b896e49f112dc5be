"""Class names and file names: cleaned, checked, and typed on the command line."""

import hashlib
import os
import shlex
import unicodedata
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from camri_exp.data.class_ids import resolve_class_ids
from camri_exp.data.csv_list import read_csv
from camri_exp.data.folder import FolderDataModule
from camri_exp.data.labels import cleaned, in_order
from camri_exp.data.splits import HashRule, stable_fraction
from camri_exp.errors import UserError
from tests.helpers.image_files import class_folders, image_file

COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"


def test_blanks_around_labels_columns_and_splits_are_stripped(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("path , label ,split \ncat/1.png,a, train\ncat/2.png,a ,val \ncat/3.png,\ta,\n")
    assert [(file.label, file.split) for file in read_csv(path)] == [("a", "train"), ("a", "val"), ("a", None)]
    path.write_text("path,label\ncat/1.png,  \n")
    with pytest.raises(UserError, match="line 2: an image needs a path and a label"):
        read_csv(path)


def test_labels_that_differ_in_form_only_are_reported(capsys: pytest.CaptureFixture[str]) -> None:
    names = cleaned(["Cat", "cat", "dog", COMPOSED, DECOMPOSED, "a  b", "a b", "\ufb01sh", "fish"], "DIR")
    assert names[DECOMPOSED] == names[COMPOSED] == COMPOSED
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"DIR: '{COMPOSED}' is written in two Unicode forms, which are read as one class; ")
    for pair in ("'Cat' and 'cat'", "'a  b' and 'a b'", "'fish' and '\ufb01sh'"):
        assert f"{pair} differ in case, form, spaces or invisible characters only, and are 2 classes" in line


@pytest.mark.parametrize("invisible", ["\u200b", "\ufeff", "\u00ad", "\u200e"])
def test_labels_that_differ_in_invisible_characters_are_reported(
    invisible: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(cleaned(["cat", f"cat{invisible}", f"d{invisible}og", "bird"], "DIR")) == 4
    line = capsys.readouterr().err
    assert line.startswith("DIR: 'cat' and 'cat\\")
    assert "dog" not in line
    cleaned(["cat", "dog"], "DIR")
    assert capsys.readouterr().err == ""


def test_a_class_in_two_forms_is_one_class(tmp_path: Path) -> None:
    root = class_folders(tmp_path, count=30, classes=(COMPOSED, DECOMPOSED, "dog"))
    data = FolderDataModule(str(root), image_size=8)
    data.setup()
    assert data.class_names == [COMPOSED, "dog"]
    assert sum(data.length(split) for split in ("train", "val", "test")) == 90


@pytest.mark.parametrize("name", ["a\x1b[2J", "a\nb", "a\x00", "\udce9t\udce9", "a\u2028b", "\x7f"])
def test_class_names_with_control_characters_are_refused(name: str) -> None:
    with pytest.raises(UserError, match=r"has control characters, or is not UTF-8\. Rename the class\.$") as refused:
        cleaned([name, "dog"], "DIR")
    assert str(refused.value).isprintable()


def test_no_name_in_ascii_changes_its_split() -> None:
    names = [f"class {i % 7}/IMG_{i:05}.jpg" for i in range(5000)] + ["".join(map(chr, range(32, 127)))]
    for name in names:
        assert stable_fraction(name) == int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2**64
    splits = "".join(HashRule()(name)[1] for name in names)
    assert hashlib.sha256(splits.encode()).hexdigest()[:16] == "a74e564831480326"


def test_a_name_has_one_split_in_both_unicode_forms() -> None:
    for i in range(200):
        name = f"caf\u00e9/\u00e4\u00f6\u00fc {i}.png"
        assert stable_fraction(unicodedata.normalize("NFD", name)) == stable_fraction(name)
        assert stable_fraction(name) == int(hashlib.sha256(name.encode()).hexdigest()[:16], 16) / 2**64


def test_a_file_name_that_is_not_utf_8(tmp_path: Path) -> None:
    root = class_folders(tmp_path, count=30)
    latin = os.fsdecode(b"\xe9t\xe9.png")
    (root / "cat" / latin).write_bytes(image_file(tmp_path / "0.png", seed=77).read_bytes())
    data = FolderDataModule(str(root), image_size=8)
    data.setup()
    assert f"cat/{latin}" in [name for split in ("train", "val", "test") for name in data.names(split)]
    assert stable_fraction(latin) == int(hashlib.sha256(b"\xe9t\xe9.png").hexdigest()[:16], 16) / 2**64


def test_digits_that_are_not_decimal_are_names() -> None:
    assert in_order({"10", "9", "2"}) == ["2", "9", "10"]
    assert in_order({"\u00b2", "3", "10"}) == ["10", "3", "\u00b2"]
    assert in_order({"\u0663", "10"}) == ["\u0663", "10"]  # the Arabic digit 3


NAMES = ["speed (20) 50%", "1e3", "null", "true", "a,b", "it's", "it's a\\b", "{a}", "gr\u00fcn", "a=b", "nan"]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_the_command_line_reads_otherwise_is_shown_in_quotes(name: str) -> None:
    with pytest.raises(UserError, match=r"no class of that name\..* needs quotes within quotes: ") as refused:
        resolve_class_ids("zzz", [name, "dog"], "folder")
    (argument,) = shlex.split(str(refused.value).partition("within quotes: ")[2])
    assert OverridesParser.create().parse_override(argument).value() == name
    with pytest.raises(UserError, match="needs quotes within quotes"):
        resolve_class_ids(None, [name, "dog"], "folder")
    assert resolve_class_ids(name, [name, "dog"], "folder") == [0]


def test_plain_names_need_no_quotes() -> None:
    with pytest.raises(UserError) as refused:
        resolve_class_ids(
            "zzz", ["dog", "grizzly+bear", "a b", "12", "End of speed limit 80", "x: y", "$x", "a\\b"], "folder"
        )
    assert "quotes" not in str(refused.value)
