"""Text from elsewhere, such as file and class names, made safe for the screen, tables and spreadsheets."""

import unicodedata
from collections.abc import Sequence

# A spreadsheet evaluates a cell that starts with one of these.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
# Control characters, and format characters such as those that reverse the direction of writing.
INVISIBLE = ("Cc", "Cf")
KEPT = "\n\t"


def printable(text: str) -> str:
    r"""``text`` with control characters as escapes (``\x1b``), because a terminal would obey them.

    >>> printable("stop\x1b[2Jsign")
    'stop\\x1b[2Jsign'
    """
    if text.isprintable():
        return text
    return "".join(
        letter.encode("unicode_escape").decode()
        if unicodedata.category(letter) in INVISIBLE and letter not in KEPT
        else letter
        for letter in text
    )


def csv_cell(text: str) -> str:
    """``text`` on one line and without control characters; one that would be a formula starts with an apostrophe.

    >>> csv_cell("=1+1")
    "'=1+1"
    """
    line = printable(text.replace("\r", " ").replace("\n", " ").replace("\t", " "))
    return f"'{line}" if text.startswith(FORMULA) else line


def escape_markdown(text: str) -> str:
    """``text`` as plain text in Markdown: class names may contain Markdown and HTML."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace("\n", " ")
    return "".join(f"\\{letter}" if letter in "\\|`*_[]" else letter for letter in text)


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table in Markdown, of cells that are escaped already."""
    return [f"| {' | '.join(line)} |" for line in (header, ["---"] * len(header), *rows)]


def plural(number: int, noun: str) -> str:
    """``1 image`` or ``2 images``."""
    return f"{number} {noun}{'s' * (number != 1)}"
