"""What lehr measures of a trained network for a search, on the validation samples alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from lehr.errors import NotMappable
from lehr.export.checkpoint import Run
from lehr.network import Network
from lehr.simulate.fast.engine import Engine
from lehr.simulate.statistics import operations
from lehr.targets import registry
from lehr.targets.build import GOLDEN_SAMPLES, build, with_input
from lehr.targets.contract import Figure
from lehr.train.data import Dataset
from lehr.train.learning.evaluation import accuracy
from lehr.train.objectives.objective import objective
from lehr.train.recipe import Recipe
from lehr.train.twin.network import Twin


@dataclass(frozen=True)
class Building:
    """How a network is built for a target.

    Attributes:
        options: of the target.
        measure: whether the tools of this machine measure the artefact.
    """

    options: Mapping[str, str] = field(default_factory=dict)
    measure: bool = False


def measured(
    run: Run, recipe: Recipe, data: Dataset, builds: Mapping[str, Building]
) -> tuple[dict[str, float], dict[str, str]]:
    """Return measures by name, and the targets that refuse the network, with their reasons.

    Args:
        run: with the integer network.
        recipe: of the run.
        data: of whose validation samples the measures are.
        builds: by target.

    Raises:
        UsageError: for an option that a target does not have.
        NotBitExact: when a tool that is to measure an artefact fails on it.
    """
    net, x = run.network, data.validation.x[:]
    result = Engine(net).run(x)
    spikes = sum(int(layer.spikes.sum()) for layer in result.layers.values())
    measures = {
        "accuracy": accuracy(
            Twin(net, latents=run.latents), data.validation, objective(recipe, data)
        ),
        "spikes": spikes / len(x),
        "operations": sum(each.events for each in operations(net, result).values()) / len(x),
    }
    rates, refused = with_input(net, result, x), dict[str, str]()
    for name, building in builds.items():
        try:
            estimated = figures(net, name, building, rates, x[:GOLDEN_SAMPLES])
        except NotMappable as error:
            # a table of what is needed and there stands below its first line
            refused[name] = "; ".join(str(each).partition("\n")[0] for each in error.args)
            continue
        measures |= estimated
    return measures, refused


def figures(
    net: Network,
    name: str,
    building: Building,
    rates: Mapping[str, float],
    golden: npt.NDArray[np.uint8] | None = None,
) -> dict[str, float]:
    """Return a target's estimate, and what tools measure if that is asked for, by TARGET.FIGURE.

    Args:
        net: the network.
        name: of the target.
        building: how it is built.
        rates: as the target's estimate takes them.
        golden: samples on which the artefact is measured; synthetic ones if None.

    Raises:
        NotMappable: when the target refuses the network, or its device cannot hold it.
        UsageError: for an option that it does not have, or a value that it does not take; when
            nothing here measures its artefact.
        NotBitExact: when a tool fails on it.
    """
    target = registry.get(name)
    target.require_options(building.options)
    target.require_mappable(net)
    target.plan(net, building.options)
    estimated = _named(name, target.estimate(net, rates, building.options).figures)
    if building.measure:
        built = build(net, target, golden, building.options, measure=True)
        estimated |= _named(name, built.measured)
    return estimated


def _named(target: str, figures: Iterable[Figure]) -> dict[str, float]:
    return {f"{target}.{figure.name}": float(figure.value) for figure in figures}
