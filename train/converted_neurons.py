"""From phase A to phase B: what a layer's batch norm and neurons become in integers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from torch import nn

from lehr.arithmetic import Arithmetic
from lehr.errors import NotMappable
from lehr.export.fold import Affine
from lehr.network import Neuron
from lehr.train.block import Block
from lehr.train.folding import THRESHOLD_MAX, TwinFold, fold_for_twin
from lehr.train.shares import Shares
from lehr.train.updates import LayerUpdate


@dataclass(frozen=True)
class FoldedNeurons:
    """The neurons of one layer, before their thresholds are shared with others.

    Attributes:
        fold: their thresholds and biases in integers, and the signs that turned.
        update: what they compute.
    """

    fold: TwinFold
    update: LayerUpdate

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
    affine = _affine(block)
    # of an integrator, the rounding of biases asks for fraction bits
    theta = 1.0 if block.integrates else float(block.neurons.threshold)
    fold = fold_for_twin(
        Affine(affine.gain * step / divisor, affine.offset),
        theta,
        block.neurons.update.fraction_bits,
        shares.most(THRESHOLD_MAX),
    )
    return FoldedNeurons(fold, block.neurons.update)


def shared_neurons(layers: dict[str, FoldedNeurons], shares: Shares) -> dict[str, Neuron]:
    """Return the layers of neurons by name, their thresholds shared and on their grid.

    Raises:
        NotMappable: when the thresholds of several layers cannot be one.
    """
    firing = {name: each.fold.layer for name, each in layers.items() if not each.update.integrates}
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
    arithmetic, layer = folded.update.arithmetic, folded.fold.layer
    if isinstance(arithmetic, Arithmetic):
        arithmetic = replace(arithmetic, fraction_bits=layer.fraction_bits)
    return Neuron(
        np.zeros_like(layer.threshold) if threshold is None else threshold,
        layer.bias,
        arithmetic,
        parameters={
            which: np.full(len(layer.bias), value, np.int32)
            for which, value in folded.update.parameters.items()
        },
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
