"""What a NIR graph does not say: its step, how its equations are stepped, what a spike does, and which layer decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, get_args

from lehr.arithmetic import Fires, Reset, ResetTiming
from lehr.errors import UsageError
from lehr.export.nirgraph.graph import Cells, Graph, Wait
from lehr.export.nirgraph.times import odd_times
from lehr.network import OUTPUT
from lehr.refusals import Refusals
from lehr.spelling import either, nearest, option

Discretize = Literal["euler", "exact"]
Integrate = Literal["step", "ode"]
Current = Literal["new", "last"]
ReadWhat = Literal["count", "last", "sum", "max"]
CHOICES: Mapping[str, tuple[str, ...]] = {
    "reset": ("zero", "subtract"),
    "reset_timing": get_args(ResetTiming),
    "fires": ("gt", "ge"),
    "discretize": get_args(Discretize),
    "integrate": get_args(Integrate),
    "current": get_args(Current),
    "readout": get_args(ReadWhat),
}
_SHOWN = 20
_GIVE_DT = "give it in seconds, as --dt 1e-4 (in Python: dt=1e-4)"
LEAST_DT = 1e-15


@dataclass(frozen=True)
class Semantics:
    """How a graph is to be understood. The defaults are the equations of NIR's own documentation, stepped by forward Euler.

    Attributes:
        dt: seconds of a step; None where the graph has no time constants, or states it itself.
        reset: what a spike does: `zero` sets the membrane to v_reset, `subtract` takes v_threshold
            - v_reset away.
        reset_timing: right after the spike, or in the update of the next step.
        fires: whether a membrane at its threshold fires (`ge`) or not (`gt`).
        discretize: `euler` has decays of 1 - dt/tau, `exact` of exp(-dt/tau).
        integrate: what IF and I add in a step: r times their input (`step`), or r dt times it
            (`ode`).
        current: which current the membrane of CubaLIF and CubaLI takes: that of this step (`new`,
            snnTorch) or of the one before (`last`, the reference in the NIR paper's repository).
        readout: what is taken from the layer before the output: the `count` of its spikes, which
            None means where it fires, or of its membranes the `last`, the `sum` or the `max`.
        read_from: which layer that is, by its name in the graph, where several lead to the output.

    Raises:
        UsageError: when a field is none of these.
    """

    dt: float | None = None
    reset: Reset = "zero"
    reset_timing: ResetTiming = "same_step"
    fires: Fires = "gt"
    discretize: Discretize = "euler"
    integrate: Integrate | None = None
    current: Current = "new"
    readout: ReadWhat | None = None
    read_from: str | None = None

    def __post_init__(self) -> None:
        if self.dt is not None and not LEAST_DT <= self.dt <= 1 / LEAST_DT:
            raise UsageError(
                f"--dt is {self.dt:g}; give seconds, from {LEAST_DT:g} to {1 / LEAST_DT:g}"
            )
        for name, allowed in CHOICES.items():
            value = getattr(self, name)
            if value not in allowed and not (value is None and name in ("integrate", "readout")):
                raise UsageError(f"{option(name)} is {value!r}; {either(str(value), allowed)}")


def decided(graph: Graph, told: Semantics, refusals: Refusals) -> Graph:
    """Return the graph whose output is fed by the layer that `read_from` names; a missing or wrong name goes to `refusals`, as UsageError."""
    choice = " or ".join(
        f"--read-from {source}" for source in list(graph.heads)[:_SHOWN]
    ) + " ..." * (len(graph.heads) > _SHOWN)
    if told.read_from is None:
        if len(graph.heads) > 1:
            refusals.add(
                UsageError(
                    f"the output is fed by {len(graph.heads)} layers; say which of them decides: "
                    f"{choice}"
                )
            )
        return graph
    named = {layer: (layer, source, graph.names[source]) for source, layer in graph.heads.items()}
    layer = next((layer for layer, names in named.items() if told.read_from in names), None)
    if layer is None:
        way_out = f"{nearest(told.read_from, graph.heads)} use {choice}".strip()
        refusals.add(
            UsageError(
                f"--read-from is {told.read_from!r}, which does not lead to the output; {way_out}"
            )
        )
        return graph
    others = ", ".join(other for other in graph.heads.values() if other != layer)
    note = f"{layer} decides; what else leads to the output can be traced: {others}"
    edges = [edge for edge in graph.edges if edge[1] != OUTPUT]
    return replace(
        graph,
        edges=(*edges, (layer, OUTPUT)),
        notes=(*graph.notes, note) if others else graph.notes,
    )


def settled(graph: Graph, told: Semantics, refusals: Refusals) -> tuple[Semantics, tuple[str, ...]]:
    """Return the semantics with what the graph itself states filled in, and where each of them comes from, in sentences.

    Whatever is needed and neither says goes to `refusals`, as UsageErrors that name a node that
    needs it.
    """
    timed = next(
        (
            name
            for name, node in graph.nodes.items()
            if isinstance(node, Wait) or "tau" in _values(node)
        ),
        None,
    )
    integrating = next(
        (
            name
            for name, node in graph.nodes.items()
            if isinstance(node, Cells) and node.kind in ("IF", "I")
        ),
        None,
    )
    made, notes = told, list(graph.notes)
    if told.dt is None and graph.dt is not None:
        made = replace(made, dt=graph.dt)
        notes.append(f"dt is {graph.dt:g} s, from the graph's metadata")
    elif told.dt is not None:
        stated = (
            f", where the graph's metadata says {graph.dt:g}"
            if graph.dt not in (None, told.dt)
            else ""
        )
        notes.append(f"dt is {told.dt:g} s, as given{stated}")
    _ask(graph, told, made.dt, timed, integrating, refusals)
    made = replace(made, readout=told.readout or "count")
    notes.append(
        f"a membrane fires {'above' if made.fires == 'gt' else 'at or above'} its threshold; reset "
        f"{made.reset}, {made.reset_timing}"
    )
    notes.append(
        "a feedback edge carries the value of the step before; at the start every layer is silent "
        "and at its reset value"
    )
    if timed:
        notes.append(
            f"decays by {made.discretize}: "
            f"{'1 - dt/tau' if made.discretize == 'euler' else 'exp(-dt/tau)'}"
        )
    if integrating:
        notes.append(
            f"IF and I add {'r' if made.integrate == 'step' else 'r dt'} times their input in a "
            "step"
        )
    for name, cells in graph.cells.items():
        notes += [f"{name}: {odd}" for odd in odd_times(cells.values, made.dt)]
    if any(cells.cuba for cells in graph.cells.values()):
        notes.append(
            "membranes take the current of "
            f"{'this step' if made.current == 'new' else 'the step before'}"
        )
    return made, tuple(notes)


def _ask(
    graph: Graph,
    told: Semantics,
    dt: float | None,
    timed: str | None,
    integrating: str | None,
    refusals: Refusals,
) -> None:
    """Refuse what is not said: `timed` is a node with a time constant, `integrating` one that integrates."""
    last = graph.nodes[graph.outline.output]
    assert isinstance(last, Cells)
    if dt is None and timed:
        refusals.add(
            UsageError(
                f"{timed} has a time constant, and the graph does not say how long a step is; "
                f"{_GIVE_DT}"
            )
        )
    if integrating and told.integrate is None:
        refusals.add(
            UsageError(
                f"{integrating} integrates r times its input, and NIR files mean by that r in a "
                "step or r dt;"
                " say --integrate step (sinabs) or --integrate ode (NIR's equation)"
            )
        )
    if integrating and told.integrate == "ode" and dt is None:
        refusals.add(
            UsageError(
                f"{integrating} integrates over time, and the graph does not say how long a step "
                f"is; {_GIVE_DT}"
            )
        )
    if told.readout in (None, "count") and not last.fires:
        refusals.add(
            UsageError(
                f"{graph.outline.output} comes before the output and does not fire;"
                " say which of its values counts: --readout last, sum or max"
            )
        )


def _values(node: object) -> tuple[str, ...]:
    return ("tau",) if isinstance(node, Cells) and {"tau", "tau_mem"} & node.values.keys() else ()
