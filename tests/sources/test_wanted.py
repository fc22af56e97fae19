from typing import Any

import pytest

from domainforge.records import Document
from domainforge.sources.config import SourceConfig
from domainforge.sources.wanted import reason_to_pass_over

DOCUMENT = Document(
    uri="kb/a.md",
    title="A",
    text="Alpha.",
    language="en",
    created="2024-03-05",
    license="MIT",
    metadata={"score": 3, "meta": {"set": "web"}, "tags": ["x", "y"], "draft": False, "a.b": 1},
)


@pytest.mark.parametrize(
    ("where", "fits"),
    [
        ({"language": "en"}, True),
        ({"language": "EN"}, True),
        ({"language": ["de", "en"]}, True),
        ({"language": ["de", "fr"]}, False),
        ({"language": "!= en"}, False),
        ({"score": 3}, True),
        ({"score": "3"}, True),
        ({"score": ">= 3"}, True),
        ({"score": "> 3"}, False),
        ({"score": "< 10"}, True),  # as text, 3 would come after 10
        ({"created": ">= 2024"}, True),
        ({"created": "< 2024-03-01"}, False),
        ({"created": ["< 2020", "> 2024-01"]}, True),
        ({"meta.set": "web"}, True),
        ({"meta.set": "books"}, False),
        ({"meta.set.more": "web"}, False),
        ({"a.b": 1}, True),
        ({"tags": "y"}, True),
        ({"tags": "z"}, False),
        ({"draft": False}, True),
        ({"draft": True}, False),
        ({"missing": "x"}, False),
        ({"missing": "!= x"}, False),
        ({"missing": None}, True),
        ({"language": "en", "score": "> 3"}, False),
    ],
)
def test_where(where: dict[str, Any], fits: bool) -> None:
    reason = reason_to_pass_over(DOCUMENT, SourceConfig(files="kb", where=where), seed=1)
    assert reason == (None if fits else "not_wanted")


@pytest.mark.parametrize("wanted", [">=", "=> 3", "== x", "<> draft", [">= 3", "!="]])
def test_what_is_meant_as_a_comparison_is_one(wanted: Any) -> None:
    with pytest.raises(ValueError, match=r"score: .* is no comparison; write >=,"):
        SourceConfig(files="kb", where={"score": wanted})


def sample(seed: int, share: float) -> set[str]:
    config = SourceConfig(files="kb", sample_share=share)
    documents = [Document(uri=f"kb/{n}.md", title="", text="") for n in range(4000)]
    return {d.uri for d in documents if reason_to_pass_over(d, config, seed) is None}


def test_a_sample_has_its_share_and_is_the_seeds() -> None:
    assert len(sample(1, 0.25)) == pytest.approx(1000, rel=0.1)
    assert sample(1, 0.25) == sample(1, 0.25)
    assert sample(1, 0.25) != sample(2, 0.25)
    assert sample(1, 0.25) < sample(1, 0.5)
    assert len(sample(1, 1.0)) == 4000


def test_what_is_not_sampled_says_so() -> None:
    config = SourceConfig(files="kb", sample_share=1e-9)
    assert reason_to_pass_over(DOCUMENT, config, 1) == "not_sampled"
