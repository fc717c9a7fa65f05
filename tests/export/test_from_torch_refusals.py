"""Refusals of from_torch, by name and with a way out.

What it says of loops over time makes sense.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
import snntorch as snn
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch_models import dyadic, events

from lehr.errors import NotMappable, UsageError
from lehr.export import from_torch

ONE_STEP = "write forward for one time step, as forward(x, mem1, mem2) that returns the output's spikes and the new states"


def neuron(**options: Any) -> Any:
    """Make a Leaky that is no problem but for its options."""
    return snn.Leaky(**{"beta": 0.5, "init_hidden": True, **options})


def after(*layers: nn.Module) -> nn.Module:
    """Layers after a convolution, before neurons."""
    return nn.Sequential(dyadic(nn.Conv2d(1, 2, 3, padding=1)), *layers, neuron())


class Net(nn.Module):
    """A layer and neurons; forwards of all sorts are derived."""

    def __init__(self, init_hidden: bool = False) -> None:
        super().__init__()
        self.fc, self.lif = dyadic(nn.Linear(4, 4)), neuron(init_hidden=init_hidden)
        self.pool = nn.AvgPool2d(2)


class Loop(Net):
    """A loop over a fixed number of steps."""

    def forward(self, x: Tensor) -> Tensor:
        """All spikes."""
        mem, spikes = self.lif.reset_mem(), []
        for _ in range(3):
            spk, mem = self.lif(self.fc(x), mem)
            spikes.append(spk)
        return torch.stack(spikes)


class LoopOverInput(Net):
    """A loop over the input's own steps."""

    def forward(self, x: Tensor) -> Any:
        """Return the last spikes."""
        mem, spk = self.lif.reset_mem(), x[0]
        for t in range(x.shape[0]):
            spk, mem = self.lif(self.fc(x[t]), mem)
        return spk


class Forgets(Net):
    """Module whose membranes start anew in each call."""

    def forward(self, x: Tensor) -> Any:
        """Spikes."""
        return self.lif(self.fc(x), self.lif.reset_mem())


class KeepsToItself(Net):
    """A state that comes in and does not go out."""

    def forward(self, x: Tensor, mem: Tensor) -> Any:
        """Spikes."""
        spk, mem = self.lif(self.fc(x), mem)
        return spk


class Relu(Net):
    """A function where a module should be."""

    def forward(self, x: Tensor) -> Any:
        """Spikes and membranes."""
        return self.lif(functional.relu(self.fc(x)))


class View(Net):
    """A reshape that makes other samples."""

    def forward(self, x: Tensor) -> Any:
        """Spikes and membranes."""
        return self.lif(self.fc(x.view(-1, 2)))


class Skip(Net):
    """Two ways from the input, one of them a gate of the other."""

    def forward(self, x: Tensor) -> Any:
        """Spikes and membranes."""
        return self.lif(self.fc(x) * x)


class Branch(Net):
    """A layer that takes something from further back."""

    def forward(self, x: Tensor) -> Any:
        """Spikes and membranes."""
        self.pool(self.fc(x))
        return self.lif(x)


