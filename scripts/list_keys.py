"""Write docs/configuration.md: every key of every command, with what it expects, its default and its meaning.

python scripts/list_keys.py
"""

from pathlib import Path

from camri_exp.cli import CONFIGS
from camri_exp.schema.listing import as_markdown

PAGE = Path(__file__).resolve().parent.parent / "docs" / "configuration.md"


def main() -> None:
    PAGE.write_text(as_markdown(CONFIGS), encoding="utf-8")
    print(PAGE)


if __name__ == "__main__":
    main()
