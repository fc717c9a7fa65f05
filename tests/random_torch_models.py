"""Torch models drawn at random out of what `from_torch` takes, every number a binary fraction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import snntorch as snn
import torch
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional
from torch_models import dyadic

Shape = tuple[int, ...]
Draw = Callable[[st.SearchStrategy[Any]], Any]
Operation = Callable[["Model", Tensor, dict[str, Any]], Any]
SHAPES: tuple[Shape, ...] = ((12,), (1, 8, 8), (2, 4, 6), (3, 12), (2, 8))
STYLES = ("one step", "loop over the input", "loop, input held")


class Model(nn.Module):
    """A model that runs its operations once a step, in one of the styles of a forward.

    Attributes:
        style: one of `STYLES`.
        by_hand: whether a loop over time hands on the states of Leaky.
        words: what was drawn, an operation each.
        answers: the values, counted from the input on, that forward returns.
    """

    def __init__(self, style: str, steps: int, *, by_hand: bool) -> None:
        super().__init__()
        self.style, self.steps, self.by_hand = style, steps, by_hand
        self.words: list[str] = []
        self.operations: list[tuple[Operation, int]] = []
        self.answers: tuple[int, ...] = ()

    def step(self, x: Tensor, states: dict[str, Any]) -> list[Any]:
        """Run one step; return what the heads give."""
        values: list[Any] = [x]
        for operation, taken in self.operations:
            values.append(operation(self, values[taken], {"values": values, **states}))
        return [values[at] for at in self.answers]

    def fire(self, name: str, x: Tensor, states: dict[str, Any]) -> Any:
        """Run neurons, and hand on their state."""
        layer = self.get_submodule(name)
        if layer.init_hidden:
            return layer(x)
        spk, states["mem"][name] = layer(x, states["mem"][name])
        return spk

    def forward(self, x: Tensor) -> Any:
        """Return spikes, of a step or of all."""
        if self.style == "one step":
            given = self.step(x, {})
            return given[0] if len(given) == 1 else tuple(given)
        neurons: Any = {
            name: each
            for name, each in self.named_children()
            if isinstance(each, snn.SpikingNeuron)
        }
        mem = {name: each.reset_mem() for name, each in neurons.items()}
        every = [
            self.step(x if self.style == "loop, input held" else x[step], {"mem": mem})
            for step in range(self.steps)
        ]
        stacked = [torch.stack(each) for each in zip(*every, strict=True)]
        return stacked[0] if len(stacked) == 1 else tuple(stacked)


class Maker:
    """Builder of a model, which runs what it has on spikes as it goes, to set thresholds by it.

    Attributes:
        given: what the last operation makes of random spikes, `[N, *shape]`.
    """

    def __init__(self, draw: Draw, shape: Shape, model: Model) -> None:
        self.draw, self.model = draw, model
        generator = torch.Generator().manual_seed(1)
        self.values = [(torch.rand((40, *shape), generator=generator) < 0.4).float()]

    @property
    def given(self) -> Tensor:
        return self.values[-1]

    @property
    def shape(self) -> Shape:
        return tuple(self.given.shape[1:])

    def chance(self, percent: int = 50) -> bool:
        return bool(self.draw(st.integers(1, 100)) <= percent)

    def one(self, *of: Any) -> Any:
        return self.draw(st.sampled_from(of))

    def keep(self, module: nn.Module) -> str:
        """Give the model a module, and return its name."""
        name = f"m{len([*self.model.named_children()])}"
        self.model.add_module(name, module)
        return name

    def parameter(self, tensor: Tensor) -> str:
        """Give the model a parameter, and return its name."""
        name = f"p{len(self.model._parameters)}"
        self.model.register_parameter(name, nn.Parameter(tensor))
        return name

    def put(self, words: str, operation: Operation, taken: int = -1) -> None:
        """Let an operation follow, on the last values or others."""
        at = taken % len(self.values)
        with torch.no_grad():
            made = operation(self.model, self.values[at], {"values": self.values})
        self.model.words.append(f"{words} of {at}: {[*made.shape[1:]]}")
        self.model.operations.append((operation, at))
        self.values.append(made)

    def layer(self, module: nn.Module, words: str = "") -> None:
        name = self.keep(module.eval())
        self.put(words or repr(module), lambda m, x, _: m.get_submodule(name)(x))

    # ---------------------------------------------------------------- operations
    def weights(self, outputs: int | None = None, *, same: bool = False) -> None:
        """Draw a product with weights."""
        step, bias = self.one(0.25, 0.5, 1.0), self.chance()
        size = outputs or self.draw(st.integers(2, 6))
        if len(self.shape) == 1:
            self.product(dyadic(nn.Linear(self.shape[0], size, bias), step))
            return
        kind: Any = nn.Conv2d if len(self.shape) == 3 else nn.Conv1d
        channels, least = self.shape[0], min(self.shape[1:])
        kernel = self.one(*(k for k in (1, 2, 3) if k <= least and (not same or k % 2)))
        options: dict[str, Any] = {"bias": bias}
        if same:
            size, options["padding"] = channels, self.one("same", kernel // 2)
        else:
            options |= {"padding": self.one(0, 1), "stride": self.one(1, 1, 2)}
            if self.chance(20) and size % channels == 0:
                options["groups"] = channels
        self.product(dyadic(kind(channels, size, kernel, **options), step))

    def product(self, layer: Any) -> None:
        """Put weights in as a module or as a function of parameters."""
        if self.chance(60):
            self.layer(layer)
            return
        weight = self.parameter(layer.weight.detach())
        bias = None if layer.bias is None else self.parameter(layer.bias.detach())
        times = self.one(None, 0.5, 2)

        def held(m: Model) -> tuple[Tensor, Any]:
            own = getattr(m, weight) if times is None else getattr(m, weight) * times
            return own, None if bias is None else getattr(m, bias)

        if isinstance(layer, nn.Linear):
            if bias is None and self.chance():
                self.put("@", lambda m, x, _: x @ held(m)[0].t())
            else:
                self.put("F.linear", lambda m, x, _: functional.linear(x, *held(m)))
            return
        options = (layer.stride, layer.padding, layer.dilation, layer.groups)
        convolve = functional.conv2d if isinstance(layer, nn.Conv2d) else functional.conv1d
        self.put(f"F.conv {options}", lambda m, x, _: convolve(x, *held(m), *options))

    def norm(self) -> None:
        """Draw a batch norm of binary fractions, or numbers that do the same."""
        channels = self.shape[0]
        signs = torch.tensor(
            self.draw(
                st.lists(
                    st.sampled_from((-2.0, 0.5, 1.0, 2.0)), min_size=channels, max_size=channels
                )
            )
        )
        if self.chance(30):
            name = self.parameter(signs.reshape(-1, *[1] * (len(self.shape) - 1)))
            self.put("* numbers", lambda m, x, _: x * getattr(m, name) + 0.5)
            return
        made: Any = (nn.BatchNorm2d if len(self.shape) == 3 else nn.BatchNorm1d)(channels, eps=0.0)
        with torch.no_grad():
            made.running_var.fill_(self.one(0.25, 1.0, 4.0))
            made.running_mean.copy_(torch.arange(channels) % 3 / 4 - 0.25)
            made.weight.copy_(signs)
            made.bias.copy_(torch.arange(channels) % 2 / 4)
        self.layer(made)

    def pool(self) -> None:
        """Draw a pool over what is at least two wide, or larger maps of it."""
        if len(self.shape) == 1 or min(self.shape[1:]) < 2:
            return
        plane = len(self.shape) == 3
        stride = self.one(None, 1, 2)
        average: Any = functional.avg_pool2d if plane else functional.avg_pool1d
        greatest: Any = functional.max_pool2d if plane else functional.max_pool1d
        times: Any = self.one(2, (1, 3), (2, 1)) if plane else self.one(2, 3)
        match self.draw(st.integers(0, 7)):
            case 0:
                self.layer((nn.AvgPool2d if plane else nn.AvgPool1d)(2, stride))
            case 1:
                self.layer(
                    (nn.MaxPool2d if plane else nn.MaxPool1d)(2, stride, ceil_mode=self.chance())
                )
            case 2:
                self.put(f"avg_pool {stride}", lambda m, x, _: average(x, 2, stride))
            case 3:
                self.put(f"max_pool {stride}", lambda m, x, _: greatest(x, 2, stride))
            case 4:
                self.layer((nn.AdaptiveMaxPool2d if plane else nn.AdaptiveMaxPool1d)(1))
            case 5:
                self.layer(nn.Upsample(scale_factor=times))
            case 6:
                self.put(
                    f"interpolate {times}",
                    lambda m, x, _: functional.interpolate(x, scale_factor=times),
                )
            case 7 if plane:
                self.put(
                    "avg_pool, cut off",
                    lambda m, x, _: functional.avg_pool2d(x, 3, 2, 1, True, True, 8),
                )

    def neurons(self) -> None:
        """Draw neurons, with a threshold that some of the currents pass."""
        rows = self.given.transpose(0, 1).reshape(self.shape[0], -1)
        level = (rows.quantile(0.75, 1) * 4).round().clamp(min=1) / 4
        threshold: Any = float(level.median())
        if self.chance(30):
            threshold = level.reshape(-1, *[1] * (len(self.shape) - 1))
            if self.chance():
                threshold = threshold + torch.rand(self.shape).mul(2).round() / 4
        options: dict[str, Any] = {
            "beta": self.one(0.5, 0.75, 0.0, 1.0),
            "threshold": threshold,
            "reset_mechanism": self.one("subtract", "subtract", "zero"),
            "reset_delay": self.chance(70),
            "init_hidden": not self.model.by_hand,
        }
        kind: Any = self.one(snn.Leaky, snn.Leaky, snn.Lapicque)
        if not self.model.by_hand:
            kind = self.one(kind, snn.Leaky, snn.Synaptic, snn.RLeaky, snn.RSynaptic)
        if kind is not snn.Leaky:
            options["reset_mechanism"] = "subtract"
        if kind in (snn.Synaptic, snn.RSynaptic):
            options |= {"alpha": self.one(0.5, 0.0), "beta": self.one(0.5, 0.75)}
        if kind in (snn.RLeaky, snn.RSynaptic):
            options |= {"all_to_all": False, "V": self.one(-0.5, 0.25)}
        if kind is snn.RSynaptic:
            options["reset_delay"] = True  # snnTorch's own does not run without
        if kind is snn.Lapicque:
            del options["reset_delay"]
            del options["beta"]
            options |= {"R": self.one(2.0, 4.0), "C": self.one(1.0, 2.0)}
        name = self.keep(kind(**options))
        shown = {key: value for key, value in options.items() if key != "threshold"}
        self.model.words.append(f"{kind.__name__} {shown} {threshold}")
        at = len(self.values) - 1
        self.model.operations.append((lambda m, x, states: m.fire(name, x, states), at))
        self.values.append((self.given > torch.as_tensor(threshold)).float())

    def meet(self) -> None:
        """Draw a sum of the last spikes with others of their shape, or their concatenation."""
        other = len(self.values) - 1
        self.weights(None if len(self.shape) > 1 else self.given.shape[1], same=True)
        if self.chance():
            self.neurons()
        if self.chance():
            self.put(f"+ {other}", lambda _, x, more: x + more["values"][other])
        else:
            self.put(f"cat {other}", lambda _, x, more: torch.cat((more["values"][other], x), 1))

    def flat(self) -> None:
        """Draw one of the ways to flatten."""
        match self.draw(st.integers(0, 3)):
            case 0:
                self.layer(nn.Flatten())
            case 1:
                self.put("view", lambda _, x, __: x.view(x.size(0), -1))
            case 2:
                self.put("reshape", lambda _, x, __: x.reshape(x.shape[0], -1))
            case 3:
                self.put("flatten", lambda _, x, __: torch.flatten(x, 1))

    def silent(self) -> None:
        """Draw what changes no spike."""
        match self.draw(st.integers(0, 3)):
            case 0:
                self.layer(nn.Dropout(0.5))
            case 1:
                self.put("F.dropout", lambda m, x, _: functional.dropout(x, 0.5, m.training))
            case 2:
                self.put("F.relu", lambda _, x, __: functional.relu(x))
            case 3:
                self.put("detach", lambda _, x, __: x.detach().contiguous())


def draw_model(draw: Draw, steps: int) -> tuple[Model, Shape]:
    """Draw a model, and the shape of what it takes in a step.

    Its neurons fire at some of the random spikes with which it was built.
    """
    shape = draw(st.sampled_from(SHAPES))
    style = draw(st.sampled_from(STYLES))
    model = Model(style, steps, by_hand=style != "one step" and draw(st.booleans()))
    make = Maker(draw, shape, model)
    if make.chance(20) and len(shape) > 1:
        make.pool()
    for _ in range(draw(st.integers(1, 2))):
        make.weights()
        for more, percent in ((make.norm, 40), (make.pool, 30)):
            if make.chance(percent):
                more()
        make.neurons()
        for more, percent in ((make.silent, 30), (make.pool, 30), (make.meet, 25)):
            if make.chance(percent):
                more()
    if len(make.shape) > 1:
        make.flat()
    features = len(make.values) - 1
    make.weights(4)
    if make.chance(25):
        make.norm()
    make.neurons()
    if make.chance(20):
        first = len(make.values) - 1
        make.values.append(make.values[features])
        model.operations.append((lambda _, __, more: more["values"][features], features))
        make.weights(3)
        make.neurons()
        model.answers = (first, len(make.values) - 1)
    else:
        model.answers = (len(make.values) - 1,)
    return model, shape
