"""The training run: phase A, folding, phases B and C, with metrics and a checkpoint at the end.

A  float batch norm, binarized weights, thresholds annealed after every batch (Eshraghian & Lu 2022)
B  batch norm folded away; the forward pass is the integer network's, thresholds and biases still learn
C  thresholds and biases frozen as integers; the weights settle around them
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import snntorch.functional
import torch
from torch import Tensor, nn

from lehr.export.fold import Folded
from lehr.export.widths import analyse, fit_state_bits
from lehr.network import Network
from lehr.train.anneal import Annealer
from lehr.train.convert import convert
from lehr.train.data import Dataset, Split
from lehr.train.model import FloatNet
from lehr.train.recipe import Recipe
from lehr.train.twin import Twin

EVALUATION_BATCH = 256
Forward = Callable[[Tensor], Tensor]
Report = Callable[[dict[str, Any]], None]


@dataclass
class Trained:
    """What a run leaves behind.

    Attributes:
        model: the network after phase A, its batch norm re-estimated.
        twin: the exact-integer twin after phase C; None for a float baseline.
        network: the integer network with its proven widths; None for a float baseline.
        folds: how each neuron layer was folded, by name.
        metrics: one entry per epoch.
    """

    model: FloatNet
    twin: Twin | None = None
    network: Network | None = None
    folds: dict[str, Folded] = field(default_factory=dict)
    metrics: list[dict[str, Any]] = field(default_factory=list)


def epochs(recipe: Recipe) -> int:
    """How many epochs a run takes, over all phases."""
    tuned = recipe.finetune if recipe.network.weights == "binarized" else None
    return recipe.train.epochs + (tuned.epochs + tuned.frozen_epochs if tuned else 0)


def train(recipe: Recipe, data: Dataset, report: Report = lambda _: None) -> Trained:
    """Train a network as its recipe says.

    Args:
        recipe: of the run; with the same data it gives the same weights on the same machine.
        data: splits to train on and to measure by; the test split is not touched.
        report: called with the metrics of every epoch.

    Raises:
        NotMappable: when the trained network does not fit the integers (see `lehr.export.widths`).
    """
    torch.manual_seed(recipe.seed)
    torch.set_num_threads(recipe.train.threads)
    run = _Run(recipe, data, np.random.default_rng(recipe.seed), report)
    model = run.phase_a()
    trained = Trained(model, metrics=run.metrics)
    if recipe.network.weights == "binarized":
        converted = convert(model, recipe, data.shape, data.kind)
        trained.twin, trained.folds = converted.twin, converted.folds
        run.fine_tune(converted.twin)
        trained.network = fit_state_bits(converted.twin.network())
        analyse(trained.network).require_float32()
    return trained


def accuracy(forward: Forward, split: Split) -> float:
    """Share of samples whose highest spike count (lowest index at ties) is their label."""
    right = 0
    with torch.no_grad():
        for start in range(0, len(split), EVALUATION_BATCH):
            counts = forward(_tensor(split.x[start : start + EVALUATION_BATCH])).sum(0).flatten(1).numpy()
            right += int((counts.argmax(axis=1) == split.y[start : start + EVALUATION_BATCH]).sum())
    return right / len(split)


class _Run:
    def __init__(self, recipe: Recipe, data: Dataset, shuffle: np.random.Generator, report: Report) -> None:
        self.recipe, self.data, self.shuffle, self.report = recipe, data, shuffle, report
        right, wrong = recipe.train.rates
        self.loss = snntorch.functional.mse_count_loss(correct_rate=right, incorrect_rate=wrong)
        self.metrics: list[dict[str, Any]] = []

    def phase_a(self) -> FloatNet:
        told = self.recipe.train
        model = FloatNet(self.recipe.network, self.data.shape)
        thresholds = [block.threshold for block in model.layers]
        annealer = Annealer(thresholds, [layer.threshold for layer in self.recipe.network.layers])
        optimizer: torch.optim.Optimizer
        if told.optimizer == "adam":
            optimizer = torch.optim.Adam(model.parameters(), told.lr)
        else:
            optimizer = torch.optim.SGD(model.parameters(), told.lr, told.momentum)
        self._epochs("A", told.epochs, model, optimizer, annealer.step, lambda: [round(float(t), 6) for t in thresholds])
        model.reestimate_batch_norm([x for x, _ in self._batches(self.data.train)])
        return model

    def fine_tune(self, twin: Twin) -> None:
        told = self.recipe.finetune
        if told is None:
            twin.freeze_thresholds()
            return
        neurons = [p for neuron in twin.neurons.values() for p in (neuron.threshold, neuron.bias)]
        groups = [{"params": list(twin.weights.values()), "lr": told.lr}, {"params": neurons, "lr": told.threshold_lr}]
        self._epochs("B", told.epochs, twin, torch.optim.Adam(groups), twin.clamp_thresholds, lambda: _mean_thresholds(twin))
        twin.freeze_thresholds()
        optimizer = torch.optim.Adam(twin.weights.values(), told.lr)
        self._epochs("C", told.frozen_epochs, twin, optimizer, lambda: None, lambda: _mean_thresholds(twin))

    def _epochs(
        self,
        phase: str,
        count: int,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        after_batch: Callable[[], None],
        thresholds: Callable[[], list[float]],
    ) -> None:
        if count == 0:
            return
        batches = -(-len(self.data.train) // self.recipe.train.batch_size)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, count * batches)
        for epoch in range(1, count + 1):
            model.train()
            total, right = 0.0, 0
            for x, y in self._batches(self.data.train):
                optimizer.zero_grad()
                spikes = model(x)
                loss = self.loss(spikes, y)
                loss.backward()
                optimizer.step()
                schedule.step()
                after_batch()
                total += float(loss.detach()) * len(y)
                right += int((spikes.detach().sum(0).argmax(1) == y).sum())
            model.eval()
            entry = {
                "phase": phase,
                "epoch": epoch,
                "loss": total / len(self.data.train),
                "train_accuracy": right / len(self.data.train),
                "validation_accuracy": accuracy(model, self.data.validation),
                "thresholds": thresholds(),
            }
            self.metrics.append(entry)
            self.report(entry)

    def _batches(self, split: Split) -> Iterator[tuple[Tensor, Tensor]]:
        order = self.shuffle.permutation(len(split))
        size = self.recipe.train.batch_size
        for start in range(0, len(order), size):
            chosen = order[start : start + size]
            yield _tensor(split.x[chosen]), torch.from_numpy(split.y[chosen])


def _tensor(x: np.ndarray[Any, np.dtype[np.uint8]]) -> Tensor:
    return torch.from_numpy(x).float()


def _mean_thresholds(twin: Twin) -> list[float]:
    return [round(float(neuron.integers()[0].detach().mean()), 6) for neuron in twin.neurons.values()]
