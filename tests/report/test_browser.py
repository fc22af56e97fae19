"""The page in a real browser: its numbers, its manners, and what hostile rows can do: nothing."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from domainforge.pipeline import STAGES
from domainforge.report.page import write_report
from domainforge.run_folder import RunFolder, read_manifest
from tests.support.browser import Browser, has_browser, open_browser
from tests.support.funnel_run import make_funnel_run, put_hostile_filter

pytestmark = pytest.mark.browser

_FOLDERS = {stage.name: stage.writes for stage in STAGES}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not has_browser():
        pytest.skip("needs Chromium (chromium, chromedriver)")
    with open_browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    run = make_funnel_run(tmp_path_factory.mktemp("plain"))
    write_report(run)
    return run


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = make_funnel_run(tmp_path_factory.mktemp("hostile"))
    put_hostile_filter(run)
    return write_report(run, per_reason=9)


def test_the_numbers_are_those_of_the_manifests(browser: Browser, plain: RunFolder) -> None:
    browser.open(plain.path / "report.html")
    shown = browser.run(
        "return [...document.querySelectorAll('#funnel tbody tr')].map("
        "tr => [...tr.cells].map(cell => cell.innerText))"
    )
    for stage, came_in, joined, left, went_out, _ in shown:
        manifest = read_manifest(plain.stage_folder(_FOLDERS[stage]))
        assert manifest is not None
        account = manifest.account
        assert int(came_in) + (int(joined) if stage == "split" else 0) == account["total"]
        lost = sum(account["dropped"].values()) + sum(account["failed"].values())
        assert int(left) == lost + account["not_reached"]
        assert int(came_in) + int(joined) == int(left) + int(went_out)
    assert len(shown) == 5


def test_hostile_rows_do_nothing(browser: Browser, hostile: Path) -> None:
    browser.open(hostile)
    browser.run("document.querySelectorAll('details').forEach(d => { d.open = true })")
    assert browser.driver.title == "small - DomainForge report"
    assert browser.run("return document.querySelectorAll('script, img, iframe').length") == 0
    assert browser.run(
        "return [...document.links].every(a => a.getAttribute('href').startsWith('#'))"
    )
    assert browser.run("return document.querySelector('#reasons').innerText.includes('<script>')")
    assert browser.requests() == [hostile.as_uri()]
    assert browser.complaints() == []


def test_the_policy_holds_even_what_would_get_through(browser: Browser, hostile: Path) -> None:
    browser.open(hostile)
    browser.run(
        "const image = document.createElement('img'); image.src = 'http://127.0.0.1:9/x.png';"
        "image.setAttribute('onerror', 'document.title = 1'); document.body.append(image);"
        "const box = document.createElement('div'); box.setAttribute('style', 'width: 1px');"
        "document.body.append(box)"
    )
    assert any("Content Security Policy" in line for line in browser.complaints())
    assert browser.driver.title == "small - DomainForge report"


@pytest.mark.parametrize("width", [360, 1200])
def test_nothing_is_wider_than_the_page(browser: Browser, hostile: Path, width: int) -> None:
    browser.open(hostile, width=width)
    browser.run("document.querySelectorAll('details').forEach(d => { d.open = true })")
    assert browser.run("return window.innerWidth") == width
    assert browser.run("return document.documentElement.scrollWidth") <= width


def test_reasons_open_by_keyboard(browser: Browser, plain: RunFolder) -> None:
    from selenium.webdriver.common.keys import Keys

    browser.open(plain.path / "report.html")
    summary = browser.driver.find_element("css selector", "details.reason summary")
    evidence = browser.driver.find_element("css selector", "details.reason .evidence")
    assert not evidence.is_displayed()
    browser.run("arguments[0].focus()", summary)
    browser.driver.switch_to.active_element.send_keys(Keys.ENTER)
    assert evidence.is_displayed()
    assert "it ends" in evidence.text


@pytest.mark.parametrize("dark", [False, True])
def test_every_text_stands_out_from_what_is_behind_it(
    browser: Browser, plain: RunFolder, dark: bool
) -> None:
    browser.open(plain.path / "report.html", dark=dark)
    browser.run("document.querySelectorAll('details').forEach(d => { d.open = true })")
    pairs = browser.run(_COLOURS)
    assert (_luminance(pairs[0][1]) < 0.1) == dark
    low = {(a, b) for a, b in map(tuple, pairs) if _contrast(a, b) < 4.5}
    assert not low


# Each colour of a text, and the first that is painted behind it.
_COLOURS = """
const behind = element => {
  for (let at = element; at; at = at.parentElement) {
    const colour = getComputedStyle(at).backgroundColor;
    if (!/, 0\\)$|transparent/.test(colour)) return colour;
  }
  return 'rgb(255, 255, 255)';
};
const found = new Map();
for (const element of document.body.querySelectorAll('*')) {
  if (![...element.childNodes].some(n => n.nodeType === 3 && n.data.trim())) continue;
  const pair = [getComputedStyle(element).color, behind(element)];
  found.set(pair.join(), pair);
}
return [...found.values()];
"""


def _luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    low, high = sorted([_luminance(one), _luminance(other)])
    return (high + 0.05) / (low + 0.05)
