"""The fraction bits of converted layers, their integers, and what is not in them as it was in the model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lehr.arithmetic import MAX_FRACTION_BITS
from lehr.export.fold import Folded, fold
from lehr.export.torch_layers import Waiting
from lehr.export.widths import LayerWidth
from lehr.nodes import Neuron


@dataclass(frozen=True)
class LayerReport:
    """What became of one layer of neurons.

    Attributes:
        source: qualified name of the module.
        folded: its integer thresholds and biases, and the scale that they are in.
        width: proven bounds of its membranes.
        exact: it is proven that this layer computes what the module does, for every input and over all steps of the network.
        notes: what was rounded, in sentences.
    """

    source: str
    folded: Folded
    width: LayerWidth
    exact: bool
    notes: tuple[str, ...]


def folded(wait: Waiting, bits: int) -> Folded:
    """Integer thresholds and biases with so many fraction bits."""
    return fold(wait.affine, wait.dynamics.threshold, fraction_bits=bits)


def _rounded(wait: Waiting, made: Folded) -> float:
    """By which share rounding moved a threshold or, in thresholds, a bias the most."""
    unit = 2.0**made.fraction_bits
    theta = wait.dynamics.threshold
    threshold, bias = unit * theta / made.scale, unit * wait.affine.offset / made.scale
    return float((np.maximum(np.abs(made.threshold - threshold), np.abs(made.bias - bias)) / threshold).max())


def needed_bits(wait: Waiting, steps: int) -> int:
    """With so many fraction bits nothing is ever rounded: thresholds and biases take some, and each step of leaking its shift."""
    least = next((bits for bits in range(MAX_FRACTION_BITS) if _rounded(wait, folded(wait, bits)) == 0), MAX_FRACTION_BITS)
    return least + wait.dynamics.bits_lost(steps)


def report(wait: Waiting, neuron: Neuron, width: LayerWidth, steps: int) -> LayerReport:
    """What became of a layer, whose fraction bits are chosen and whose membranes are bounded."""
    how, made = neuron.arithmetic, folded(wait, neuron.arithmetic.fraction_bits)
    notes, moved = list(wait.notes), _rounded(wait, made)
    if made.clamped:
        channels = ", ".join(map(str, made.clamped))
        notes.append(f"{wait.source}: channels {channels} have a gain near 0; their thresholds were clamped, prune or retrain them")
    if moved:
        notes.append(f"{wait.source}: thresholds or biases rounded, by up to {moved:.2g} of a threshold")
    leaks = how.fraction_bits < needed_bits(wait, steps) and wait.dynamics.bits_lost(steps) > 0
    if leaks:
        notes.append(f"{wait.source}: the leak is rounded to {how.fraction_bits} fraction bits in each step")
    # reset_delay=False: `r` of snnTorch's second reset is 0 as long as one reset brings every membrane to its threshold or below
    highest = width.membrane[1] + (how.fires == "ge")
    twice = how.reset == "subtract" and how.reset_timing == "same_step" and highest > 2 * int(made.threshold.min())
    if twice:
        notes.append(f"{wait.source}: a membrane over twice the threshold is reset once, where snnTorch then gives the threshold back")
    exact = wait.exact and not (moved or made.clamped or leaks or twice)
    return LayerReport(wait.source, made, width, exact, tuple(notes))
