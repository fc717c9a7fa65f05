"""From phase A to phase B: what a layer's batch norm and neurons become in integers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import nn

from lehr.errors import NotMappable
from lehr.export.fold import Affine, in_units
from lehr.network import Neuron
from lehr.nodes import Int32Array
from lehr.train.floats.block import Block
from lehr.train.keys.shares import Shares
from lehr.train.keys.updates import Integers
from lehr.train.twin.folding import (
    THRESHOLD_MAX,
    TwinFold,
    choose_fraction_bits,
    fold_for_twin,
)


@dataclass(frozen=True)
class FoldedNeurons:
    """The neurons of one layer, before their thresholds are shared with others.

    Attributes:
        fold: their thresholds and biases in integers, and the signs that turned.
        update: what they compute.
        integrates: whether they never fire.
    """

    fold: TwinFold
    update: Integers
    integrates: bool

    @property
    def unit(self) -> float:
        """What an integer membrane step is worth in phase A's units, a power of two."""
        layer = self.fold.layer
        return float(
            2.0 ** round(float(np.log2(np.median(layer.scale)))) / 2.0**layer.fraction_bits
        )


def fold_neurons(block: Block, step: float, divisor: int, shares: Shares) -> FoldedNeurons:
    """Fold a layer's batch norm into its neurons.

    Args:
        block: the layer.
        step: what a level of the weights is worth in floats.
        divisor: what their sums are divided by there.
        shares: of the thresholds.

    Raises:
        NotMappable: when there are no integers for it.
    """
    own, update = _affine(block), block.neurons.update
    affine, fraction_bits = Affine(own.gain * step / divisor, own.offset), update.fraction_bits
    # of an integrator, the rounding of biases asks for fraction bits
    theta = 1.0 if block.integrates else float(block.neurons.threshold.detach())
    jump = 0.0 if update.adaptation is None else update.adaptation.jump
    if fraction_bits is None and jump and affine.gain.any():
        # the rounding of what a spike adds asks for them as well
        least = in_units(affine, min(jump, theta), 0)[0].min()
        fraction_bits = choose_fraction_bits(float(least))
    fold = fold_for_twin(affine, theta, fraction_bits, shares.most(THRESHOLD_MAX))
    integers = update.integers(
        fold.layer.fraction_bits,
        len(fold.layer.bias),
        block.neurons.factors,
        None if update.adaptation is None else _jumps(jump, fold),
    )
    return FoldedNeurons(fold, integers, block.integrates)


def _jumps(jump: float, fold: TwinFold) -> Int32Array:
    """Return what a spike adds to the state of an adaptation, by channel."""
    whole = np.rint(2.0**fold.layer.fraction_bits * jump / fold.layer.scale)
    if jump and not whole.all():
        raise NotMappable(
            f"adaptation.jump is {jump:g}, which is 0 in integers of "
            f"{fold.layer.fraction_bits} fraction bits; raise it, or use more fraction_bits"
        )
    if whole.max() > THRESHOLD_MAX:
        raise NotMappable(
            f"adaptation.jump is {jump:g}, which is {whole.max():,.0f} in integers, more than "
            f"{THRESHOLD_MAX:,}, up to which float32 training is exact; lower it"
        )
    return whole.astype(np.int32)


def shared_neurons(layers: dict[str, FoldedNeurons], shares: Shares) -> dict[str, Neuron]:
    """Return the layers of neurons by name, their thresholds shared and on their grid.

    Raises:
        NotMappable: when the thresholds of several layers cannot be one.
    """
    firing = {name: each.fold.layer for name, each in layers.items() if not each.integrates}
    if (
        shares.share == "network"
        and len(np.unique(np.concatenate([layer.scale for layer in firing.values()]))) > 1
    ):
        raise NotMappable(
            "network.thresholds.share is 'network', but a weight is worth different amounts in "
            "different layers, as pixels or steps of "
            "weights make it; give spikes to the network, or each layer a threshold of its own"
        )
    thresholds = shares.shared(
        {name: layer.threshold for name, layer in firing.items()}, THRESHOLD_MAX
    )
    return {name: _neuron(each, thresholds.get(name)) for name, each in layers.items()}


def _neuron(folded: FoldedNeurons, threshold: np.ndarray | None) -> Neuron:
    """Return a layer of neurons; those that never fire have no threshold."""
    layer, update = folded.fold.layer, folded.update
    return Neuron(
        np.zeros_like(layer.threshold) if threshold is None else threshold,
        layer.bias,
        update.arithmetic,
        update.synapse,
        update.parameters,
    )


def _affine(block: Block) -> Affine:
    norm = block.norm
    if not isinstance(norm, nn.modules.batchnorm._BatchNorm):
        return Affine(
            np.full(block.shape[0], float(block.neurons.gain.detach())),
            block.neurons.bias.detach().double().numpy(),
        )
    assert norm.running_mean is not None
    assert norm.running_var is not None
    parameters = (norm.weight, norm.bias, norm.running_mean, norm.running_var)
    weight, bias, mean, variance = (value.detach().double().numpy() for value in parameters)
    return Affine.batch_norm(weight, bias, mean, variance, norm.eps)
