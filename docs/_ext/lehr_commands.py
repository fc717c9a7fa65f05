"""A directive that prints every command of lehr, from the program itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from lehr.cli.app import app
from lehr.cli.examples import EXAMPLES


class Commands(SphinxDirective):
    """The place of all commands in a page, each a section."""

    def run(self) -> list[nodes.Node]:
        """Parse the commands' text as the page's own."""
        text = "\n".join(described(typer.main.get_command(app), "lehr", None, 2))
        return self.parse_text_to_nodes(text, allow_section_headings=True)


def described(command: Any, name: str, parent: Any, depth: int) -> Iterator[str]:
    """Yield the lines, in Markdown, of a command and of those below it.

    Args:
        command: of click.
        name: with all words before it, as `lehr recipes list`.
        parent: context of the command above; None for the first.
        depth: of its heading.
    """
    word = name.rpartition(" ")[2]
    context = command.make_context(word, [], parent=parent, resilient_parsing=True)
    yield from (f"{'#' * depth} {name}", "", paragraphs(command.help), "")
    yield from ("```text", command.get_usage(context).removeprefix("Usage: "), "```", "")
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record and "--help" not in parameter.opts:
            words, meaning = record
            yield from (f"`{words}`", f": {' '.join(meaning.split())}", "")
    if examples := EXAMPLES.get(name.removeprefix("lehr").strip()):
        yield from ("Examples:", "", "```text", *examples, "```", "")
    for below in getattr(command, "commands", {}).values():
        yield from described(below, f"{name} {below.name}", context, min(depth + 1, 3))


def paragraphs(text: str | None) -> str:
    """Return a help text without indentation and without click's marks."""
    lines = [line.strip() for line in (text or "").replace("\b", "").splitlines()]
    return "\n".join(lines)


def setup(sphinx: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    sphinx.add_directive("lehr-commands", Commands)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
