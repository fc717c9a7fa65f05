"""The training run: phase A, folding, phases B and C, with metrics and a checkpoint at the end.

A  float batch norm, binarized weights, thresholds annealed after every batch (Eshraghian & Lu 2022)
B  batch norm folded away; the forward pass is the integer network's, thresholds and biases still learn
C  thresholds and biases frozen as integers; the weights settle around them
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler

from lehr.errors import UsageError
from lehr.network import Network
from lehr.train import rates
from lehr.train.anneal import Annealer, learning_rate
from lehr.train.augment import Augment, augmented
from lehr.train.convert import convert
from lehr.train.data import Dataset, Split
from lehr.train.data.source import Labels, Values
from lehr.train.device import prepared
from lehr.train.finite import require_finite
from lehr.train.folding import TwinFold
from lehr.train.model import FULL_SCALE, FloatNet
from lehr.train.objective import Objective, objective
from lehr.train.progress import Progress
from lehr.train.prune import Pruner
from lehr.train.recipe import Recipe
from lehr.train.selection import arrived, chosen, stalled
from lehr.train.twin import Twin
from lehr.widths import analyse, fit_state_bits

EVALUATION_BATCH = 256
Model = FloatNet | Twin
Report = Callable[[dict[str, Any]], None]
AfterBatch = Callable[[Sequence[float]], None]
"""Called with the layers' firing rates in the batch."""


@dataclass
class Trained:
    """What a run leaves behind.

    Attributes:
        model: the network after phase A, its batch norm re-estimated.
        twin: the exact-integer twin after the epoch of phase C that was chosen; None for a float baseline.
        network: the integer network with its proven widths; None for a float baseline.
        last: the twin after the last epoch of all; None for a float baseline.
        folds: how each neuron layer was folded, by name.
        metrics: one entry per epoch.
    """

    model: FloatNet
    twin: Twin | None = None
    network: Network | None = None
    last: Twin | None = None
    folds: dict[str, TwinFold] = field(default_factory=dict)
    metrics: list[dict[str, Any]] = field(default_factory=list)


def epochs(recipe: Recipe) -> int:
    """How many epochs a run takes, over all phases."""
    tuned = recipe.finetune if recipe.network.kind else None
    return recipe.train.epochs + (tuned.epochs + tuned.frozen_epochs if tuned else 0)


def train(recipe: Recipe, data: Dataset, report: Report = lambda _: None, progress: Progress | None = None) -> Trained:
    """Train a network as its recipe says.

    Args:
        recipe: of the run; with the same data it gives the same weights on the same machine.
        data: splits to train on and to measure by; the test split is not touched.
        report: called with the metrics of every epoch.
        progress: where the state after an epoch is kept, and what to go on from; an uninterrupted run gives the same weights.

    Raises:
        NotMappable: when the trained network does not fit the integers (see `lehr.widths`).
        UsageError: when the network does not fit the data, when its output fires no spike in the last epoch of a phase, or when a
            number of it is not finite after an epoch.
    """
    if data.test_steps not in (None, recipe.network.steps):
        key = "data.steps" if recipe.data.test_steps is None else "data.test_steps"
        raise UsageError(
            f"network.steps is {recipe.network.steps}, but the input has {data.test_steps}; set network.steps and {key} to one number"
        )
    if recipe.train.augment is not None and len(data.shape) != 3:
        raise UsageError(f"train.augment moves images, but a sample has shape {data.shape}, without rows and columns; leave it out")
    torch.manual_seed(recipe.seed)
    torch.set_num_threads(recipe.train.threads)
    run = _Run(recipe, data, np.random.default_rng(recipe.seed), report, progress or Progress(None, recipe))
    model = run.phase_a()
    trained = Trained(model, metrics=run.metrics)
    if recipe.network.kind:
        converted = convert(model.cpu(), recipe, data.shape, data.kind)
        model.to(run.device)
        converted.twin.to(run.device)
        trained.twin, trained.folds, trained.last = run.fine_tune(model, converted.twin), converted.folds, converted.twin
        trained.network = fit_state_bits(trained.twin.network())
        analyse(trained.network).require_float32()
    return trained


