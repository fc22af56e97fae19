"""Compare near-duplicates with those that another tool took out of the same rows.

Takes JSON lines with `id`, text fields, and `kept_at`: the thresholds at which the other tool kept
the row. Of each of our clusters the row that the other tool kept is taken to be ours, so that only
the clusters are compared, not the choice in them. Listed are rows that it took though none is as
alike (alone), and rows that it kept though another it kept is (twins), with the most alike row
that it kept.

    python benchmarks/dedup_practice.py rows.jsonl
    python benchmarks/dedup_practice.py rows.jsonl --list 5 --by-words
"""

import argparse
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from runs import print_table

from domainforge.deduplicate.chains import cut_chains
from domainforge.deduplicate.near import find_clusters
from domainforge.deduplicate.shingles import ShingledText, Shingling

FIELDS = ("instruction", "input", "output")
THRESHOLDS = ("0.9", "0.8", "0.7", "0.6")
SHOWN_CHARS = 400


class Comparison(NamedTuple):
    """What differs at one threshold.

    Attributes:
        agreement: Share of rows with the same verdict.
        alone: Rows that the other tool took, without a row as alike.
        twins: Rows that it kept beside another one of the same cluster.
    """

    ours: int
    theirs: int
    agreement: float
    alone: npt.NDArray[np.int64]
    twins: npt.NDArray[np.int64]


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rows", type=Path, help="JSON lines")
    parser.add_argument("--fields", nargs="+", default=FIELDS, help="what is compared")
    parser.add_argument("--by-words", action="store_true", help="all rows by runs of words")
    parser.add_argument("--list", type=int, default=0, help="show so many of each difference")
    options = parser.parse_args()
    rows = [json.loads(line) for line in options.rows.read_text("utf-8").splitlines()]
    texts = ["\n".join(str(row[field] or "") for field in options.fields) for row in rows]
    shingling = Shingling(long_text_words=1) if options.by_words else Shingling()
    table, figures = [], dict[str, float]()
    for threshold in THRESHOLDS:
        kept = np.array([threshold in row["kept_at"] for row in rows])
        found = compare(texts, kept, float(threshold), shingling)
        counts = [found.ours, found.theirs, len(found.alone), len(found.twins)]
        table.append([threshold, *(f"{n:,}" for n in counts), f"{found.agreement:.1%}"])
        figures[f"agreement_{threshold}"] = round(found.agreement, 4)
        for name, which in (("alone", found.alone), ("twin", found.twins)):
            show(name, threshold, which[: options.list], texts, kept, shingling)
    print_table(("threshold", "we keep", "it keeps", "alone", "twins", "agreement"), table)
    print(json.dumps({"rows": len(rows), **figures}))


def compare(
    texts: list[str], kept: npt.NDArray[np.bool_], threshold: float, shingling: Shingling
) -> Comparison:
    """Cluster the texts and set the other tool's choice beside the clusters."""
    clusters = find_clusters(texts, threshold, 7, shingling)
    rank = (~kept).astype(np.float64).reshape(-1, 1)
    nameless = np.zeros(len(texts), np.uint64)
    labels = cut_chains(clusters, rank, nameless, texts.__getitem__, threshold, shingling)
    sizes, kept_of = np.bincount(labels), np.bincount(labels, weights=kept)
    # One row of each cluster stays: the first that the other tool kept, or else the first.
    order = np.lexsort([np.arange(len(labels)), ~kept, labels])
    first = np.ones(len(order), np.bool_)
    first[1:] = labels[order[1:]] != labels[order[:-1]]
    stays = np.zeros(len(labels), np.bool_)
    stays[order[first]] = True
    return Comparison(
        ours=int(stays.sum()),
        theirs=int(kept.sum()),
        agreement=float((stays == kept).mean()),
        alone=np.flatnonzero(~kept & (sizes[labels] == 1)),
        twins=np.flatnonzero(kept & ~stays & (kept_of[labels] > 1)),
    )


def show(
    name: str,
    threshold: str,
    which: npt.NDArray[np.int64],
    texts: list[str],
    kept: npt.NDArray[np.bool_],
    shingling: Shingling,
) -> None:
    """Print rows with the most alike one that the other tool kept."""
    for row in which:
        own = ShingledText(texts[row], shingling)
        others = (at for at in np.flatnonzero(kept) if at != row)
        share, other = max((own.jaccard(ShingledText(texts[at], shingling)), at) for at in others)
        print(f"--- {name} at {threshold}, jaccard {share:.2f}")
        print(texts[row][-SHOWN_CHARS:], texts[other][-SHOWN_CHARS:], sep="\n-\n")


if __name__ == "__main__":
    main()
