"""The training run: phase A, folding, phases B and C (`lehr.train.learning.phases`).

It has metrics, and a checkpoint at the end.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lehr.errors import UsageError
from lehr.network import Network
from lehr.train import processes
from lehr.train.data import Dataset
from lehr.train.floats.finite import require_finite
from lehr.train.floats.model import FloatNet
from lehr.train.floats.step_norm import require_statistics
from lehr.train.keys.augment import Augment
from lehr.train.learning import rates
from lehr.train.learning.allocation import keep_freed_memory
from lehr.train.learning.augment import augmented
from lehr.train.learning.augment_events import augmented_events
from lehr.train.learning.evaluation import accuracy, tensors
from lehr.train.learning.other_runs import begin_with
from lehr.train.learning.phases import Model, Phase, PhaseA, PhaseB, PhaseC
from lehr.train.learning.selection import chosen, stalled
from lehr.train.objectives.loss import Loss
from lehr.train.objectives.objective import objective
from lehr.train.objectives.teacher import Teacher
from lehr.train.processes import Part
from lehr.train.recipe import Recipe
from lehr.train.runs.concerns import concerns
from lehr.train.runs.device import prepared
from lehr.train.runs.one_training import require_one_network, require_one_training
from lehr.train.runs.progress import Progress
from lehr.train.stand_in import full_scale, require_convertible
from lehr.train.twin.convert import convert, finished
from lehr.train.twin.folding import TwinFold
from lehr.train.twin.network import Twin
from lehr.widths import analyse

Report = Callable[[dict[str, Any]], None]


@dataclass
class Trained:
    """Outcome of a training.

    Attributes:
        model: the network after phase A, its batch norm re-estimated.
        twin: the exact-integer twin after the epoch of phase C that was chosen; None for a float
            baseline.
        network: the integer network with its proven widths; None for a float baseline.
        last: the twin after the last epoch of all; None for a float baseline.
        folds: how each neuron layer was folded, by name.
        metrics: one entry per epoch.
        others: digests of the runs that it has learnt from, by their folders.
        warnings: what gives reason to doubt the network that was chosen, in sentences
            (`lehr.train.runs.concerns`).
    """

    model: FloatNet
    twin: Twin | None = None
    network: Network | None = None
    last: Twin | None = None
    folds: dict[str, TwinFold] = field(default_factory=dict)
    metrics: list[dict[str, Any]] = field(default_factory=list)
    others: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def train(
    recipe: Recipe, data: Dataset, report: Report = lambda _: None, progress: Progress | None = None
) -> Trained:
    """Train a network as its recipe says.

    Args:
        recipe: of the run; with the same data it gives the same weights on the same machine.
        data: splits to train on and to measure by; the test split is not touched.
        report: called with the metrics of every epoch.
        progress: where the state after an epoch is kept, and what to go on from; an uninterrupted
            run gives the same weights.

    Raises:
        NotMappable: when the network does not fit the integers that its recipe asks for, before it
            is trained; when the trained network does not fit those of float32 (see `lehr.widths`).
        UsageError: when the network does not fit the data, when its output fires no spike in the
            last epoch of a phase, or when a number of it is not finite after an epoch.
    """
    if data.test_steps not in (None, recipe.network.steps):
        key = "data.steps" if recipe.data.test_steps is None else "data.test_steps"
        raise UsageError(
            f"network.steps is {recipe.network.steps}, but the input has {data.test_steps}; set "
            f"network.steps and {key} to one number"
        )
    augment = recipe.train.augment
    if augment is not None:
        by_step = data.train.y.ndim == 2
        if wrong := [*augment.contradictions(data.shape, data.steps, by_step=by_step)]:
            raise UsageError(*wrong)
    require_statistics(recipe, data)
    require_convertible(recipe, data)
    progress = progress or Progress(None, recipe)
    require_one_training(recipe, data, progress)
    torch.manual_seed(recipe.seed)
    torch.set_num_threads(recipe.train.threads)
    keep_freed_memory()
    run = _Run(recipe, data, np.random.default_rng(recipe.seed), report, progress)
    model = run.phase_a()
    trained = Trained(model, metrics=run.metrics, others=run.progress.others)
    if recipe.network.integer:
        converted = convert(model.cpu(), recipe, data.shape, data.kind)
        model.to(run.device)
        converted.twin.to(run.device)
        trained.twin, trained.folds, trained.last = (
            run.phases_b_and_c(converted.twin, model),
            converted.folds,
            converted.twin,
        )
        trained.network = finished(trained.twin, recipe)
        analyse(trained.network).require_float32()
    trained.warnings = concerns(recipe, trained.twin or trained.model, trained.metrics, data)
    return trained


class _Run:
    def __init__(
        self,
        recipe: Recipe,
        data: Dataset,
        shuffle: np.random.Generator,
        report: Report,
        progress: Progress,
    ) -> None:
        self.recipe, self.data, self.shuffle = recipe, data, shuffle
        self.report, self.progress = report, progress
        self.goal = objective(recipe, data)
        self.device = prepared(recipe.train.device)
        teaching = recipe.train.teacher
        self.teacher = None if teaching is None else Teacher(teaching, data, self.device)
        self.loss = Loss(recipe, self.goal, self.teacher)
        self.metrics = progress.metrics
        self.per_epoch = -(-len(data.train) // recipe.train.batch_size)

    def phase_a(self) -> FloatNet:
        """Phase A; returns its model, batch norm re-estimated."""
        model = FloatNet(self.recipe.network, self.data.shape, full_scale(self.data)).to(
            self.device
        )
        outputs = math.prod(model.layers[-1].shape)
        self.goal.require_outputs(outputs)
        if self.teacher is not None:
            self.teacher.require_outputs(outputs, self.recipe.network)
        begin_with(model, self.recipe, self.data)
        phase = PhaseA(self.recipe, model, self.per_epoch)
        self.progress.restore("model", model)
        if self.progress.passed(phase.name):
            return model.eval()
        phase.skip(self.progress.epoch)
        self._train(phase)
        model.load_state_dict(phase.chosen.state_dict())
        model.reestimate_batch_norm(x for x, _, _ in self._batches())
        return model

    def phases_b_and_c(self, twin: Twin, model: FloatNet) -> Twin:
        """Return the twin after the chosen epoch, and leave `twin` as it is after the last one."""
        tuning = self.recipe.finetune
        if tuning is None:
            twin.freeze_thresholds()
            return twin
        self.progress.restore("twin", twin)
        best = self._train(PhaseB(self.recipe, twin, model, self.per_epoch))
        for each in (best, twin):
            each.freeze_thresholds()
        return (
            self._train(PhaseC(self.recipe, twin, model, self.per_epoch))
            if tuning.frozen_epochs
            else best
        )

    def _train(self, phase: Phase[Model]) -> Model:
        """Train the epochs of a phase that do not lie behind, and return the model that goes on."""
        if self.progress.passed(phase.name):
            return phase.model
        for epoch in range(1 + self._epochs_behind(phase), phase.epochs + 1):
            if stalled(self.metrics, phase.name, phase.patience):
                break
            entry, rates_of_epoch = self._epoch(phase, epoch)
            self.metrics.append(entry)
            self.report(entry)
            if epoch == phase.epochs or stalled(self.metrics, phase.name, phase.patience):
                net = self.recipe.network
                rates_of_epoch.require_output(phase.name, net.key(len(net.annealed) - 1))
            if entry["candidate"] and chosen(self.metrics, phase.name) is entry:
                phase.keep_best()
            self.progress.keep(
                phase.name, epoch, phase.kept, phase.schedule, self.shuffle, self.metrics
            )
        if phase.best is not None and chosen(self.metrics, phase.name) is self.metrics[-1]:
            phase.best = None  # the model itself is the best one
        return phase.chosen

    def _epochs_behind(self, phase: Phase[Model]) -> int:
        """Put back what was kept within a phase, and return how many of its epochs lie behind."""
        if self.progress.phase != phase.name or not self.progress.epoch:
            return 0
        self.progress.restore_training(phase.schedule, self.shuffle)
        for name, module in phase.beside.items():
            self.progress.restore(name, module)
        if chosen(self.metrics, phase.name)["candidate"]:
            self.progress.restore("best", phase.keep_best())
        return self.progress.epoch

    def _epoch(self, phase: Phase[Model], epoch: int) -> tuple[dict[str, Any], rates.Epoch]:
        """Train one epoch, and return its metrics and the firing rates in it."""
        model, total, fired = phase.model, 0.0, rates.Epoch()
        right = asked = 0
        model.train()
        for x, y, part in self._batches(self.recipe.train.augment):
            phase.optimizer.zero_grad()
            phase.before_batch(part)
            own, membranes = model.run(x)
            spikes, membranes = self._whole(own, membranes, part)
            loss = self.loss(x, spikes, membranes, y, part)
            penalty = phase.penalty()
            loss = loss if penalty is None else loss + processes.once(penalty)
            loss.backward()
            phase.update()
            phase.schedule.step()
            batch_rates = rates.firing_rates(own, len(y))  # read late: a GPU is asked to wait once
            phase.after_batch(batch_rates)
            fired.add(batch_rates, len(y))
            value = processes.of_first(float(loss.detach()))
            phase.after_loss(value)
            total += value * len(y)
            answers = self.goal.right(spikes, membranes, y)
            right, asked = right + int(answers.sum()), asked + len(answers)
        when = f"after epoch {epoch} of phase {phase.name}"
        require_finite(model.trained(), when)
        require_one_network(model, when)
        model.eval()
        entry = {
            "phase": phase.name,
            "epoch": epoch,
            "loss": total / len(self.data.train),
            "train_accuracy": right / max(1, asked),
            "validation_accuracy": accuracy(model, self.data.validation, self.goal),
            "thresholds": phase.thresholds(),
            "candidate": phase.candidate(),
            **fired.metrics(),
            **phase.metrics(),
        }
        return entry, fired

    def _whole(
        self, spikes: list[Tensor], membranes: Tensor, part: Part
    ) -> tuple[list[Tensor], Tensor]:
        """Return them with what the output gave of the whole batch."""
        if self.recipe.network.integrator is None:
            spikes = [*spikes[:-1], part.whole(spikes[-1])]
        return spikes, part.whole(membranes)

    def _batches(self, augment: Augment | None = None) -> Iterator[tuple[Tensor, Tensor, Part]]:
        """Yield the training samples in a new order, batch by batch.

        Of the inputs there is this process's part, of the labels the whole batch. Whatever is drawn
        is drawn for the whole batch in every process.
        """
        split, size = self.data.train, self.recipe.train.batch_size
        order = self.shuffle.permutation(len(split))
        for start in range(0, len(order), size):
            chosen = order[start : start + size]
            part, y = Part.of(len(chosen)), split.y[chosen]
            if augment is None:
                x = split.x[chosen[part.mine]]
            else:
                x = split.x[chosen]
                if augment.of_images:
                    x = augmented(x, augment, self.shuffle)
                if augment.of_events:
                    x, y = augmented_events(x, y, augment, self.shuffle)
                x = x[part.mine]
            yield *tensors(self.device, x, y), part
