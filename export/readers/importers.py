"""The importers of NIR that files are written for.

Of each is said which nodes it has, how long a step is to it, and what a spike does.

The facts are those of the versions in docs/interchange.md, where each importer is run on files that
are written by them.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from lehr.errors import UsageError
from lehr.spelling import one_of

_SPIKING = frozenset({"IF", "LIF", "CubaLIF"})
_NEURONS = _SPIKING | {"I", "LI", "CubaLI"}
_MAPS = frozenset({"Conv2d", "Flatten"})


@dataclass(frozen=True)
class Reader:
    """Facts of an importer: what it makes of a file.

    Attributes:
        dt: seconds that it takes for a step unless it is told otherwise.
        neurons: the types of neurons that it imports with their meaning.
        map_neurons: those that it imports for feature maps.
        nodes: the other types beside Input, Output and Affine.
        loops: whether it takes feedback edges.
        decay: what is left of a state after a step: 1 - dt/tau (`euler`) or exp(-dt/tau) (`exact`).
        reset: what a spike does to a membrane, at once. `zero` goes with one spike a step;
            `subtract` with as many as the membrane holds thresholds, and with firing at the
            threshold, too.
        drops_r: whether it leaves r out of the LIF's equation, so that weights have to carry it.
        takes_v_leak: whether v_leak may be other than 0.
        clips: the types whose membranes it keeps at minus the threshold or above.
        drives_first: whether a synapse state takes its input before it decays.
    """

    dt: float
    neurons: frozenset[str]
    map_neurons: frozenset[str]
    nodes: frozenset[str] = _MAPS
    loops: bool = False
    decay: Literal["euler", "exact"] = "euler"
    reset: Literal["zero", "subtract"] = "zero"
    drops_r: bool = False
    takes_v_leak: bool = False
    clips: frozenset[str] = frozenset()
    drives_first: bool = False


READERS = MappingProxyType(
    {
        "nir": Reader(
            1e-4, _NEURONS, _NEURONS, _MAPS | {"SumPool2d", "Delay"}, loops=True, takes_v_leak=True
        ),
        "norse": Reader(1e-3, _SPIKING, _SPIKING, _MAPS | {"SumPool2d"}, drops_r=True),
        "rockpool": Reader(
            1e-3,
            frozenset({"CubaLIF"}),
            frozenset(),
            frozenset(),
            decay="exact",
            reset="subtract",
            drives_first=True,
        ),
        "sc-neurocore": Reader(
            1.0, _NEURONS, frozenset(), frozenset({"Delay"}), loops=True, takes_v_leak=True
        ),
        "sinabs": Reader(
            1.0,
            frozenset({"LIF"}),
            frozenset({"IF"}),
            _MAPS | {"SumPool2d"},
            decay="exact",
            reset="subtract",
            clips=frozenset({"IF"}),
        ),
        "snntorch": Reader(1e-4, _SPIKING - {"IF"}, _SPIKING - {"IF"}),
        "spikingjelly": Reader(1e-4, _SPIKING, _SPIKING, loops=True),
    }
)
"""Importers by the name that pip has for them.

`nir` is NIR's own equations, stepped by forward Euler, the current before the membrane.
"""


def reader_named(name: str) -> Reader:
    """Return the importer of a name.

    Raises:
        UsageError: when it is none that files are written for.
    """
    if name not in READERS:
        raise UsageError(
            f"--for is {name!r}, no importer that lehr writes for; {one_of(name, READERS)}: nir is "
            "for any other"
        )
    return READERS[name]