class Mixed(Net):
    """A recurrence of its own."""

    def forward(self, x: Tensor, spk: Tensor, mem: Tensor) -> Any:
        """Spikes and membranes."""
        return self.lif(self.fc(x) + self.fc(spk), mem)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            Loop(),
            "model: its forward takes the same input in each of its 3 steps, and samples have "
            "another in each; let it take x[step], or give samples [N, *shape] and --steps 3",
        ),
        (
            LoopOverInput(),
            "model: its forward returns nothing of all its 3 steps; collect what each gives in a "
            "list, and return torch.stack of it",
        ),
        (
            Forgets(),
            "lif: its state mem is not one that forward only takes and hands on (lif_mem); write "
            "forward for one time step",
        ),
        (
            KeepsToItself(),
            "lif: forward takes its state as mem and does not return the new one; return it",
        ),
        (
            Relu(),
            "relu (ReLU): it clips currents at 0, which no integer layer does; leave it out, for "
            "neurons take currents below 0, and train without it",
        ),
        (
            View(),
            "view: .view() makes [2N, 2] of [N, 4]; flatten each sample wholly, as x.flatten(1) "
            "does, or leave its shape as it is",
        ),
        (Skip(), "model: its forward calls mul after fc, which is no layer that can be read"),
        (
            Branch(),
            "model: its forward does not return what pool gives, which no other layer takes",
        ),
        (Mixed(), "fc: it runs 2 times in one call of forward, in several places; write forward"),
        (
            nn.Sequential(nn.Linear(4, 4), neuron(init_hidden=False), nn.Linear(4, 4)),
            "2: it takes all that 1 returns, its state too; give that init_hidden=True",
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_forwards_that_are_no_chain_of_one_step(model: nn.Module, message: str) -> None:
    with pytest.raises(NotMappable, match=re.escape(message)):
        from_torch(model, events(2, 3, 4))


class Refractory(snn.Leaky):  # type: ignore[misc]
    """Neurons of one's own, which stay silent for a while after a spike."""

    def forward(self, input_: Tensor, mem: Any = None) -> Any:
        """Spikes, held back while the neuron rests."""
        spk = super().forward(input_, mem) * (self.rests <= 0)
        self.rests = torch.where(spk > 0, 3, self.rests - 1)
        return spk

    rests: Any = torch.zeros(())


def dyadic_loop(channels: int) -> Any:
    """Neurons whose spikes come back through a convolution of so many channels."""
    looped: Any = snn.RLeaky(beta=0.5, init_hidden=True, conv2d_channels=channels, kernel_size=3)
    dyadic(looped.recurrent)
    return looped


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (after(nn.ReLU()), "1 (ReLU): it clips currents at 0, which no integer layer does; leave it out"),
        (after(nn.GELU()), "1 (GELU): the integer network has no such layer; use Linear, Conv2d, BatchNorm1d, BatchNorm2d, SyncBatchNorm, AvgPool2d"),
        (after(nn.MaxPool2d(2, return_indices=True)), "1 (MaxPool2d): it returns indices; use return_indices=False"),
        (after(nn.MaxPool2d(5)), "1 (MaxPool2d): covers (5, 5) pixels but gets (4, 4) with padding (0, 0)"),
        (after(nn.AvgPool2d(3, ceil_mode=True)), "1 (AvgPool2d): its last windows are cut off (ceil_mode=True), so that it divides by 1 to 9; use ceil_mode=False, or give divisor_override=9"),
        (after(nn.AvgPool2d(3, padding=1, count_include_pad=False)), "1 (AvgPool2d): its padding counts neither as spikes nor as currents"),
        (after(nn.Flatten(2)), "1 (Flatten): it flattens axes 2 to -1; use nn.Flatten()"),
        (after(nn.BatchNorm2d(2, track_running_stats=False)), "1 (BatchNorm2d): it has no running statistics (track_running_stats=False)"),
        (after(nn.BatchNorm2d(3)), "1 (BatchNorm2d): it has 3 channels and gets (2, 4, 4); give it as many"),
        (after(neuron(), dyadic(nn.Conv2d(3, 2, 1))), "2 (Conv2d): takes (3, height, width) but gets (2, 4, 4)"),
        (after(neuron(), dyadic(nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"))), "2 (Conv2d): its padding_mode is 'reflect'; use 'zeros'"),
        (after(neuron(inhibition=False, state_quant=lambda mem: mem)), "1 (Leaky): it has state_quant, which rounds its membrane by rules"),
        (after(neuron(graded_spikes_factor=2.0)), "1 (Leaky): it has graded_spikes_factor, so that its spikes are not 0 and 1; build it without"),
        (after(neuron(spike_grad=torch.sigmoid)), "1 (Leaky): its spike_grad gives ["),
        (after(neuron(threshold=0.0)), "1 (Leaky): its threshold is 0; use one above 0"),
        (after(neuron(threshold=torch.ones(3))), "1 (Leaky): its threshold has shape [3] where its neurons have [2, 4, 4]; give one per channel, shape [2, 1, 1]"),
        (after(neuron(beta=torch.tensor([[[0.5]], [[0.3]]]))), "1 (Leaky): its beta is 0.3 to 0.5, no k/2**n with n up to 16; have it rounded with --decay-bits 8 (in"),
        (after(snn.Alpha(alpha=0.9, beta=0.5, init_hidden=True)), "1 (Alpha): no integer neuron computes it; use Leaky, Lapicque, RLeaky, Synaptic, RSynaptic"),
        (after(Refractory(beta=0.5, init_hidden=True)), "1 (Refractory): no integer neuron computes it; use Leaky, Lapicque, RLeaky, Synaptic, RSynaptic"),
        (after(snn.RLeaky(beta=0.5, init_hidden=True, all_to_all=False, V=0.7853)), "1 (RLeaky): its recurrent weights and its input's are not up to 127 levels of one step in each output; train"),
        (after(dyadic_loop(3)), "1 (RLeaky): its recurrent weights make 3 channels of 2; make them equal"),
        (nn.Sequential(neuron(), dyadic(nn.Conv2d(1, 2, 1))), "1: it is the last layer, and no neurons follow it; end in neurons"),
    ],
)  # fmt: skip
def test_layers_that_are_no_integer_layers(model: nn.Module, message: str) -> None:
    with pytest.raises(NotMappable, match=re.escape(message)):
        from_torch(model, events(2, 3, 1, 4, 4))


@pytest.mark.parametrize(
    ("sample", "options", "message"),
    [
        (
            events(2, 4),
            {},
            "sample is uint8 [2, 4]; give uint8 [N, T, *shape], or [N, *shape] and --steps 8 (in "
            "Python: steps=8)",
        ),
        (events(2, 3, 4).astype(float), {}, "sample is float64 [2, 3, 4]; give uint8"),
        (events(0, 3, 4), {}, "sample is uint8 [0, 3, 4]; give uint8"),
        (
            events(2, 3, 4) * 9,
            {},
            "sample holds 9, but no full scale is given; give --full-scale 255 for pixels, 1 for "
            "counts",
        ),
        (
            events(2, 3, 4),
            {"weights": "binary"},
            "--weights is 'binary'; use one of int2, int3, int4, int5, int6, int7, int8",
        ),
        (events(2, 3, 4), {"decay_bits": 17}, "--decay-bits is 17; use 1 to 16"),
        (events(2, 3, 4), {"fraction_bits": 17}, "--fraction-bits is 17; use 0 to 16"),
        (
            events(2, 3, 4),
            {"full_scale": 0.0},
            "--full-scale is 0; use a number above 0, 255 for pixels",
        ),
    ],
)
def test_options_and_samples(sample: Any, options: Any, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        from_torch(nn.Sequential(dyadic(nn.Linear(4, 4)), neuron()), sample, **options)


def test_a_model_that_fails_on_the_sample_is_named() -> None:
    def steps(x: Tensor) -> Tensor:
        if x.ndim > 1:
            raise ValueError("only on Sundays")
        return (x > 0).float()

    model = nn.Sequential(dyadic(nn.Linear(4, 4)), neuron(spike_grad=steps))
    with pytest.raises(
        NotMappable,
        match=r"model: it does not run on the sample \(ValueError: only on Sundays\); check the sample's shape",
    ):
        from_torch(model, events(2, 3, 4))


class Operations(Net):
    """Several operations between the layers, and neurons of another kind."""

    def __init__(self) -> None:
        super().__init__()
        self.real, self.other = nn.Linear(4, 4), snn.Alpha(alpha=0.9, beta=0.5)

    def forward(self, x: Tensor) -> Any:
        """Spikes and membranes."""
        x = self.fc(x.view(x.size(0), -1))
        spk = self.other(functional.relu(x).exp())[0]
        return self.lif(self.real(spk))


def test_all_that_stands_in_the_way_is_said_at_once() -> None:
    model = Operations()
    model.lif.register_forward_hook(print)
    model.fc.bias.data[1] = torch.nan
    with pytest.raises(NotMappable) as error:
        from_torch(model, events(2, 3, 4))
    assert str(error.value) == (
        "6 refusals:"
        "\n  lif (Leaky): it has a forward hook (print), which may change what it gives; remove "
        "it: handle.remove()"
        "\n  model: its forward calls .exp() after relu, which is no layer that can be read; use "
        f"modules such as nn.AvgPool2d and nn.Flatten, and {ONE_STEP}, or with "
        "init_hidden=True,"
        " and leave the loop over time to lehr"
        "\n  fc (Linear): its bias is not finite (NaN); train it again"
        "\n  relu (ReLU): it clips currents at 0, which no integer layer does; leave it out, for "
        "neurons take currents below 0, and train without it"
        "\n  other (Alpha): no integer neuron computes it; use Leaky, Lapicque, RLeaky, Synaptic, "
        "RSynaptic of snntorch"
        "\n  real (Linear): its weights are real numbers, not -1 and +1 or up to 127 levels of one "
        "step; train it with"
        " lehr.train.binarize, or have them rounded with --weights int8 (weights='int8' in Python)"
    )


def test_layers_with_one_fault_are_named_together() -> None:
    model = nn.Sequential(
        nn.Linear(4, 6),
        nn.ReLU(),
        neuron(),
        nn.Linear(6, 5),
        nn.BatchNorm1d(5),
        neuron(),
        dyadic(nn.Linear(5, 2)),
        nn.ReLU(),
    )
    with pytest.raises(NotMappable) as error:
        from_torch(model, events(2, 3, 4))
    first, weights, relu = str(error.value).split("\n  ")
    assert first == "2 refusals:"
    assert weights.startswith("0 (Linear), 3 (Linear): its weights are real numbers")
    assert relu.startswith("1 (ReLU), 7 (ReLU): it clips currents at 0, which no integer layer")


def test_a_loop_and_hooks_are_said_together() -> None:
    model = Loop()
    model.fc.register_forward_pre_hook(print)
    with pytest.raises(NotMappable) as error:
        from_torch(model, events(2, 3, 4))
    _, hook, loop = str(error.value).split("\n  ")
    assert hook.startswith("fc (Linear): it has a forward pre-hook (print)")
    assert loop.startswith("model: its forward takes the same input in each of its 3 steps")
