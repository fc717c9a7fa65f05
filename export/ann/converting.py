"""Conversion of an artificial neural network: the verified file, and what it costs by time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import snntorch as snn
from torch import nn

from lehr.errors import UsageError
from lehr.export.ann.balance import check_percentile, greatest_activations
from lehr.export.ann.reading import Ann, read_ann
from lehr.export.ann.spiking import spiking, with_levels
from lehr.export.fold import THRESHOLD_ERROR
from lehr.export.torchmodels.network import FromTorch, from_torch
from lehr.export.verified import VerifiedModel, export_model
from lehr.network import Network
from lehr.nodes import Shape
from lehr.shown import Shown, Table
from lehr.simulate.fast.engine import simulate
from lehr.spelling import one_of
from lehr.weights import KINDS, WeightKind

COMPARED = 64
"""Samples on which every spike is compared with the spiking model's, and rates with the ANN's."""


@dataclass(frozen=True)
class LayerRate:
    """A layer of neurons beside the ReLU that it stands for, on the compared samples.

    Attributes:
        greatest: activation that a spike in every step stands for, in the ANN's units.
        activation: mean of the ReLU, cut at that, as a share of it.
        rate: mean of the neurons' spikes a step.
        error: mean distance between the two, of a neuron on a sample.
    """

    greatest: float
    activation: float
    rate: float
    error: float


@dataclass(frozen=True)
class AtSteps:
    """The network at a number of steps, on all samples.

    Attributes:
        steps: how many.
        agreement: share of samples that it decides as the ANN does.
        accuracy: share of samples that are right; None without labels.
        spikes: of all neurons, a sample.
    """

    steps: int
    agreement: float
    accuracy: float | None
    spikes: float


@dataclass(frozen=True, repr=False)
class ConvertedAnn(Shown):
    """An artificial neural network as an integer spiking one, in a file.

    Attributes:
        verified: the file, compared with the spiking model of the same weights in double precision,
            spike by spike.
        layers: by layer of neurons.
        by_steps: the table of accuracy by time; the last row is the network in the file.
        ann_accuracy: None without labels.
        samples: how many were run.
    """

    verified: VerifiedModel
    layers: Mapping[str, LayerRate]
    by_steps: tuple[AtSteps, ...]
    ann_accuracy: float | None
    samples: int

    @property
    def network(self) -> Network:
        """Return the network that is in the file."""
        return self.verified.network

    def _table(self) -> Table:
        last = self.by_steps[-1]
        title = (
            f"network {self.network.digest[:12]}: {last.agreement:.2%} of {self.samples:,} samples "
            f"as the ANN decides in {last.steps} steps"
        )
        if self.ann_accuracy is not None:
            title += f", {last.accuracy:.2%} right, the ANN {self.ann_accuracy:.2%}"
        rows = [
            (
                f"{row.steps}",
                "" if row.accuracy is None else f"{row.accuracy:.4f}",
                f"{row.agreement:.4f}",
                f"{row.spikes:,.1f}",
            )
            for row in self.by_steps
        ]
        return Table(title, ("steps", "accuracy", "as the ANN", "spikes a sample"), rows)


@dataclass(frozen=True)
class Conversion:
    """The choices of a conversion.

    Attributes:
        steps: T of the network in the file.
        full_scale: what the model takes inputs divided by; None for 0 and 1.
        weights: what weights that are no levels are rounded to; None refuses them.
        percentile: of the activations above 0 that a spike in every step stands for.
        shift: whether half a threshold is added over all steps, so that rates are rounded to
            nearest.

    Raises:
        UsageError: when one is out of range.
    """

    steps: int = 64
    full_scale: float | None = None
    weights: WeightKind | None = "int8"
    percentile: float = 99.9
    shift: bool = True

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise UsageError(f"--steps is {self.steps}; use 1 or more")
        check_percentile(self.percentile)
        if self.weights is not None and self.weights not in KINDS[2:]:
            raise UsageError(f"--weights is {self.weights!r}; {one_of(self.weights, KINDS[2:])}")
        if self.full_scale is not None and not 0 < self.full_scale < np.inf:
            raise UsageError(
                f"--full-scale is {self.full_scale:g}; use a number above 0, 255 for pixels"
            )


def convert_ann(
    module: nn.Module,
    x: npt.NDArray[np.uint8],
    path: Path,
    choices: Conversion,
    *,
    labels: npt.NDArray[np.int64] | None = None,
    calibration: npt.NDArray[np.uint8] | None = None,
    source: str = "model",
) -> ConvertedAnn:
    """Convert an artificial neural network to a file of an integer spiking one.

    Args:
        module: a chain of layers with ReLUs between them. It is not touched.
        x: samples on which accuracy is measured, uint8 `[N, *shape]`.
        path: of the `.nir` file to write.
        choices: of the conversion.
        labels: int64 `[N]`.
        calibration: samples on which activations are measured; `x` if None.
        source: what errors call the model.

    Raises:
        NotMappable: naming the layers of which no neurons can be made, with the way out for each.
        UsageError: when an option or the samples are out of range.
        NotBitExact: when a spike differs though its layer is proven equal.
        FileRefused: when the file cannot be written.
    """
    calibration = x if calibration is None else calibration
    for name, given in (("the input", x), ("the calibration input", calibration)):
        if given.ndim < 2 or not given.size:
            raise UsageError(f"{name} is {list(given.shape)}; give samples [N, *shape]")
        if choices.full_scale is None and int(given.max()) > 1:
            raise UsageError(
                f"{name} holds {int(given.max())}, but no full scale is given; give --full-scale "
                "255 for pixels"
            )
    ann = read_ann(module, x, choices.full_scale or 1.0)
    scales = greatest_activations(ann, calibration, choices.percentile)
    decided = ann.scores(x).argmax(axis=1)
    rows, shapes, rounded = [], _shapes(ann, x), with_levels(ann, choices.weights)
    for steps in _times(choices.steps):
        model = spiking(rounded, scales, shapes, steps if choices.shift else None)
        converted = _integers(model, x[:COMPARED], choices, steps)
        rows.append(_row(converted.network, x, decided, labels))
    verified = export_model(converted, path, source=source)
    accuracy = None if labels is None else float((decided == labels).mean())
    return ConvertedAnn(verified, _rates(ann, scales, verified), tuple(rows), accuracy, len(x))


def _times(steps: int) -> list[int]:
    """Return the powers of two below a number of steps, and that."""
    return [*(1 << n for n in range((steps - 1).bit_length())), steps]


def _integers(
    model: nn.Sequential, sample: npt.NDArray[np.uint8], choices: Conversion, steps: int
) -> FromTorch:
    """Return the integer network of a spiking model.

    A bias is added in each step, so that over all of them rounding moves a membrane by
    THRESHOLD_ERROR of a threshold.
    """
    return from_torch(
        model,
        sample,
        steps=steps,
        full_scale=choices.full_scale,
        weights=choices.weights,
        error=THRESHOLD_ERROR / steps,
        readout="count" if isinstance(model[-1], snn.Leaky) else "sum",
    )


def _shapes(ann: Ann, sample: npt.NDArray[np.uint8]) -> dict[str, Shape]:
    activations = next(ann.activations(sample[:1]))
    return {name: tuple(activations[name].shape[1:]) for name in ann.rectifiers}


def _row(
    net: Network,
    x: npt.NDArray[np.uint8],
    decided: npt.NDArray[np.int64],
    labels: npt.NDArray[np.int64] | None,
) -> AtSteps:
    result = simulate(net, x)
    spikes = sum(
        rate * net.steps * np.prod(net.shapes[name]) for name, rate in result.rates.items()
    )
    return AtSteps(
        net.steps,
        float((result.prediction == decided).mean()),
        None if labels is None else float((result.prediction == labels).mean()),
        float(spikes),
    )


def _rates(ann: Ann, scales: Mapping[str, float], verified: VerifiedModel) -> dict[str, LayerRate]:
    """Compare rates with activations, on the samples on which spikes were compared."""
    layers, sample = {}, verified.converted.sample
    activations = next(ann.activations(sample))
    names = [name for name in verified.network.neurons if name in verified.differ]
    for name, node in zip(ann.rectifiers, names, strict=True):
        share = activations[name].numpy().clip(None, scales[name]) / scales[name]
        rate = verified.result.trace.spikes[node].mean(axis=1)
        layers[node] = LayerRate(
            scales[name],
            float(share.mean()),
            float(rate.mean()),
            float(np.abs(rate - share).mean()),
        )
    return layers
