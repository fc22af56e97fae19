"""Cut texts by the student's tokenizer: DomainForge's way or LangChain's."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

from reading import cpu_seconds

MAX_TOKENS = 256


def ours(tokenizer: Path) -> Callable[[str], list[int]]:
    """Chunk as the chunk stage does; returns the tokens of each chunk."""
    from domainforge.chunking import chunk_document
    from domainforge.records import Document
    from domainforge.token_counts import TokenCounter
    from domainforge.training.students import load_fast_tokenizer

    counter = TokenCounter(load_fast_tokenizer(tokenizer))

    def cut(text: str) -> list[int]:
        chunks = chunk_document(Document("page.md", "Page", text), counter, MAX_TOKENS, 16)
        return [chunk.tokens for chunk in chunks]

    return cut


def langchain(tokenizer: Path) -> Callable[[str], list[int]]:
    """Cut by the recursive splitter with the tokenizer of transformers, without overlap."""
    from langchain_text_splitters import RecursiveCharacterTextSplitter
    from transformers import AutoTokenizer

    model = AutoTokenizer.from_pretrained(tokenizer)
    splitter = RecursiveCharacterTextSplitter.from_huggingface_tokenizer(
        model, chunk_size=MAX_TOKENS, chunk_overlap=0
    )

    # Its chunks don't say how many tokens they have.
    return lambda text: [0 for _ in splitter.split_text(text)]


def main() -> None:
    """Cut every text of a file and print what it cost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("way", choices=["ours", "langchain"])
    parser.add_argument("texts", type=Path, help="JSON lines, a text each")
    parser.add_argument("tokenizer", type=Path, help="folder with tokenizer.json")
    options = parser.parse_args()
    cut = {"ours": ours, "langchain": langchain}[options.way](options.tokenizer)
    lines = options.texts.read_text(encoding="utf-8").splitlines()
    pages = [json.loads(line) for line in lines]
    cut("Warm up. It costs nothing.\n\nAll is loaded.")
    before = cpu_seconds()
    counts = [tokens for page in pages for tokens in cut(page)]
    spent = cpu_seconds() - before
    figures = {
        "cpu_seconds": spent,
        "bytes": sum(len(page.encode()) for page in pages),
        "chunks": len(counts),
        "most_tokens": max(counts),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
