"""LangChain's loaders used plainly, each the usual one of its kind."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from langchain_community import document_loaders as loaders
from reading import files, report

LOADERS: dict[str, Callable[[str], Any]] = {
    "txt": lambda path: loaders.TextLoader(path, encoding="utf-8"),
    "md": lambda path: loaders.TextLoader(path, encoding="utf-8"),
    "html": lambda path: loaders.BSHTMLLoader(path, open_encoding="utf-8"),
    "pdf": loaders.PyPDFLoader,
    "docx": loaders.Docx2txtLoader,
    "csv": lambda path: loaders.CSVLoader(path, encoding="utf-8"),
    "jsonl": lambda path: loaders.JSONLoader(path, ".", content_key="text", json_lines=True),
    "ipynb": loaders.NotebookLoader,
    "epub": loaders.UnstructuredEPubLoader,
    "pptx": loaders.UnstructuredPowerPointLoader,
    "xlsx": loaders.UnstructuredExcelLoader,
    "eml": loaders.UnstructuredEmailLoader,
}


def read(folder: Path) -> tuple[int, int]:
    """Load every file."""
    characters = failed = 0
    for path in files(folder):
        try:
            loader = LOADERS[path.suffix[1:].lower()]
            characters += sum(len(one.page_content) for one in loader(str(path)).lazy_load())
        except Exception:
            failed += 1
    return characters, failed


if __name__ == "__main__":
    report(read)
