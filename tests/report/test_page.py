"""The page as a file: what stands in it, and that nothing in a row becomes part of it."""

import base64
import hashlib
import itertools
import json
import re
import shutil
from html import unescape
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from typer.testing import CliRunner

from domainforge.cli import app
from domainforge.reasons import MEANINGS
from domainforge.report.numbers import with_code
from domainforge.report.page import write_report
from domainforge.run_folder import MANIFEST, RunFolder
from tests.support.funnel_run import SECRET, make_funnel_run, put_hostile_filter


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_funnel_run(tmp_path_factory.mktemp("made")).path.parents[1]


@pytest.fixture
def run(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    shutil.copytree(made, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    return RunFolder(tmp_path / "project" / "runs" / "small")


def read(run: RunFolder) -> BeautifulSoup:
    return BeautifulSoup(write_report(run).read_text(encoding="utf-8"), "lxml")


def test_sections_tables_and_headings_are_in_order(run: RunFolder) -> None:
    page = read(run)
    sections = [section["id"] for section in page.select("main > section")]
    wanted = "run funnel reasons ways scores coverage audit spending stages"
    assert sections == wanted.split()
    assert [a["href"] for a in page.select("nav a")] == [f"#{name}" for name in sections]
    levels = [int(tag.name[1]) for tag in page.find_all(re.compile("^h[1-6]$"))]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert all(cell.get("scope") for cell in page.find_all("th"))


def test_the_page_needs_nothing_else(run: RunFolder) -> None:
    page = read(run)
    assert not page.select("script, link, img, iframe, object, [style], [src]")
    assert all(a["href"].startswith("#") for a in page.select("a"))
    style = page.select_one("style").string
    assert "url(" not in style
    assert "@import" not in style
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = page.select_one("meta[http-equiv=Content-Security-Policy]")["content"]
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}'")


def test_every_reason_shows_the_unknown_too(run: RunFolder) -> None:
    reasons = {tag.select_one("code").text: tag.text for tag in read(run).select("details.reason")}
    assert MEANINGS["unsupported"] in reasons["unsupported"]
    assert "A fault took it" in reasons["timeout"]
    unknown = reasons["brand_new_reason"]
    assert "nobody has described" in unknown
    assert "evidence 5: 'forty' is not said" in unknown
    assert re.search(r"domainforge trace small [0-9a-f]{16}", unknown)


def test_words_between_backticks_are_code_and_nothing_else_is(run: RunFolder) -> None:
    assert read(run).select_one("#reasons .means code").text == "max_tokens"
    assert with_code("a `<b>` <i>") == "a <code>&lt;b&gt;</code> &lt;i&gt;"


def test_what_joined_at_the_split_is_a_piece_of_its_bar(run: RunFolder) -> None:
    bars = read(run).select("#funnel svg.bar")
    widths = {rect["class"][0]: float(rect["width"]) for rect in bars[-1].select("rect")}
    assert widths == {"train": 47.5, "validation": 7.5, "test": 5, "joined": 7.5, "lost": 2.5}


def test_scores_stand_beside_their_threshold(run: RunFolder) -> None:
    scores = read(run).select_one("#scores")
    support = next(f for f in scores.select("figure") if "support" in f.figcaption.text)
    assert "filter.min_support_share 0.60" in support.text
    assert float(support.select_one("line.threshold")["x1"]) == 60
    assert sum(map(int, re.findall(r"^(\d+) rows", scores.p.text))) == 25


def test_coverage_audit_and_asking_are_told(run: RunFolder) -> None:
    page = read(run)
    assert "7 of 10" in page.select_one("#coverage").text
    assert "70.0%" in page.select_one("#coverage").text
    cells = [[td.text for td in tr.select("th, td")] for tr in page.select("#audit tbody tr")]
    assert cells == [["same id", "ids", "27", "0"], ["exam", "n-grams", "9", "0"]]
    assert "nothing was found" in page.select_one("#audit").text
    assert "1,200" in page.select_one("#spending").text
    assert "Judge" not in page.select_one("#spending").text
    path = run.stage_folder("judged") / MANIFEST
    judged = {"asked": 4321, "replayed": 0}
    path.write_text(json.dumps(json.loads(path.read_text()) | {"figures": judged}))
    assert read(run).select("#spending div")[-1].text == "Judge: requests asked4,321"


def test_a_hostile_row_stays_text_and_no_secret_shows(run: RunFolder) -> None:
    put_hostile_filter(run)
    path = write_report(run, per_reason=9)
    text = path.read_text(encoding="utf-8")
    page = BeautifulSoup(text, "lxml")
    assert not page.select("script, img, [onerror], [onmouseover], h1 ~ h1, b")
    assert "<script>document.title = 'taken'</script>" in page.text
    assert "{{ 7 * 7 }}" in page.text
    assert "\u202e" not in text
    assert SECRET not in unescape(text)
    assert "[secret removed]" in text


def test_a_page_is_the_same_when_it_is_written_again(run: RunFolder) -> None:
    first = write_report(run).read_bytes()
    assert write_report(run).read_bytes() == first


def test_a_run_that_is_half_done_has_a_page(tmp_path: Path) -> None:
    page = read(make_funnel_run(tmp_path, whole=False))
    assert [tr["data-stage"] for tr in page.select("#funnel tbody tr")] == ["generate", "filter"]
    assert not page.select("#audit")


def test_what_does_not_add_up_stands_above_the_numbers(run: RunFolder) -> None:
    shutil.rmtree(run.stage_folder("unique"))
    assert "judge is of an earlier run" in read(run).select_one("#funnel .fault").text


def test_the_command_writes_the_page_and_opens_it(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}\n')
    browser.chmod(0o755)
    monkeypatch.setattr("webbrowser._tryorder", None)
    monkeypatch.setattr("webbrowser._browsers", {})
    monkeypatch.setenv("BROWSER", f"{browser} %s")
    result = CliRunner().invoke(app, ["report", "small", "--open", "--per-reason", "1"])
    assert result.exit_code == 0, result.output
    assert "wrote runs/small/report.html" in result.stdout
    assert opened.read_text().strip() == (run.path / "report.html").as_uri()
    page = BeautifulSoup((run.path / "report.html").read_text(), "lxml")
    assert len(page.select("dl.example")) == len(page.select("details.reason"))
