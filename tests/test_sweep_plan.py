"""The plan of a sweep: written and read back, and refused in one line where it is damaged."""

from pathlib import Path

import pytest

from camri_exp.errors import UserError
from camri_exp.sweep_plan import add_to_plan, read_plan


def test_a_plan_is_a_list_of_folder_names(tmp_path: Path) -> None:
    assert read_plan(tmp_path) == []
    add_to_plan(tmp_path, ["a", "b"])
    add_to_plan(tmp_path, ["b", "c"])
    assert read_plan(tmp_path) == ["a", "b", "c"]
    for text in ("{}", "[1]", '["../outside"]', '["a/b"]', "[", ""):
        (tmp_path / "jobs.json").write_text(text)
        with pytest.raises(UserError, match=r"jobs\.json is damaged"):
            read_plan(tmp_path)
