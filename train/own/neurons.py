"""snnTorch's neurons with annealed thresholds, and the annealer of a whole model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import snntorch as snn
import torch
from torch import Tensor, nn

from lehr.errors import UsageError
from lehr.train.floats.delays import Delays, Learning
from lehr.train.floats.finite import by_layer, require_finite
from lehr.train.keys.threshold import Threshold
from lehr.train.learning.anneal import Moment, move


class Annealed:
    """Part of an snntorch neuron whose threshold follows a schedule, and which counts its spikes.

    It counts them in training.

    Attributes:
        schedule: of the threshold.
        threshold: a buffer of the shape that the plain neuron's had; it moves in place, and is
            saved with the model's state.
    """

    schedule: Threshold
    threshold: Tensor
    training: bool
    instances: list[Any]
    _fired: Tensor | int
    _seen: int
    _buffers: dict[str, Tensor | None]

    def forward(self, *inputs: Any, **states: Any) -> Any:
        """Return what snntorch's neuron returns: spikes, or spikes and states."""
        result = super().forward(*inputs, **states)  # type: ignore[misc]  # snnTorch's, beside it
        if self.training:
            spikes = result[0] if isinstance(result, tuple) else result
            self._fired = (
                self._fired + spikes.detach().count_nonzero()
            )  # stays on its device: only `firing_rate` waits for it
            self._seen += spikes.numel()
        return result

    def firing_rate(self) -> float | None:
        """Return spikes per neuron and step since the last call, 0..1.

        None if it has not run in training mode since.
        """
        rate = float(self._fired) / self._seen if self._seen else None
        self._fired, self._seen = 0, 0
        return rate

    def __getstate__(self) -> dict[str, Any]:
        """Leave the graph that computed the states out of a copy: torch refuses to copy it."""
        buffers = {
            name: value if value is None or value.grad_fn is None else value.detach()
            for name, value in self._buffers.items()
        }
        return {**vars(self), "_buffers": buffers}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Enter the list by which snnTorch resets states, as a neuron that is built does."""
        super().__setstate__(state)  # type: ignore[misc]  # nn.Module's
        self.instances.append(self)


class AnnealedLeaky(Annealed, snn.Leaky):  # type: ignore[misc]  # snnTorch has no types
    """snntorch.Leaky, annealed."""


class AnnealedRLeaky(Annealed, snn.RLeaky):  # type: ignore[misc]
    """snntorch.RLeaky, annealed."""


class AnnealedSynaptic(Annealed, snn.Synaptic):  # type: ignore[misc]
    """snntorch.Synaptic, annealed."""


class AnnealedRSynaptic(Annealed, snn.RSynaptic):  # type: ignore[misc]
    """snntorch.RSynaptic, annealed."""


ANNEALED: Mapping[type[nn.Module], type[Any]] = {
    snn.Leaky: AnnealedLeaky,
    snn.RLeaky: AnnealedRLeaky,
    snn.Synaptic: AnnealedSynaptic,
    snn.RSynaptic: AnnealedRSynaptic,
}
"""The neurons whose thresholds can be annealed, and what they become.

Classes derived from them are none: their forward pass may do anything.
"""


def adopt(neuron: Any, schedule: Threshold) -> None:
    """Turn a neuron into its annealed class, in all places that share it.

    Its threshold goes to where the schedule starts. Its class changes, as in torch's
    parametrizations: hooks, shared decays and bound state functions stay what they are.
    """
    old = neuron.threshold
    neuron.__class__ = ANNEALED[type(neuron)]
    neuron.schedule, neuron._fired, neuron._seen = schedule, 0, 0
    # a buffer of its own: snnTorch keeps a tensor that two neurons were given as one, and 1 as an
    # integer
    neuron.threshold = torch.full_like(
        old,
        schedule.start,
        dtype=old.dtype if old.is_floating_point() else torch.get_default_dtype(),
    )
    neuron.instances.append(neuron)


class ThresholdAnnealer:
    """Moves all annealed thresholds of a model, and rounds its delays when it is time.

    Call `step()` after every batch, as that of a learning rate's schedule.

    Attributes:
        batch: batches trained so far; with the model's state, all that a run which is taken up
            again must set.
        rates: spikes per neuron and step of every annealed neuron in the last batch, by qualified
            name; None for one that did not run.
    """

    def __init__(self, model: nn.Module, batches: int, cycles: int = 1) -> None:
        """Anneal a model that `binarize` has made over `batches` batches.

        `restarts` divides them into `cycles` equal cycles.

        Raises:
            UsageError: when nothing is to be annealed, or `batches` or `cycles` do not go with the
                schedules.
        """
        self._neurons = {
            name: module for name, module in model.named_modules() if isinstance(module, Annealed)
        }
        if not self._neurons:
            raise UsageError("model: it has no annealed neurons; make it with lehr.train.binarize")
        if batches < 1:
            raise UsageError(
                f"batches: {batches}; an annealer needs 1 or more, epochs times batches of an epoch"
            )
        restarts = any(neuron.schedule.schedule == "restarts" for neuron in self._neurons.values())
        if cycles < 1 or restarts != (cycles > 1):
            raise UsageError(
                f"cycles: {cycles}; a schedule named 'restarts' needs 2 or more, all others 1"
            )
        self._model, self._batches, self._cycles = model, batches, cycles
        delays = [module for module in model.modules() if isinstance(module, Delays)]
        self._delays = Learning(delays, batches)
        self.batch = 0
        self.rates: dict[str, float | None] = {}

    @property
    def batch(self) -> int:
        """Batches trained so far."""
        return self._batch

    @batch.setter
    def batch(self, batch: int) -> None:
        self._batch = batch
        self._delays.go_on(batch)

    def step(self) -> None:
        """Go on by a batch; a loss that still has to be differentiated cannot be any more.

        Raises:
            UsageError: when a rate-controlled neuron has not run in training mode since the last
                step, or when a weight, bias, decay, threshold or statistic of the model is not
                finite, with the names of all such layers; no threshold has moved then.
        """
        require_finite(by_layer(self._model), f"after batch {self.batch + 1}")
        self.rates = {name: neuron.firing_rate() for name, neuron in self._neurons.items()}
        for name, rate in self.rates.items():
            if rate is None and self._neurons[name].schedule.schedule == "rate-controlled":
                raise UsageError(
                    f"{name}: it has not run in training mode since the last step; call train() "
                    "and the model first"
                )
        self.batch += 1
        for (
            name,
            neuron,
        ) in (
            self._neurons.items()
        ):  # looked up anew: moving a model to a device replaces its buffers
            move(
                neuron.threshold,
                neuron.schedule,
                Moment(self.batch, self._batches, self._cycles, self.rates[name] or 0.0),
            )
