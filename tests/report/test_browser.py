"""Pages of reports in a real browser.

Everything is seen, at both widths, light and dark, by everybody, and nothing is fetched.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from report_pages import Page

import lehr as api

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        CHROMIUM is None, reason="chromium is not installed (Debian: apt install chromium)"
    ),
]
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
OVERFLOWING = """() => [...document.querySelectorAll("body *")]
    .filter(e => !e.closest(".scroll, svg, .skip") && e.getBoundingClientRect().right > innerWidth)
    .map(e => e.outerHTML.slice(0, 80))"""
UNSEEN = """() => [...document.querySelectorAll("figure svg")]
    .filter(e => e.getBoundingClientRect().width < 200 || e.getBoundingClientRect().height < 40)
    .map(e => e.id)"""
SCROLLING = """() => [...document.querySelectorAll(".scroll")]
    .filter(e => e.scrollWidth > e.clientWidth && e.tabIndex != 0).length"""
INK = """() => ["body", "figure svg"].map(name =>
    getComputedStyle(document.querySelector(name)).color)"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium."""
    sync = pytest.importorskip("playwright.sync_api")
    with sync.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def pages(line: Path, built: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Pages of a run, of a model without samples, and of a built folder, by name."""
    folder = tmp_path_factory.mktemp("pages")
    sources = {"run": line / "run", "model": line / "model.nir", "artefact": built}
    for name, source in sources.items():
        api.report(source, line / "in.npz" if name == "artefact" else None, folder / f"{name}.html")
    return {name: folder / f"{name}.html" for name in sources}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1400])
@pytest.mark.parametrize("of", ["run", "model", "artefact"])
def test_a_page_is_seen_whole_by_everybody(
    browser: Any, pages: dict[str, Path], of: str, width: int, scheme: str
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True
    )
    try:
        page = context.new_page()
        said, asked = list[str](), list[str]()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        address = pages[of].as_uri()
        page.goto(address)
        pictures = sum(len(item.labels) for item in Page.of(pages[of]).items.values())
        assert page.locator("figure svg").count() == pictures
        assert page.locator("figure figcaption").count() == pictures
        assert pictures > {"run": 20, "model": 2, "artefact": 15}[of]
        assert page.evaluate(UNSEEN) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(OVERFLOWING) == []
        assert page.evaluate(SCROLLING) == 0
        ink, drawn = page.evaluate(INK)
        assert ink == drawn
        assert (int(ink.partition("(")[2].partition(",")[0]) > 128) == (scheme == "dark")
        answer = axe.run(page)
        assert answer.violations_count == 0, answer.generate_report()
        fetched = [url for url in asked if url != address and not url.startswith("data:")]
        assert (said, fetched) == ([], [])
    finally:
        context.close()


def test_a_page_prints_with_all_its_rows(browser: Any, pages: dict[str, Path]) -> None:
    context = browser.new_context(viewport={"width": 800, "height": 900}, color_scheme="dark")
    try:
        page = context.new_page()
        page.goto(pages["run"].as_uri())
        page.emulate_media(media="print")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == (
            "rgb(255, 255, 255)"
        )
        hidden = """() => [...document.querySelectorAll(".scroll")]
            .filter(e => e.scrollHeight > e.clientHeight + 1).length"""
        assert page.evaluate(hidden) == 0
        assert not page.locator("nav").is_visible()
        assert page.pdf(format="A4").startswith(b"%PDF")
    finally:
        context.close()


def test_tables_are_scrolled_by_keys(browser: Any, pages: dict[str, Path]) -> None:
    context = browser.new_context(viewport={"width": 400, "height": 900})
    try:
        page = context.new_page()
        page.goto(pages["run"].as_uri())
        table = page.locator("#layers .scroll").first
        table.focus()
        page.keyboard.press("ArrowRight")
        page.wait_for_function("document.activeElement.scrollLeft > 0")
    finally:
        context.close()
