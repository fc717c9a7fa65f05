"""The phases of training: what each one trains, by which optimiser, and what it does after a batch.

A  float batch norm, binarized weights, thresholds annealed after every batch (Eshraghian & Lu 2022)
B  batch norm folded away; the forward pass is the integer network's, thresholds and biases still
learn C  thresholds and biases frozen as integers; the weights settle around them
"""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler

from lehr.train.floats.constrained import Constraint
from lehr.train.floats.delays import Learning
from lehr.train.floats.model import FloatNet
from lehr.train.floats.prune import Pruner
from lehr.train.learning.anneal import Annealer, learning_rate
from lehr.train.learning.optimizers import optimizer_of
from lehr.train.learning.selection import arrived
from lehr.train.processes import Part, add_gradients
from lehr.train.recipe import Recipe, Training
from lehr.train.twin.network import Twin

CONSTRAINT = "constraint"
"""Under which the progress of a run keeps the multipliers."""

Model = TypeVar("Model", bound=FloatNet | Twin)


class Phase(ABC, Generic[Model]):
    """A phase of a run; the epochs themselves are the loop's.

    Attributes:
        name: a letter.
        key: under which the progress of a run keeps the model.
        model: it is trained in place.
        epochs: their greatest number.
        schedule: of the learning rates, to be stepped after every batch; it knows the optimiser.
        patience: as `train.patience` of a recipe; None where the phase takes all its epochs.
        beside: what else is kept, by key, though it is not trained.
        best: a copy of the model after the best candidate (`lehr.train.learning.selection`) so
            far; None where no epoch was one.
    """

    name: ClassVar[str]
    key: ClassVar[str]
    patience: int | None = None

    def __init__(
        self,
        training: Training,
        model: Model,
        epochs: int,
        schedule: LRScheduler,
        beside: Mapping[str, nn.Module] = MappingProxyType({}),
    ) -> None:
        """Begin."""
        self._training, self.beside = training, beside
        self.model, self.epochs, self.schedule = model, epochs, schedule
        self.best: Model | None = None

    @property
    def optimizer(self) -> Optimizer:
        """The one whose rates the schedule sets."""
        return self.schedule.optimizer

    @property
    def chosen(self) -> Model:
        """The model that goes on."""
        return self.model if self.best is None else self.best

    @property
    def kept(self) -> dict[str, nn.Module]:
        """State that a run needs to go on later, by key."""
        best = {} if self.best is None else {"best": self.best}
        return {self.key: self.model, **self.beside, **best}

    def keep_best(self) -> Model:
        """Copy the model, as the best one so far.

        A twin's integer network never changes, and is shared.
        """
        shared = {id(self.model.net): self.model.net} if isinstance(self.model, Twin) else None
        self.best = copy.deepcopy(self.model, shared)
        return self.best

    def before_batch(self, part: Part) -> None:
        """Prepare for a batch, of which this process has a part."""

    def update(self) -> None:
        """One step of the optimiser, with the gradients of all processes.

        They are clipped before, and the weights clamped after.
        """
        clip, clamp = self._training.clip, self._training.clamp
        learned = [p for group in self.optimizer.param_groups for p in group["params"]]
        add_gradients(learned)
        if clip is not None:
            nn.utils.clip_grad_norm_(learned, clip)
        self.optimizer.step()
        if clamp is not None:
            with torch.no_grad():
                for weight in self.model.weights.values():
                    weight.clamp_(-clamp, clamp)

    @abstractmethod
    def after_batch(self, rates: Sequence[float]) -> None:
        """Go on by a batch, in which the layers fired `rates` spikes per neuron and step."""

    def penalty(self) -> Tensor | None:
        """Return what the loss of a batch gets from the weights, a scalar; None for nothing."""
        return None

    def after_loss(self, loss: float) -> None:
        """Go on by a batch of this loss, the penalty included."""

    def metrics(self) -> dict[str, Any]:
        """Return what the metrics of an epoch get beside what all phases measure."""
        return {}

    @abstractmethod
    def thresholds(self) -> list[float]:
        """Thresholds of the layers that fire, as they stand in the metrics."""

    @abstractmethod
    def candidate(self) -> bool:
        """Whether the network as it stands after this epoch could go on."""


