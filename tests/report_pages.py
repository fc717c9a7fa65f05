"""A page read as a browser would, by Python's own parser: figures, tables, ids, texts."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

VOID = {"meta", "link", "br", "img", "hr", "input"}


@dataclass
class Table:
    """A table: its caption, and every row's cells, the head's included."""

    caption: str = ""
    rows: list[list[str]] = field(default_factory=list)
    scopes: list[str] = field(default_factory=list)


@dataclass
class Item:
    """A section of the page."""

    key: str
    text: str = ""
    captions: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)


class Page(HTMLParser):
    """A page.

    Attributes:
        items: its sections by key.
        ids: of all elements, in order.
        links: what is named by href, src, xlink:href or url().
        tags: of all elements.
        text: of all of it, but of styles.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.items: dict[str, Item] = {}
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self._item: Item | None = None
        self.feed(html)
        self.close()
        assert not self._open, self._open

    @classmethod
    def of(cls, path: Path) -> Page:
        """Read a page's file."""
        return cls(path.read_text("utf-8"))

    def table(self, key: str, caption: str) -> Table:
        """Return a table of a section."""
        (table,) = [t for t in self.items[key].tables if t.caption.startswith(caption)]
        return table

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take an element in."""
        attributes = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        if "id" in attributes:
            self.ids.append(attributes["id"])
        self.links += [
            attributes[name] for name in ("href", "src", "xlink:href") if name in attributes
        ]
        if tag == "section":
            self._item = self.items[attributes["id"]] = Item(attributes["id"])
        if self._item is not None:
            self._take(self._item, tag, attributes)
        if tag not in VOID:
            self._open.append(tag)

    def _take(self, item: Item, tag: str, attributes: dict[str, str]) -> None:
        if tag == "svg":
            assert attributes["role"] == "img"
            item.labels.append(attributes["aria-label"])
        elif tag == "figcaption":
            item.captions.append("")
        elif tag == "table":
            item.tables.append(Table())
        elif tag == "tr":
            item.tables[-1].rows.append([])
        elif tag in ("th", "td"):
            item.tables[-1].rows[-1].append("")
            item.tables[-1].scopes.append(attributes.get("scope", "") if tag == "th" else "-")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take in an element that holds nothing."""
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        """Close an element, which is the one that was opened last."""
        assert self._open.pop() == tag, tag
        if tag == "section":
            self._item = None

    def handle_data(self, data: str) -> None:
        """Take in a text."""
        if not self._open or self._open[-1] == "style":
            return
        self.text += data
        item, tag = self._item, self._open[-1]
        if item is None:
            return
        if "svg" not in self._open:
            item.text += data
        if tag == "figcaption":
            item.captions[-1] += data
        elif tag == "caption":
            item.tables[-1].caption += data
        elif tag in ("th", "td"):
            item.tables[-1].rows[-1][-1] += data
