from pathlib import Path

import pytest

from tests.sources.samples import load_bytes

TEX = r"""\documentclass{article} % class
\title{Ferry \emph{times}}
% hidden
\begin{document}
\section{Fares}\label{s}
Half is 50\% of it. % aside
\subsection*{Dogs}
They pay.
\end{document}
after"""


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("x.tex", TEX,
         "# Ferry \\emph{times}\n\n## Fares\n\nHalf is 50\\% of it.\n\n### Dogs\n\nThey pay."),
        ("x.adoc", "= Ferry\n\n== Fares\nTwo.", "# Ferry\n\n## Fares\nTwo."),
        ("x.org", "#+TITLE: Ferry\n#+x: y\n* TODO Fares  :tag:\nTwo.\n** Dogs",
         "# Ferry\n\n## Fares\nTwo.\n### Dogs"),
        ("x.srt", "1\n00:00:01,000 --> 00:00:02,000\n<i>Hello</i> there.\nYou.\n\n"
         "2\n00:00:02,500 --> 00:00:03,000\nYou.\n3 crowns.", "Hello there.\nYou.\n3 crowns."),
        ("x.vtt", "WEBVTT\n\nNOTE no\n\n00:01.000 --> 00:02.000 line:0\n<v Ilse>Hi <00:01.5>you",
         "Hi you"),
        ("x.po", '# Note\n#: a.py:1\nmsgid "Ferry"\nmsgstr "F"', 'msgid "Ferry"\nmsgstr "F"'),
    ],
)  # fmt: skip
def test_text_and_headings(tmp_path: Path, name: str, text: str, expected: str) -> None:
    (document,) = load_bytes(tmp_path, name, text.encode()).documents
    assert document.text == expected


def test_titles(tmp_path: Path) -> None:
    assert load_bytes(tmp_path, "x.adoc", b"= Ferry\n\ntext").documents[0].title == "Ferry"
    assert (
        load_bytes(tmp_path, "the_film.srt", b"1\n0:00:01,0 --> 0:00:02,0\nHi").documents[0].title
        == "the film"
    )


def test_hostile_text_takes_no_time(tmp_path: Path) -> None:
    n = 50_000
    texts = ["{" * n, "* " * n, "= " * n, "\\section{" * n, "<i" * n, "1:" * n, "%" * n]
    texts += ["* x" + " " * n + "y", "\\section{" + "{}" * n, "\\section{" + "{" * n, " " * n + "%"]
    for name in ("x.tex", "x.adoc", "x.org", "x.srt", "x.vtt", "x.po"):
        for text in texts:
            load_bytes(tmp_path, name, text.encode())
