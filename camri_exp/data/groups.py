"""Groups: images of one patient, scene or object, which stay in one split and are not independent of each other."""

import re
import sys
from collections.abc import Sequence
from dataclasses import replace

from camri_exp.data.csv_list import LabelledFile
from camri_exp.errors import UserError
from camri_exp.text import printable


def groups_of(names: Sequence[str], pattern: str) -> list[str]:
    """The group of each name: the first capture of ``pattern`` in it. A name without a match is a group of its own.

    Raises:
        UserError: not a regular expression, one without a capture, or one that matches no name.
    """
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise UserError(f"data.groups={pattern}: not a regular expression ({error}).") from error
    if not expression.groups:
        raise UserError(f"data.groups={pattern}: expected a capture, as in '(patient\\d+)_'; it is the group.")
    found = [match[1] if (match := expression.search(name)) else None for name in names]
    single = [name for name, group in zip(names, found, strict=True) if not group]
    if len(single) == len(names):
        raise UserError(f"data.groups={pattern} matches no path; the first is {printable(names[0])}.")
    if single:
        line = f"data.groups={pattern}: {len(single)} of {len(names)} paths do not match ({single[0]}, …)"
        print(printable(f"{line}; each is a group of its own."), file=sys.stderr)
    return [group or name for name, group in zip(names, found, strict=True)]


def with_groups(files: list[LabelledFile], pattern: str | None) -> list[LabelledFile]:
    """Files with the groups that ``pattern`` finds in their paths, or those of a CSV where it is None.

    Raises:
        UserError: both are given, or ``groups_of`` refuses the pattern.
    """
    if pattern is None:
        return files
    if any(file.group for file in files):
        raise UserError("data.groups and a column group in the CSV: give one of them.")
    groups = groups_of([file.path for file in files], pattern)
    return [replace(file, group=group) for file, group in zip(files, groups, strict=True)]
