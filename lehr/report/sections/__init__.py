"""The items of a report, in their order: each module makes one of what was gathered."""

from __future__ import annotations

from collections.abc import Callable

from lehr.report.gather import Gathered
from lehr.report.section import Section
from lehr.report.sections import (
    accuracies,
    again,
    classes,
    costs,
    distributions,
    layers,
    membranes,
    network,
    rasters,
    search,
    training,
    verdict,
)

SECTIONS: tuple[Callable[[Gathered], Section], ...] = (
    verdict.section,
    accuracies.section,
    training.section,
    network.section,
    layers.section,
    rasters.section,
    membranes.section,
    classes.section,
    costs.section,
    distributions.section,
    again.section,
)

SEARCH = (verdict.section, search.section, again.section)
"""Those of a search."""

__all__ = ["SEARCH", "SECTIONS"]
