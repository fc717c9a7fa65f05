"""The layers of a rewritten graph: levels for weights, neurons per channel.

Weights have one step per output wherever their currents are added.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from lehr.arithmetic import MAX_SHIFT, Arithmetic, Synapse
from lehr.errors import NotMappable
from lehr.export.decays import (
    Decay,
    exact_decay,
    exact_decays,
    own_decays,
    require_leak,
    rounded_decay,
)
from lehr.export.digits import DOUBLE, digits
from lehr.export.fold import THRESHOLD_ERROR, Affine, Float
from lehr.export.levels import kind_of, within_kind
from lehr.export.nirgraph.graph import Cells, Flat, Weights, weights_node
from lehr.export.nirgraph.rewrite import Rewritten, columns
from lehr.export.nirgraph.semantics import Semantics
from lehr.export.nirgraph.steps import Step
from lehr.export.nirgraph.times import odd_times
from lehr.export.pending import Dynamics, Waiting
from lehr.network import INPUT
from lehr.nodes import Conv2d, Linear
from lehr.weights import WeightKind

ALIKE = 1e-6
"""Numbers that differ by less than this share of themselves are one, as float32 may write it."""


@dataclass(frozen=True)
class Options:
    """Choices in making integers.

    Attributes:
        weights: what weights are rounded to.
        decay_bits: n, to which decays that are no k/2**16 are rounded; None for the least that
            keeps their time constant within `error`.
        fraction_bits: F of every layer; None for the least that keeps rounding within `error` of
            the threshold.
        error: the share of a time constant, or of a threshold, that rounding may come to.
        decay: what is done where the neurons of a layer differ in a time constant: `own` gives each
            its own, `common` takes the mean.
        maps: what is done where neurons of a channel differ in threshold, gain or bias: `own` gives
            each its own, `mean` takes the mean.
    """

    weights: WeightKind = "int8"
    decay_bits: int | None = None
    fraction_bits: int | None = None
    error: float = THRESHOLD_ERROR
    decay: Literal["own", "common"] = "own"
    maps: Literal["own", "mean"] = "own"


@dataclass(frozen=True)
class QuantizedWeights:
    """One node of weights.

    Attributes:
        node: its levels.
        step: what one level is worth, per output.
        error: how far the levels are from the real weights, as a share of the norm of these.
        exact: they are the real weights.
    """

    node: Conv2d | Linear
    step: Float
    error: float
    exact: bool


def quantize_weights(
    graph: Rewritten, kind: WeightKind, full_scale: float
) -> dict[str, QuantizedWeights]:
    """Make levels of all weights; those whose currents are added share a step per output.

    Raises:
        NotMappable: when weights that are added depend on each other's step.
    """
    quantized: dict[str, QuantizedWeights] = {}
    waiting = _groups(graph)
    while waiting:
        ready = [
            group
            for group in waiting
            if all(root in quantized for name in group for root in _behind(graph, name))
        ]
        if not ready:
            raise NotMappable(
                f"{waiting[0][0]}: its currents are added to those of weights that lead to it; put "
                "neurons between them"
            )
        for group in ready:
            quantized |= _one_step(
                {name: _incoming(graph, name, quantized, full_scale) for name in group}, graph, kind
            )
        waiting = [group for group in waiting if group not in ready]
    return quantized


def _groups(graph: Rewritten) -> list[list[str]]:
    """Group the nodes of weights whose currents are added somewhere."""
    owner = {name: name for name, node in graph.nodes.items() if isinstance(node, Weights)}

    def find(name: str) -> str:
        return name if owner[name] == name else find(owner[name])

    for name in graph.nodes:
        weighted = [
            root for source in graph.sources(name) for root in graph.roots(source) if root in owner
        ]
        for other in weighted[1:]:
            owner[find(other)] = find(weighted[0])
    return [
        [name for name in owner if find(name) == first] for first in owner if owner[first] == first
    ]


def _behind(graph: Rewritten, name: str) -> list[str]:
    """Return the weights whose currents the weights of a node take."""
    roots = [root for source in graph.sources(name) for root in graph.roots(source)]
    return [root for root in roots if isinstance(graph.nodes.get(root), Weights)]


def signal(
    graph: Rewritten, name: str, quantized: Mapping[str, QuantizedWeights], full_scale: float
) -> Float:
    """Return what one unit of the integers that leave a node is worth, per channel."""
    if name == INPUT:
        return np.full(graph.shapes[INPUT][0], 1 / full_scale)
    node = graph.nodes[name]
    if isinstance(node, Cells):
        return np.ones(node.shape[0])
    if isinstance(node, Weights):
        return quantized[name].step
    source = graph.sources(name)[0]
    unit = signal(graph, source, quantized, full_scale)
    return np.repeat(unit, graph.shapes[name][0] // len(unit)) if isinstance(node, Flat) else unit


def _incoming(
    graph: Rewritten, name: str, quantized: Mapping[str, QuantizedWeights], full_scale: float
) -> Float:
    """Return real weights for integers as their input."""
    node = graph.nodes[name]
    assert isinstance(node, Weights)
    return columns(node, signal(graph, graph.sources(name)[0], quantized, full_scale))


def _one_step(
    group: Mapping[str, Float], graph: Rewritten, kind: WeightKind
) -> dict[str, QuantizedWeights]:
    rows = [weight.reshape(len(weight), -1) for weight in group.values()]
    even = len({len(each) for each in rows}) == 1
    joint = (
        np.concatenate(rows, axis=1)
        if even
        else np.concatenate([each.ravel() for each in rows])[None]
    )
    read = within_kind(joint, kind)
    silent = ~joint.any(axis=1)
    step = np.where(silent, np.median(read.step[~silent]) if not silent.all() else 1.0, read.step)
    quantized, at = {}, 0
    for (name, weight), each in zip(group.items(), rows, strict=True):
        width = each.shape[1] if even else each.size
        levels = read.levels[:, at : at + width].reshape(weight.shape)
        at += width
        steps = step if even else np.full(len(weight), step[0])
        node = graph.nodes[name]
        assert isinstance(node, Weights)
        back = levels * steps.reshape(-1, *[1] * (weight.ndim - 1))
        error = float(
            np.linalg.norm(weight - back)
            / max(float(np.linalg.norm(weight)), np.finfo(np.float64).tiny)
        )
        quantized[name] = QuantizedWeights(
            weights_node(node, levels, kind_of(levels)), steps, error, read.moved == 0
        )
    return quantized


class LayerReader:
    """Reader of a layer of neurons: from its step to what waits for integers."""

    def __init__(
        self, name: str, cells: Cells, step: Step, semantics: Semantics, options: Options
    ) -> None:
        self.name, self.cells, self.step, self.semantics, self.options = (
            name,
            cells,
            step,
            semantics,
            options,
        )
        self.notes: list[str] = []
        self.by_neuron = False
        self.digits = digits(step.gain)

    def read(self, unit: Float, scale: Float, silent: Float, exact: bool, factors: int) -> Waiting:
        """Return the layer.

        Args:
            unit: what one unit of its integer input is worth, per channel.
            scale: what scales before it come to, of its shape.
            silent: its input while nothing fires, of its shape: the biases on the way to it.
            exact: nothing was rounded in what leads to it.
            factors: the most binary digits of what is multiplied with on the way to it.

        Raises:
            NotMappable: when an integer layer is not like that. The caller names it.
        """
        step = self.step
        height = np.ones(self.cells.shape) if step.threshold is None else step.threshold
        gain, bias, drive = step.gain * scale, step.gain * silent, step.drive
        if step.alpha is not None and bias.any() and drive.any():
            raise NotMappable(
                "it has both a bias at its synapse and a leak towards another value than its "
                "reset's, and an integer neuron has one bias:"
                " make v_leak equal to v_reset, or the bias 0"
            )
        offset, widest = bias + drive, np.abs(gain).max()
        self.by_neuron = self._differs(
            step, ((gain, widest), (offset, height.max()), (height, height.max()))
        )
        decay, alpha = (
            self._decay(step.beta, "decay"),
            None if step.alpha is None else self._decay(step.alpha, "synapse's decay"),
        )
        gain = self._numbers(gain, "gain", widest)
        gain = gain * np.repeat(unit, len(gain) // len(unit))
        offset, theta = (
            self._numbers(offset, "bias", height.max()),
            self._numbers(height, "threshold", height.max()),
        )
        to_synapse = bool(bias.any())
        keeps = self.cells.kind in ("Threshold", "Readout")
        arithmetic = Arithmetic(
            decay_numerator=decay.common(1)[0],
            decay_shift=decay.common(1)[1],
            reset="none" if keeps or not self.cells.fires else self.semantics.reset,
            reset_timing=self.semantics.reset_timing,
            fires=self.semantics.fires if self.cells.fires else "never",
        )
        synapse = None
        if alpha is not None:
            numerator, shift = alpha.common(0)
            synapse = Synapse(
                decay_numerator=numerator,
                decay_shift=shift,
                bias_to="synapse" if to_synapse else "membrane",
            )
            if to_synapse and self.semantics.current == "last":
                self.notes.append(f"{self.name}: its bias acts one step earlier than in the graph")
        decays = (decay,) if alpha is None else (decay, alpha)
        exact, most = exact and not self.notes, max(factors, self.digits)
        dynamics = Dynamics(
            arithmetic, decays, theta, synapse, self.cells.shape if self.by_neuron else None
        )
        return Waiting(
            self.name, Affine(gain, offset), dynamics, tuple(self.notes), exact, digits=most
        )

    def _differs(self, step: Step, numbers: tuple[tuple[Float, float], ...]) -> bool:
        """Return whether neurons of one channel differ; each neuron then has its own numbers."""
        decays = [
            (beta, float((1 - beta).min())) for beta in (step.beta, step.alpha) if beta is not None
        ]
        own = [
            *(numbers if self.options.maps == "own" else ()),
            *(decays if self.options.decay == "own" else ()),
        ]
        return any(
            float(np.ptp(self._rows(values), axis=1).max()) > ALIKE * unit for values, unit in own
        )

    def _rows(self, values: Float) -> Float:
        return np.broadcast_to(values, self.cells.shape).reshape(self.cells.shape[0], -1)

    def _decay(self, values: Float, what: str) -> Decay:
        beta, left = float(values.flat[0]), 1 - float(values.flat[0])
        if float(np.ptp(values)) > ALIKE * left and self.options.decay == "own":
            return self._own_decays(values, what)
        self.digits = DOUBLE if np.ptp(values) else self.digits
        if float(np.ptp(values)) > ALIKE * left:
            beta = float(values.mean())
            self.notes.append(
                f"{self.name}: {what}s of {values.min():.6g} to {values.max():.6g} became one, "
                "their mean"
            )
        exact = exact_decay(beta)
        if exact is not None:
            return exact
        left, bits = 1 - beta, self.options.decay_bits
        tried = range(1, MAX_SHIFT + 1) if bits is None else (bits,)
        near = (
            rounded
            for n in tried
            if (rounded := rounded_decay(beta, n)).moved <= self.options.error * left or bits
        )
        decay = next(near, rounded_decay(beta, MAX_SHIFT))
        self._require_leak(decay, what, beta, tried[-1])
        self._note_moved(decay, what, decay.moved / left)
        return decay

    def _own_decays(self, values: Float, what: str) -> Decay:
        """Return a decay for each neuron, with the least shift that keeps to the asked error."""
        rows = self._rows(values)
        betas = rows.ravel() if self.by_neuron else rows[:, 0]
        exact, bits = exact_decays(betas), self.options.decay_bits
        if exact is not None:
            return exact
        tried = range(1, MAX_SHIFT + 1) if bits is None else (bits,)

        def share(decay: Decay) -> float:
            return float((np.abs(decay.beta - betas) / (1 - betas)).max())

        near = (
            decays
            for n in tried
            if share(decays := own_decays(betas, n)) <= self.options.error or bits
        )
        decay = next(near, own_decays(betas, MAX_SHIFT))
        self._require_leak(decay, what, float(betas.max()), tried[-1])
        self._note_moved(decay, what, share(decay))
        return decay

    def _require_leak(self, decay: Decay, what: str, beta: float, bits: int) -> None:
        usual = (
            "use a greater --dt"
            if self.options.decay_bits is None
            else "give a higher --decay-bits"
        )
        require_leak(
            decay,
            what,
            beta,
            bits,
            next(iter(odd_times(self.cells.values, self.semantics.dt)), usual),
        )

    def _note_moved(self, decay: Decay, what: str, share: float) -> None:
        low, high = int(np.min(decay.numerator)), int(np.max(decay.numerator))
        numerators = (
            f"{low}/{1 << decay.shift}"
            if not decay.own
            else f"{low}/{1 << decay.shift} to {high}/{1 << decay.shift}"
        )
        note = f"{self.name}: {what} moved by {decay.moved:.2g} to {numerators}"
        if self.options.decay_bits is None and share > self.options.error:
            most = f"{MAX_SHIFT} bits, the most that a decay has"
            note += (
                f", by {share:.2g} of its time constant and not {self.options.error:g} as asked, "
                f"for it has {most}"
            )
        self.notes.append(note)

    def _numbers(self, values: Float, what: str, unit: float) -> Float:
        """Return one number per channel of numbers per neuron, or each in one axis.

        Differences far below `unit` are none.
        """
        rows = self._rows(values)
        if self.by_neuron:
            return rows.ravel().copy()
        if (apart := float(np.ptp(rows, axis=1).max())) <= ALIKE * unit:
            self.digits = DOUBLE if apart else self.digits
            return rows[:, 0].copy()
        mean: Float = rows.mean(axis=1)
        worst = float(np.abs(rows - mean[:, None]).max())
        self.notes.append(f"{self.name}: {what} is its channel's mean, up to {worst:.3g} away")
        return mean
