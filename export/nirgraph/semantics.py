"""What a NIR graph does not say: its step, how its equations are stepped, and what a spike does; and the step that follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from lehr.arithmetic import Fires, Reset, ResetTiming
from lehr.errors import NotMappable, Refusals, UsageError
from lehr.export.fold import Float
from lehr.export.levels import TOLERANCE
from lehr.export.nirgraph.graph import Cells, Graph, Wait
from lehr.export.nirgraph.times import NEAR, odd_time, odd_times
from lehr.network import OUTPUT

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
_FINEST = 1 << 16
_GIVE_DT = "give it in seconds, as --dt 1e-4 (in Python: dt=1e-4)"
LEAST_DT = 1e-15


@dataclass(frozen=True)
class Semantics:
    """How a graph is to be understood. The defaults are the equations of NIR's own documentation, stepped by forward Euler.

    Attributes:
        dt: seconds of a step; None where the graph has no time constants, or states it itself.
        reset: what a spike does: `zero` sets the membrane to v_reset, `subtract` takes v_threshold - v_reset away.
        reset_timing: right after the spike, or in the update of the next step.
        fires: whether a membrane at its threshold fires (`ge`) or not (`gt`).
        discretize: `euler` has decays of 1 - dt/tau, `exact` of exp(-dt/tau).
        integrate: what IF and I add in a step: r times their input (`step`), or r dt times it (`ode`).
        current: which current the membrane of CubaLIF and CubaLI takes: that of this step (`new`, snnTorch) or of the one before
            (`last`, the reference in the NIR paper's repository).
        readout: what is taken from the layer before the output: the `count` of its spikes, which None means where it fires, or of its
            membranes the `last`, the `sum` or the `max`.
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
            raise UsageError(f"dt is {self.dt}; give seconds, from {LEAST_DT:g} to {1 / LEAST_DT:g}")
        for name, allowed in CHOICES.items():
            value = getattr(self, name)
            if value not in allowed and not (value is None and name in ("integrate", "readout")):
                raise UsageError(f"{name} is {value!r}; use {' or '.join(map(repr, allowed))}")


def decided(graph: Graph, told: Semantics, refusals: Refusals) -> Graph:
    """The graph whose output is fed by the layer that `read_from` names; a missing or wrong name goes to `refusals`, as UsageError."""
    choice = " or ".join(f"--read-from {source}" for source in graph.heads)
    if told.read_from is None:
        if len(graph.heads) > 1:
            refusals.add(UsageError(f"the output is fed by {len(graph.heads)} layers; say which of them decides: {choice}"))
        return graph
    named = {layer: (layer, source, graph.names[source]) for source, layer in graph.heads.items()}
    layer = next((layer for layer, names in named.items() if told.read_from in names), None)
    if layer is None:
        refusals.add(UsageError(f"read_from is {told.read_from!r}, which does not lead to the output; use {choice}"))
        return graph
    others = ", ".join(other for other in graph.heads.values() if other != layer)
    note = f"{layer} decides; what else leads to the output can be traced: {others}"
    edges = [edge for edge in graph.edges if edge[1] != OUTPUT]
    return replace(graph, edges=(*edges, (layer, OUTPUT)), notes=(*graph.notes, note) if others else graph.notes)


def settled(graph: Graph, told: Semantics, refusals: Refusals) -> tuple[Semantics, tuple[str, ...]]:
    """The semantics with what the graph itself states filled in, and where each of them comes from, in sentences.

    Whatever is needed and neither says goes to `refusals`, as UsageErrors that name a node that needs it.
    """
    timed = next((name for name, node in graph.nodes.items() if isinstance(node, Wait) or "tau" in _values(node)), None)
    integrating = next((name for name, node in graph.nodes.items() if isinstance(node, Cells) and node.kind in ("IF", "I")), None)
    made, notes = told, list(graph.notes)
    if told.dt is None and graph.dt is not None:
        made = replace(made, dt=graph.dt)
        notes.append(f"dt is {graph.dt:g} s, from the graph's metadata")
    elif told.dt is not None:
        stated = f", where the graph's metadata says {graph.dt:g}" if graph.dt not in (None, told.dt) else ""
        notes.append(f"dt is {told.dt:g} s, as given{stated}")
    last = graph.nodes[graph.outline.output]
    assert isinstance(last, Cells)
    if made.dt is None and timed:
        refusals.add(UsageError(f"{timed} has a time constant, and the graph does not say how long a step is; {_GIVE_DT}"))
    if integrating and told.integrate is None:
        refusals.add(
            UsageError(
                f"{integrating} integrates r times its input, and NIR files mean by that r in a step or r dt;"
                " say --integrate step (sinabs) or --integrate ode (NIR's equation)"
            )
        )
    if integrating and told.integrate == "ode" and made.dt is None:
        refusals.add(UsageError(f"{integrating} integrates over time, and the graph does not say how long a step is; {_GIVE_DT}"))
    if told.readout in (None, "count") and not last.fires:
        refusals.add(
            UsageError(
                f"{graph.outline.output} comes before the output and does not fire; say which of its values counts: --readout last, sum or max"
            )
        )
    made = replace(made, readout=told.readout or "count")
    notes.append(
        f"a membrane fires {'above' if made.fires == 'gt' else 'at or above'} its threshold; reset {made.reset}, {made.reset_timing}"
    )
    notes.append("a feedback edge carries the value of the step before; at the start every layer is silent and at its reset value")
    if timed:
        notes.append(f"decays by {made.discretize}: {'1 - dt/tau' if made.discretize == 'euler' else 'exp(-dt/tau)'}")
    if integrating:
        notes.append(f"IF and I add {'r' if made.integrate == 'step' else 'r dt'} times their input in a step")
    for name, cells in graph.cells.items():
        notes += [f"{name}: {odd}" for odd in odd_times(cells.values, made.dt)]
    if any(cells.cuba for cells in graph.cells.values()):
        notes.append(f"membranes take the current of {'this step' if made.current == 'new' else 'the step before'}")
    return made, tuple(notes)


def _values(node: object) -> tuple[str, ...]:
    return ("tau",) if isinstance(node, Cells) and {"tau", "tau_mem"} & node.values.keys() else ()


@dataclass(frozen=True)
class Step:
    """One step of a layer, per neuron, with `u` the membrane above v_reset; arrays of the layer's shape.

    u = beta u + gain x + drive, or with a synapse state  J = alpha J + gain x;  u = beta u + J + drive.

    Attributes:
        beta: decay of the membrane.
        alpha: decay of the synapse state; None where there is none.
        gain: of the input.
        drive: what is added in every step: the leak towards v_leak.
        threshold: v_threshold - v_reset; None where nothing fires.
    """

    beta: Float
    alpha: Float | None
    gain: Float
    drive: Float
    threshold: Float | None


def require_neurons(cells: Cells) -> None:
    """Refuse numbers that make no neurons, whatever the step is.

    Raises:
        NotMappable: naming the field. The caller names the layer.
    """
    v = cells.values
    if cells.fires and cells.kind != "Threshold" and not (height := v["threshold"] - v.get("v_reset", 0.0)).min() > 0:
        raise NotMappable(f"its threshold is {float(height.min()):g} above its reset value; use one above it")
    for name in ("r", "w_in"):
        if name in v and not (v[name] > 0).all():
            raise NotMappable(f"its {name} is {float(v[name].min()):g}; use one above 0, and the sign in the weights")
    for name in ("tau", "tau_mem", "tau_syn"):
        if name in v and not (v[name] > 0).all():
            raise NotMappable(f"its {name} is {float(v[name].min()):g} s; use one above 0")


def step_of(cells: Cells, how: Semantics) -> Step:
    """The step of a layer.

    Raises:
        NotMappable: when its numbers make no neuron. The caller names the layer.
    """
    require_neurons(cells)
    v, zero = cells.values, np.zeros(cells.shape)
    v_reset = v.get("v_reset", zero)
    threshold = v["threshold"] - v_reset if cells.fires else None
    if threshold is not None and cells.kind == "Threshold":  # one of 0 or below is raised, and so is what is compared with it
        lift = np.where(threshold > 0, 0.0, 1 - threshold)
        return Step(zero, None, np.ones(cells.shape), lift, threshold + lift)
    if cells.kind == "Readout":
        return Step(zero, None, np.ones(cells.shape), zero, None)
    if cells.kind in ("I", "IF"):
        return Step(zero + 1, None, v["r"] * (1.0 if how.integrate == "step" else how.dt or 0.0), zero, threshold)
    beta = _decay(v.get("tau", v.get("tau_mem", zero)), "tau_mem" if cells.cuba else "tau", how)
    gain, alpha = (1 - beta) * v["r"], None
    if cells.cuba:
        alpha = _decay(v["tau_syn"], "tau_syn", how)
        gain = gain * (1 - alpha) * v["w_in"]
    return Step(beta, alpha, gain, (1 - beta) * (v["v_leak"] - v_reset), threshold)


def _decay(tau: Float, name: str, how: Semantics) -> Float:
    """What is left of a state after a step; a decay as near to a multiple of 2**-16 as float32 can say it, is that."""
    assert how.dt is not None
    share = how.dt / tau if how.discretize == "euler" else -np.expm1(-how.dt / tau)
    if share.max() > 1 + TOLERANCE:
        if tau.min() < NEAR * how.dt:
            raise NotMappable(odd_time(tau, name, how.dt))
        raise NotMappable(
            f"its {name} is {float(tau.min()):g} s, shorter than the step of {how.dt:g} s; use a smaller --dt, or --discretize exact"
        )
    nearest = np.rint(share * _FINEST) / _FINEST
    return 1 - np.where(np.abs(share - nearest) <= TOLERANCE * share, nearest, share)
