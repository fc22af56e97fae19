"""markitdown used plainly: one converter, one file after the other."""

from pathlib import Path

from markitdown import MarkItDown
from reading import files, report


def read(folder: Path) -> tuple[int, int]:
    """Convert every file to Markdown."""
    converter = MarkItDown()
    characters = failed = 0
    for path in files(folder):
        try:
            characters += len(converter.convert(path).text_content)
        except Exception:
            failed += 1
    return characters, failed


if __name__ == "__main__":
    report(read)
