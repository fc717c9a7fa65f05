"""The tables of a built artefact: what the build estimated, and what the target's own tools have written beside it since."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lehr.artifact import read_manifest
from lehr.errors import FileRefused
from lehr.targets import registry
from lehr.targets.contract import Table

FOLDER = "report"


def tables(folder: Path) -> list[Table]:
    """All tables of the artefact in `folder`.

    Raises:
        UsageError: when `folder` is no artefact.
        FileRefused: when a file of its report does not parse.
    """
    target = registry.get(str(read_manifest(folder).get("target")))
    try:
        figures, widths = (json.loads((folder / FOLDER / name).read_bytes()) for name in ("estimate.json", "widths.json"))
        made = [
            _figures("estimate", figures),
            Table(
                "widths", ("layer", "membrane", "bits"), tuple((name, _span(w["membrane"]), int(w["bits"])) for name, w in widths.items())
            ),
        ]
        measured = folder / FOLDER / "measured.json"
        if measured.is_file():
            made.append(_figures("measured at the build", json.loads(measured.read_bytes())))
        return [*made, *(table for table in target.report(folder) if table.rows)]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise FileRefused(f"the report in {folder / FOLDER} cannot be read ({error}); build the artefact again") from None


def _figures(title: str, figures: list[dict[str, Any]]) -> Table:
    return Table(title, ("figure", "value", "unit", "source"), tuple(map(_figure, figures)))


def _figure(figure: dict[str, Any]) -> tuple[object, ...]:
    return figure["name"], number(float(figure["value"])), figure["unit"], figure["source"]


def _span(bounds: list[int]) -> str:
    low, high = bounds
    return f"{low:,}..{high:,}"


def number(value: float) -> str:
    """A number as people read it."""
    return f"{value:,.0f}" if value == int(value) or abs(value) >= 100 else f"{value:.4g}"
