"""One step of a layer of neurons, as its numbers and the semantics make it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lehr.errors import NotMappable
from lehr.export.fold import Float
from lehr.export.levels import TOLERANCE
from lehr.export.nirgraph.graph import Cells
from lehr.export.nirgraph.semantics import Semantics
from lehr.export.nirgraph.times import NEAR, odd_time

_FINEST = 1 << 16
_NOISE = 1e-12
"""The most by which double precision misses a quotient of times that is exact, and more.

float32 is a thousand times coarser.
"""


@dataclass(frozen=True)
class Step:
    """One step of a layer, per neuron, with `u` the membrane above v_reset.

    Its arrays are of the layer's shape.

        u = beta u + gain x + drive

    With a synapse state:

        J = alpha J + gain x
        u = beta u + J + drive

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
    if (
        cells.fires
        and cells.kind != "Threshold"
        and not (height := v["threshold"] - v.get("v_reset", 0.0)).min() > 0
    ):
        raise NotMappable(
            f"its threshold is {float(height.min()):g} above its reset value; use one above it"
        )
    for name in ("r", "w_in"):
        if name in v and not (v[name] > 0).all():
            raise NotMappable(
                f"its {name} is {float(v[name].min()):g}; use one above 0, and the sign in the "
                "weights"
            )
    for name in ("tau", "tau_mem", "tau_syn"):
        if name in v and not (v[name] > 0).all():
            raise NotMappable(f"its {name} is {float(v[name].min()):g} s; use one above 0")


def step_of(cells: Cells, semantics: Semantics) -> Step:
    """Return the step of a layer.

    Raises:
        NotMappable: when its numbers make no neuron. The caller names the layer.
    """
    require_neurons(cells)
    v, zero = cells.values, np.zeros(cells.shape)
    v_reset = v.get("v_reset", zero)
    threshold = v["threshold"] - v_reset if cells.fires else None
    # a threshold of 0 or below is raised, and so is what is compared with it
    if threshold is not None and cells.kind == "Threshold":
        lift = np.where(threshold > 0, 0.0, 1 - threshold)
        return Step(zero, None, np.ones(cells.shape), lift, threshold + lift)
    if cells.kind == "Readout":
        return Step(zero, None, np.ones(cells.shape), zero, None)
    if cells.kind in ("I", "IF"):
        return Step(
            zero + 1,
            None,
            v["r"] * (1.0 if semantics.integrate == "step" else semantics.dt or 0.0),
            zero,
            threshold,
        )
    beta = _decay(
        v.get("tau", v.get("tau_mem", zero)), "tau_mem" if cells.cuba else "tau", semantics
    )
    gain, alpha = (1 - beta) * v["r"], None
    if cells.cuba:
        alpha = _decay(v["tau_syn"], "tau_syn", semantics)
        gain = gain * (1 - alpha) * v["w_in"]
    return Step(beta, alpha, gain, (1 - beta) * (v["v_leak"] - v_reset), threshold)


def _decay(tau: Float, name: str, semantics: Semantics) -> Float:
    """Return what is left of a state after a step.

    A decay that is as near to a multiple of 2**-16 as float32 can say it is taken for that.
    """
    assert semantics.dt is not None
    share = _lost(tau, semantics.dt, semantics)
    if share.max() > 1 + TOLERANCE:
        if tau.min() < NEAR * semantics.dt:
            raise NotMappable(odd_time(tau, name, semantics.dt))
        raise NotMappable(
            f"its {name} is {float(tau.min()):g} s, shorter than the step of {semantics.dt:g} s; "
            "use a smaller --dt, or --discretize exact"
        )
    nearest = np.rint(share * _FINEST) / _FINEST
    return 1 - np.where(np.abs(share - nearest) <= TOLERANCE * share, nearest, share)


def _lost(tau: Float, dt: float, semantics: Semantics) -> Float:
    """Return the share of a state that a step takes away."""
    # a share without bounds is refused, and said, where it is used
    with np.errstate(over="ignore"):
        share: Float = dt / tau if semantics.discretize == "euler" else -np.expm1(-dt / tau)
    return share


def taken_for_exact(cells: Cells, step: Step, semantics: Semantics) -> list[str]:
    """Return sentences on time constants that were taken for others.

    These are as near as float32 says a time.
    """
    said = []
    for name in {"tau", "tau_mem", "tau_syn"} & set(cells.values):
        assert semantics.dt is not None
        beta = step.alpha if name == "tau_syn" and step.alpha is not None else step.beta
        share = _lost(cells.values[name], semantics.dt, semantics)
        if (moved := float(np.abs(1 - beta - share).max())) > _NOISE:
            said.append(
                f"its decay by {name} is taken for {float(beta.flat[0]):g}, {moved:.1g} away, as "
                "near as float32 says a time"
            )
    return sorted(said)
