"""The names of classes, as folders and CSV files give them: cleaned, checked and sorted."""

import sys
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable

from camri_exp.errors import UserError
from camri_exp.text import printable

# Control characters, surrogates (bytes that are not UTF-8), and separators of lines: no table can show them.
REFUSED = ("Cc", "Cs", "Zl", "Zp")


def cleaned(labels: Iterable[str], where: str) -> dict[str, str]:
    """Maps each label to its name: in Unicode's composed form (NFC), which file systems and editors differ in.

    Labels that become one name, and names that differ in upper and lower case, compatible letters, spaces or invisible
    characters (such as a zero-width space) only, are reported in one line.

    Args:
        labels: as they were read.
        where: the data set, for messages.

    Raises:
        UserError: a label with control characters, or one that is not UTF-8.
    """
    names = {label: unicodedata.normalize("NFC", label) for label in sorted(set(labels))}
    for label in names:
        if any(unicodedata.category(letter) in REFUSED for letter in label):
            shown = label.encode("unicode_escape", "surrogatepass").decode()
            raise UserError(
                f"{where}: the class name '{shown}' has control characters, or is not UTF-8. Rename the class."
            )
    same_name, similar = defaultdict(list), defaultdict(list)
    for label, name in names.items():
        same_name[name].append(label)
    for name in same_name:
        visible = "".join(letter for letter in name if unicodedata.category(letter) != "Cf")
        similar[" ".join(unicodedata.normalize("NFKC", visible).casefold().split())].append(name)
    merged = [name for name, group in same_name.items() if len(group) > 1]
    lines = [f"{name!r} is written in two Unicode forms, which are read as one class" for name in merged]
    lines += [
        f"{' and '.join(map(repr, group))} differ in case, form, spaces or invisible characters only, and are "
        f"{len(group)} classes"
        for group in similar.values()
        if len(group) > 1
    ]
    if lines:
        print(printable(f"{where}: {'; '.join(lines)}."), file=sys.stderr)
    return names


def in_order(names: Collection[str]) -> list[str]:
    """Names sorted, or by value where all are decimal numbers (``²`` is a digit, but not one)."""
    numeric = all(name.isdecimal() for name in names)
    return sorted(names, key=lambda name: (int(name) if numeric else 0, name))
