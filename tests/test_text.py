"""Names from elsewhere on the screen and in spreadsheets."""

import csv
import io
import json
from pathlib import Path

import pytest

from camri_exp.results import RunResult
from camri_exp.text import csv_cell, printable
from tests.test_results import RESULT


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("stop sign", "stop sign"),
        ("Vorfahrt gewähren, 止まれ", "Vorfahrt gewähren, 止まれ"),
        ("\x1b[2J", "\\x1b[2J"),
        ("a\x00b\x7f\x9b", "a\\x00b\\x7f\\x9b"),
        ("evil\u202etxt.exe", "evil\\u202etxt.exe"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("latin-1: \udce9", "latin-1: \udce9"),
    ],
)
def test_control_characters_are_escaped(text: str, safe: str) -> None:
    assert printable(text) == safe


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])
def test_a_cell_is_no_formula(text: str) -> None:
    written = io.StringIO()
    csv.writer(written).writerow([csv_cell(text), csv_cell("a\r\nb\x1b")])
    cells = next(csv.reader(io.StringIO(written.getvalue())))
    assert cells[0].startswith("'")
    assert cells[1] == "a  b\\x1b"


def test_records_hold_printable_text(tmp_path: Path) -> None:
    content = RESULT.to_dict() | {"class_names": ["cat\x1b[31m", "dog"]}
    content["val"] = content["test"] = vars(RESULT.val) | {"recall": {"cat\x1b[31m": 1.0, "dog": 0.5}}
    (tmp_path / "result.json").write_text(json.dumps(content).replace("NaN", "null"))
    assert RunResult.of(tmp_path).class_names == ["cat\\x1b[31m", "dog"]
