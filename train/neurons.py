"""snnTorch's Leaky neurons with annealed thresholds, and the annealer of a whole model."""

from __future__ import annotations

from typing import Any

import snntorch as snn
import torch
from torch import Tensor, nn

from lehr.errors import UsageError
from lehr.train.anneal import Moment, move
from lehr.train.finite import by_layer, require_finite
from lehr.train.threshold import Threshold


class AnnealedLeaky(snn.Leaky):  # type: ignore[misc]  # snnTorch has no types
    """snntorch.Leaky whose threshold follows a schedule, and which counts its spikes in training.

    Attributes:
        schedule: of the threshold.
        threshold: a buffer of the shape that the plain neuron's had; it moves in place, and is
            saved with the model's state.
    """

    schedule: Threshold
    _fired: Tensor | int
    _seen: int

    @classmethod
    def adopt(cls, neuron: Any, schedule: Threshold) -> None:
        """Turn an snntorch.Leaky into this class, in all places that share it.

        Its threshold goes to where the schedule starts.

        Its class changes, as in torch's parametrizations: hooks, shared decays and bound state
        functions stay what they are.
        """
        old = neuron.threshold
        neuron.__class__ = cls
        neuron.schedule, neuron._fired, neuron._seen = schedule, 0, 0
        # a buffer of its own: snnTorch keeps a tensor that two neurons were given as one, and 1 as
        # an integer
        neuron.threshold = torch.full_like(
            old,
            schedule.start,
            dtype=old.dtype if old.is_floating_point() else torch.get_default_dtype(),
        )
        cls.instances.append(neuron)

    def forward(self, input_: Tensor, mem: Tensor | None = None) -> Any:
        """Return what snntorch.Leaky returns: spikes, or spikes and membranes."""
        result = super().forward(input_, mem)
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
        """Leave the graph that computed the membrane out of a copy: torch refuses to copy it."""
        return {**vars(self), "_buffers": {**self._buffers, "mem": self.mem.detach()}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Enter the list by which snnTorch resets membranes, as a neuron that is built does."""
        super().__setstate__(state)
        self.instances.append(self)


class ThresholdAnnealer:
    """Moves all annealed thresholds of a model: call `step()` after every batch.

    It is used as a learning rate's schedule is.

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
            name: module
            for name, module in model.named_modules()
            if isinstance(module, AnnealedLeaky)
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
        self._model, self._batches, self._cycles, self.batch = model, batches, cycles, 0
        self.rates: dict[str, float | None] = {}

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