def accuracy(model: Model, split: Split, goal: Objective) -> float:
    """Share of samples that are right."""
    right, device = 0, next(model.parameters()).device
    with torch.no_grad():
        for start in range(0, len(split), EVALUATION_BATCH):
            part = slice(start, start + EVALUATION_BATCH)
            x, y = _on(device, split.x[part], split.y[part])
            right += int(goal.right(*model.run(x), y).sum())
    return right / len(split)


class _Run:
    def __init__(self, recipe: Recipe, data: Dataset, shuffle: np.random.Generator, report: Report, progress: Progress) -> None:
        self.recipe, self.data, self.shuffle, self.report, self.progress = recipe, data, shuffle, report, progress
        self.goal = objective(recipe, data)
        self.device = prepared(recipe.train.device)
        self.metrics = progress.metrics
        self.best: dict[str, Model] = {}  # under "best", a copy as it was after the best candidate of the phase, if there was one

    def phase_a(self) -> FloatNet:
        told = self.recipe.train
        model = FloatNet(self.recipe.network, self.data.shape, FULL_SCALE if self.data.steps is None else 1).to(self.device)
        outputs = math.prod(model.layers[-1].shape)
        thresholds = [block.threshold for block in model.layers if not block.integrates]
        batches = told.epochs * self._batches_per_epoch
        schedules = self.recipe.network.thresholds
        self.goal.require_outputs(outputs)
        annealer = Annealer(thresholds, schedules, told, batches, None if model.layers[-1].integrates else outputs)
        pruner = Pruner(model.quantized, told.prune, batches)
        optimizer: torch.optim.Optimizer
        if told.optimizer == "adam":
            optimizer = torch.optim.Adam(model.parameters(), told.lr)
        else:
            optimizer = torch.optim.SGD(model.parameters(), told.lr, told.momentum)
        schedule = learning_rate(optimizer, told, batches)
        self.progress.restore("model", model)
        if self.progress.passed("A"):
            return model.eval()
        annealer.batch = pruner.batch = self.progress.epoch * self._batches_per_epoch
        kept = {"model": model}

        def candidate() -> bool:
            return told.patience is not None and arrived(thresholds, schedules, told)

        def after_batch(fired: Sequence[float]) -> None:
            annealer.step(fired)
            pruner.step()

        self._epochs("A", told.epochs, kept, schedule, after_batch, lambda: [round(float(t), 6) for t in thresholds], candidate)
        model.load_state_dict(self.best.get("best", model).state_dict())
        model.reestimate_batch_norm(x for x, _ in self._batches())
        return model

    def fine_tune(self, model: FloatNet, twin: Twin) -> Twin:
        """Phases B and C; returns the twin after the epoch that was chosen, and leaves `twin` as it is after the last one."""
        told = self.recipe.finetune
        if told is None:
            twin.freeze_thresholds()
            return twin
        self.progress.restore("twin", twin)
        kept: dict[str, Model] = {"twin": twin, "model": model}
        neurons = [p for neuron in twin.neurons.values() for p in (neuron.threshold, neuron.bias)]
        groups = [{"params": list(twin.weights.values()), "lr": told.lr}, {"params": neurons, "lr": told.threshold_lr}]
        self._tune("B", told.epochs, kept, torch.optim.Adam(groups), lambda _: twin.clamp_thresholds(), final=not told.frozen_epochs)
        best = cast(Twin, self.best.get("best", twin))
        for each in (best, twin):
            each.freeze_thresholds()
        optimizer = torch.optim.Adam(twin.weights.values(), told.lr)
        self._tune("C", told.frozen_epochs, kept, optimizer, lambda _: None, final=True)
        return cast(Twin, self.best.get("best", best))

    def _tune(
        self,
        phase: str,
        count: int,
        kept: Mapping[str, Model],
        optimizer: torch.optim.Optimizer,
        after_batch: AfterBatch,
        *,
        final: bool,
    ) -> None:
        twin = cast(Twin, kept["twin"])
        schedule = CosineAnnealingLR(optimizer, max(1, count * self._batches_per_epoch))
        self._epochs(phase, count, kept, schedule, after_batch, lambda: _mean_thresholds(twin), lambda: final)

    def _epochs(
        self,
        phase: str,
        count: int,
        kept: Mapping[str, Model],
        schedule: LRScheduler,
        after_batch: AfterBatch,
        thresholds: Callable[[], list[float]],
        candidate: Callable[[], bool],
    ) -> None:
        """Train the first of the modules that are `kept` for `count` epochs, less those that lie behind."""
        self.best.clear()
        if self.progress.passed(phase):
            return
        model, optimizer, first = next(iter(kept.values())), schedule.optimizer, 1
        patience = self.recipe.train.patience if phase == "A" else None
        if self.progress.phase == phase and self.progress.epoch:
            self.progress.restore_training(schedule, self.shuffle)
            first += self.progress.epoch
            if chosen(self.metrics, phase)["candidate"]:
                self.best["best"] = _copy(model)
                self.progress.restore("best", self.best["best"])
        for epoch in range(first, count + 1):
            if stalled(self.metrics, phase, patience):
                break
            model.train()
            total, right, fired = 0.0, 0, rates.Epoch()
            for x, y in self._batches(self.recipe.train.augment):
                optimizer.zero_grad()
                spikes, membranes = model.run(x)
                loss = self.goal.loss(spikes, membranes, y)
                loss.backward()
                self._update(model, optimizer)
                schedule.step()
                batch_rates = rates.firing_rates(spikes)
                after_batch(batch_rates)
                fired.add(batch_rates, len(y))
                total += float(loss.detach()) * len(y)
                right += int(self.goal.right(spikes, membranes, y).sum())
            require_finite(model.trained(), f"after epoch {epoch} of phase {phase}")
            model.eval()
            entry = {
                "phase": phase,
                "epoch": epoch,
                "loss": total / len(self.data.train),
                "train_accuracy": right / len(self.data.train),
                "validation_accuracy": accuracy(model, self.data.validation, self.goal),
                "thresholds": thresholds(),
                "candidate": candidate(),
                **fired.metrics(),
            }
            self.metrics.append(entry)
            self.report(entry)
            if epoch == count or stalled(self.metrics, phase, patience):
                fired.require_output(phase)
            if entry["candidate"] and chosen(self.metrics, phase) is entry:
                self.best["best"] = _copy(model)
            self.progress.keep(phase, epoch, {**kept, **self.best}, schedule, self.shuffle, self.metrics)
        if self.best and chosen(self.metrics, phase) is self.metrics[-1]:
            self.best.clear()

    def _update(self, model: Model, optimizer: torch.optim.Optimizer) -> None:
        """One step of the optimiser, its gradients clipped before and its weights clamped after."""
        told = self.recipe.train
        if told.clip is not None:
            torch.nn.utils.clip_grad_norm_([p for group in optimizer.param_groups for p in group["params"]], told.clip)
        optimizer.step()
        if told.clamp is not None:
            with torch.no_grad():
                for weight in model.weights.values():
                    weight.clamp_(-told.clamp, told.clamp)

    @property
    def _batches_per_epoch(self) -> int:
        return -(-len(self.data.train) // self.recipe.train.batch_size)

    def _batches(self, augment: Augment | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """The training samples in a new order."""
        split, size = self.data.train, self.recipe.train.batch_size
        order = self.shuffle.permutation(len(split))
        for start in range(0, len(order), size):
            chosen = order[start : start + size]
            x = split.x[chosen]
            yield _on(self.device, x if augment is None else augmented(x, augment, self.shuffle), split.y[chosen])


def _on(device: torch.device, x: Values, y: Labels) -> tuple[Tensor, Tensor]:
    """Inputs and labels as tensors."""
    return torch.from_numpy(x).to(device).float(), torch.from_numpy(y).to(device)


def _copy(model: Model) -> Model:
    """A copy with parameters of its own; the twin's integer network never changes, and is shared."""
    return copy.deepcopy(model, {id(model.net): model.net} if isinstance(model, Twin) else None)


def _mean_thresholds(twin: Twin) -> list[float]:
    firing = [neuron for neuron in twin.neurons.values() if not neuron.integrates]
    return [round(float(neuron.integers()["threshold"].detach().mean()), 6) for neuron in firing]
