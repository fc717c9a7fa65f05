"""Evaluation on samples that a network is not trained on: its accuracy, and who fires."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from lehr.train import processes
from lehr.train.data import Split
from lehr.train.data.source import Labels, Values
from lehr.train.floats.model import FloatNet
from lehr.train.objectives.objective import Objective
from lehr.train.twin.network import Twin

BATCH = 256


@dataclass(frozen=True)
class Layer:
    """The neurons of a layer that fires, over all steps of all samples.

    Attributes:
        neurons: how many there are.
        silent: how many of them never fired.
        always_on: how many fired in every step of every sample.
    """

    neurons: int
    silent: int
    always_on: int


def accuracy(model: FloatNet | Twin, split: Split, goal: Objective) -> float:
    """Return the share of samples that are right, or of labels where a sample has more, 0..1."""
    right, asked = answers(model, split, goal)
    return right / max(1, asked)


def answers(model: FloatNet | Twin, split: Split, goal: Objective) -> tuple[int, int]:
    """Count the answers that are right, and all: one a sample, or one for each labelled step.

    Several processes take turns in the batches, and all of them are to ask for the answers.
    """
    dealt = processes.dealt(-(-len(split) // BATCH))
    each = [goal.right(*ran, y) for ran, y in outputs(model, split, dealt)]
    mine = (sum(int(batch.sum()) for batch in each), sum(map(len, each)))
    right, asked = processes.summed(torch.tensor(mine)).tolist()
    return right, asked


def activity(model: FloatNet | Twin, split: Split) -> list[Layer]:
    """Count the neurons that never fire, and those that always do, layer by layer."""
    batches = [
        [(layer.bool().any(1).any(0), layer.bool().all(1).all(0)) for layer in spikes]
        for (spikes, _), _ in outputs(model, split)
    ]
    layers = []
    for layer in zip(*batches, strict=True):
        ever = torch.stack([fired for fired, _ in layer]).any(0)
        always = torch.stack([fired for _, fired in layer]).all(0)
        layers.append(Layer(ever.numel(), int((~ever).sum()), int(always.sum())))
    return layers


def tensors(device: torch.device, x: Values, y: Labels) -> tuple[Tensor, Tensor]:
    """Return inputs and labels as tensors on a device."""
    return torch.from_numpy(x).to(device).float(), torch.from_numpy(y).to(device)


def outputs(
    model: FloatNet | Twin, split: Split, batches: Iterable[int] | None = None
) -> Iterator[tuple[tuple[list[Tensor], Tensor], Tensor]]:
    """Yield what `run` of the model returns, spikes and membranes, and labels, batch by batch.

    Args:
        model: in evaluation mode.
        split: its samples.
        batches: the numbers of those asked for, from 0; all if None.
    """
    device = next(model.parameters()).device
    with torch.no_grad():
        for number in range(-(-len(split) // BATCH)) if batches is None else batches:
            part = slice(number * BATCH, (number + 1) * BATCH)
            x, y = tensors(device, split.x[part], split.y[part])
            yield model.run(x), y
