"""Templates and tables: the text of the artefact."""

from __future__ import annotations

from pathlib import Path

from lehr.artifact import to_json
from lehr.targets.c.layout import Layout
from lehr.targets.c.printer import called, helpers
from lehr.targets.c.tables import Constants
from lehr.targets.golden import FOLDER, stem
from lehr.targets.templates import environment
from lehr.update_text import TO_TEXT

LIBRARY = ("lehr_model.c", "lehr_model.h", "lehr_weights.h")
SOURCES = (
    *LIBRARY,
    "Makefile",
    "cortex_m.ld",
    "host.h",
    "host_cortex_m.c",
    "host_stdio.c",
    "main.c",
)
DESCRIPTION = "lehr_model.json"
TEMPLATES = Path(__file__).parent / "templates"


def tables(layout: Layout) -> list[Constants]:
    """Return the constants of every node that is part of the code."""
    names = dict.fromkeys((*layout.scattered, *map(layout.adds, layout.computed)))
    return [table for name in names for table in layout.rules[name].constants(layout, name)]


def render(layout: Layout) -> dict[str, bytes]:
    """Return all files of the artefact."""
    net, constants = layout.net, tables(layout)
    templates = environment(
        TEMPLATES,
        net=net,
        l=layout,
        tables=constants,
        table_bytes=sum(table.bytes for table in constants),
        largest_index=max([layout.memory.bytes, *(table.bytes for table in constants)]),
        largest_layer=max(layout.size(name) for name in net.neurons),
        kind=lambda node: type(node).__name__,
        helpers=helpers(layout.updates),
        called=called,
        words=lambda statement: TO_TEXT[type(statement)](statement)[0],
        describe=lambda name: layout.rules[name].words(net.nodes[name]),
        stem=lambda name: stem(net, name).removeprefix(f"{FOLDER}/"),
    )
    files = {
        name: templates.get_template(f"{name}.j2").render().encode()
        for name in (*SOURCES, "README.md")
    }
    layers = [{"layer": name, "shape": list(net.shapes[name])} for name in net.neurons]
    return {
        **files,
        DESCRIPTION: to_json(
            {"input": list(net.input.shape), "steps": net.steps, "layers": layers}
        ),
    }