class PhaseA(Phase[FloatNet]):
    """Anneals thresholds, rounds delays, and prunes, while the weights learn."""

    name, key = "A", "model"

    def __init__(self, recipe: Recipe, model: FloatNet, batches: int) -> None:
        """Take over a new model, in epochs of `batches` batches."""
        training, output = recipe.train, model.layers[-1]
        if training.thresholds == "start":
            for block in model.layers:
                block.neurons.threshold.requires_grad_(False)
        total = training.epochs * batches
        self._thresholds = [
            block.neurons.threshold.detach() for block in model.layers if not block.integrates
        ]
        self._schedules, self._batches, self.patience = (
            recipe.network.annealed,
            batches,
            training.patience,
        )
        outputs = None if output.integrates else math.prod(output.shape)
        self._annealer = Annealer(self._thresholds, self._schedules, training, total, outputs)
        self._pruner = Pruner(model.quantized, training.prune, total)
        for layer in model.quantized:
            layer.quantizer.noise = training.weight_noise
        self._delays = Learning(list(model.delays.values()), total)
        self._constraint = (
            None
            if training.constrained is None
            else Constraint(model.quantized, training.constrained, total)
        )
        optimizer = optimizer_of(training, model)
        super().__init__(
            training,
            model,
            training.epochs,
            learning_rate(optimizer, training, total),
            {} if self._constraint is None else {CONSTRAINT: self._constraint},
        )

    def skip(self, epochs: int) -> None:
        """Go on after so many epochs; the model stands as they left it."""
        self._annealer.batch = self._pruner.batch = epochs * self._batches
        self._delays.go_on(epochs * self._batches)

    def before_batch(self, part: Part) -> None:
        """Let dropout draw for the whole batch."""
        for block in self.model.layers:
            block.neurons.dropout.part = part if len(part.sizes) > 1 else None

    def penalty(self) -> Tensor | None:
        """Return what draws weights to the levels, where the recipe asks for it."""
        return None if self._constraint is None else self._constraint.penalty()

    def after_loss(self, loss: float) -> None:
        """Update the multipliers."""
        if self._constraint is not None:
            self._constraint.after_batch(loss)

    def metrics(self) -> dict[str, Any]:
        """Return delays, learned decays, and the share of the weights at levels they are drawn to.

        There is no entry for what the recipe does not ask for.
        """
        metrics: dict[str, Any] = {
            "delays": {f"layer {n}": each.metrics() for n, each in self.model.delays.items()},
            "decays": {
                f"layer {n}": block.neurons.metrics()
                for n, block in enumerate(self.model.layers, start=1)
                if block.neurons.decays
            },
        }
        if self._constraint is not None:
            metrics["at_levels"] = round(self._constraint.at_levels(), 6)
        return {name: values for name, values in metrics.items() if values != {}}

    def after_batch(self, rates: Sequence[float]) -> None:
        """Move the thresholds, bound or round the delays, and prune."""
        for block in self.model.layers:
            block.neurons.clamp()
        self._annealer.step(rates)
        self._pruner.step()
        self._delays.step()

    def thresholds(self) -> list[float]:
        """In the membrane units of training."""
        return [round(float(threshold), 6) for threshold in self._thresholds]

    def candidate(self) -> bool:
        """Return true where patience asks for a choice.

        That is once all thresholds have arrived, and all delays are whole.
        """
        return (
            self.patience is not None
            and self._delays.held
            and arrived(self._thresholds, self._schedules, self._training)
        )


class _TwinPhase(Phase[Twin], ABC):
    """A phase that trains the twin; it keeps phase A's model, which a run returns as well."""

    key = "twin"

    def __init__(
        self,
        training: Training,
        twin: Twin,
        model: FloatNet,
        epochs: int,
        optimizer: Optimizer,
        batches: int,
    ) -> None:
        """Begin `epochs` epochs of `batches` batches."""
        for quantizer in twin.quantizers.values():
            quantizer.noise = training.weight_noise
        schedule = CosineAnnealingLR(optimizer, max(1, epochs * batches))
        super().__init__(training, twin, epochs, schedule, {"model": model})

    def thresholds(self) -> list[float]:
        """Means over the neurons of a layer, in integers."""
        firing = [neuron for neuron in self.model.neurons.values() if not neuron.integrates]
        return [
            round(float(neuron.integers()["threshold"].detach().mean()), 6) for neuron in firing
        ]


class PhaseB(_TwinPhase):
    """Weights, thresholds and biases learn."""

    name = "B"

    def __init__(self, recipe: Recipe, twin: Twin, model: FloatNet, batches: int) -> None:
        """Take over a twin, in epochs of `batches` batches."""
        tuning = recipe.finetune
        assert tuning is not None
        neurons = [
            p
            for neuron in twin.neurons.values()
            for p in (neuron.threshold, neuron.bias)
            if p.requires_grad
        ]
        neurons = list(dict.fromkeys(neurons))  # layers may share one
        groups = [
            {"params": list(twin.weights.values()), "lr": tuning.lr},
            {"params": neurons, "lr": tuning.threshold_lr},
        ]
        super().__init__(recipe.train, twin, model, tuning.epochs, Adam(groups), batches)
        self._final = not tuning.frozen_epochs

    def after_batch(self, rates: Sequence[float]) -> None:  # noqa: ARG002
        """Keep the thresholds where integers can follow."""
        self.model.clamp_thresholds()

    def candidate(self) -> bool:
        """Return true after every epoch, where no phase C follows."""
        return self._final


class PhaseC(_TwinPhase):
    """Weights learn alone."""

    name = "C"

    def __init__(self, recipe: Recipe, twin: Twin, model: FloatNet, batches: int) -> None:
        """Take over a twin whose thresholds are frozen, in epochs of `batches` batches."""
        tuning = recipe.finetune
        assert tuning is not None
        super().__init__(
            recipe.train,
            twin,
            model,
            tuning.frozen_epochs,
            Adam(twin.weights.values(), tuning.lr),
            batches,
        )

    def after_batch(self, rates: Sequence[float]) -> None:
        """Thresholds stay, and there is nothing to do."""

    def candidate(self) -> bool:
        """After every epoch: each is a network that could be exported."""
        return True
