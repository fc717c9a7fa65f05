"""Random recipes of the whole language of layers, and float networks of them in which spikes flow.

A recipe is drawn as the tables that one writes, from a generator of random numbers. What a key of
the language may be is a function here; a new key is drawn in the function of its part: what leads
to neurons (`_weights`), what they compute (`_neurons`, `_states`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch

from lehr.nodes import InputKind, Shape
from lehr.train.floats.model import FULL_SCALE, FloatNet
from lehr.train.recipe import Recipe
from lehr.train.twin.convert import Converted, convert

Table = dict[str, Any]
KINDS = ("binarized", "ternary", "int2", "int4", "int8")
SHAPES: tuple[Shape, ...] = ((2, 6, 6), (2, 1, 14), (9,))
"""Of the input: maps, maps of one row, and flat."""
STEPS = 12
CLASSES = 4
LEAST, MOST = 0.02, 0.7
"""Spikes per neuron and step within which the thresholds bring every layer."""


@dataclass(frozen=True)
class Drawn:
    """A recipe, its float network, and an input, uint8 `[N, T, *shape]` or `[N, *shape]`."""

    recipe: Recipe
    model: FloatNet
    kind: InputKind
    x: np.ndarray[Any, np.dtype[np.uint8]]

    @property
    def shape(self) -> Shape:
        """Shape of the input."""
        return self.model.shape

    def converted(self) -> Converted:
        """Return the twin."""
        return convert(self.model, self.recipe, self.shape, self.kind)


def drawn_recipe(seed: int) -> tuple[Recipe, Shape, InputKind]:
    """Draw a recipe, and the shape and kind of its network's input."""
    rng = np.random.default_rng(seed)
    shape = SHAPES[seed % len(SHAPES)]
    kind: InputKind = "u8" if rng.random() < 0.4 else "spikes"
    return random_recipe(rng, shape, kind), shape, kind


@cache
def drawn(seed: int) -> Drawn:
    """Draw a recipe, and weights with which every layer fires, and not always.

    Weights that allow no such thresholds are drawn again.
    """
    recipe, shape, kind = drawn_recipe(seed)
    rng = np.random.default_rng(seed)
    for attempt in range(20):
        torch.manual_seed(1000 * seed + attempt)
        model = FloatNet(recipe.network, shape, FULL_SCALE if kind == "u8" else 1).eval()
        _shake(model)
        x = random_input(rng, shape, kind)
        if _brought_to_fire(model, torch.from_numpy(x).float()):
            return Drawn(recipe, model, kind, x)
    raise AssertionError(f"no weights of recipe {seed} let spikes flow; draw other recipes")


def random_input(
    rng: np.random.Generator, shape: Shape, kind: InputKind, samples: int = 6
) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return held pixels, or spikes at a rate of one half."""
    if kind == "u8":
        return rng.integers(0, 256, (samples, *shape)).astype(np.uint8)
    return rng.integers(0, 2, (samples, STEPS, *shape)).astype(np.uint8)


# -------------------------------------------------------------------- recipes
def random_recipe(rng: np.random.Generator, shape: Shape, kind: InputKind) -> Recipe:
    """Draw a recipe whose network takes an input of `shape`."""
    layers = _Layers(rng, shape, kind)
    coded = {"encoding": "rate", "steps": STEPS} if kind == "spikes" else {}
    return Recipe.model_validate(
        {
            "name": "drawn",
            "description": "a random recipe",
            "data": {"name": "digits", **coded},
            "network": {
                "steps": STEPS,
                "beta": str(rng.choice(["1/2", "3/4", "7/8", "1/1"])),
                "slope": 2.0,
                "weights": str(rng.choice(KINDS)),
                "layers": layers.tables(),
            },
            "train": {
                "epochs": 1,
                "batch_size": 8,
                "lr": 1e-3,
                "objective": "cross-entropy",
            },
        }
    )


class _Layers:
    """Layers drawn one after the other, with the shapes of those that a sum may add."""

    def __init__(self, rng: np.random.Generator, shape: Shape, kind: InputKind) -> None:
        self.rng, self.shape, self.kind = rng, shape, kind
        self.all: list[Table] = []
        self.ends: dict[str, Shape] = {"input": shape} if kind == "spikes" else {}
        """Shapes of what can be added, by name."""
        self.here: set[str] = {"input"}
        """Names of what the next layer takes."""

    def tables(self) -> list[Table]:
        """Return all layers."""
        if len(self.shape) == 3:
            for _ in range(self.rng.integers(1, 4)):
                self._conv()
                self._perhaps_add()
        for _ in range(self.rng.integers(0 if self.all else 1, 3)):
            self._linear()
            self._perhaps_add()
        return [*self.all, self._last()]

    def _chance(self, share: float = 0.5) -> bool:
        return bool(self.rng.random() < share)

    def _put(self, kind: str, table: Table, shape: Shape) -> None:
        number = sum(layer["type"] != "add" for layer in self.all) + 1
        name = f"{kind}{number}"
        if self._chance(0.3):
            name = table["name"] = f"layer-{number}"
        self.all.append(table)
        self.shape, self.here = shape, {name}
        self.ends[name] = shape

    def _conv(self) -> None:
        channels, *size = self.shape
        row = size[0] == 1 and self._chance(0.8)
        # with others of its shape it can be added
        same = self._chance(0.6)
        kernel = 3 if same or min(size[int(row) :]) < 4 else int(self.rng.integers(2, 4))
        dilation = 2 if self._chance(0.25) else 1
        reach = dilation * (kernel - 1)
        table: Table = {
            "type": "conv1d" if row else "conv",
            "kernel": kernel,
            "dilation": dilation,
            "padding": reach // 2 if same else -(-reach // 2),
        }
        out = channels if same else int(self.rng.choice([2, 4, 6]))
        if out % 2 == 0 and channels % 2 == 0 and self._chance(0.4):
            table["groups"] = 2
        if not same and self._chance(0.4):
            table["stride"] = 2
        if not row:
            table = _in_pairs(self.rng, table, size)
        stride = _pair(table.get("stride", 1), row)
        padding, kernels = _pair(table["padding"], row, 0), _pair(table["kernel"], row)
        dilations = _pair(table["dilation"], row)
        size = [
            (n + 2 * p - d * (k - 1) - 1) // s + 1
            for n, p, d, k, s in zip(size, padding, dilations, kernels, stride, strict=True)
        ]
        if (wide := min(size[int(row) :])) >= 4 and not same and self._chance(0.6):
            share = self.rng.random()
            pooled = "pool" if share < 0.8 else "max_pool"
            table[pooled] = 2 if row or size[0] > 1 else [1, 2]
            if 0.5 <= share < 0.8:
                table["pooling"] = "max"
            size = [n // p for n, p in zip(size, _pair(table[pooled], row), strict=True)]
        assert wide >= 1, table
        table |= {"channels": out, **self._weights(), **self._neurons()}
        self._put("conv", table, (out, *size))

    def _linear(self) -> None:
        features = self.shape[0] if len(self.shape) == 1 else int(self.rng.integers(6, 10))
        table = {
            "type": "linear",
            "features": features,
            **self._weights(),
            **self._neurons(),
            **self._recurrence(),
        }
        self._put("fc", table, (features,))

    def _last(self) -> Table:
        if self._chance():
            return {
                "type": "integrator",
                "features": CLASSES,
                "bias": self._chance(),
                "readout": str(self.rng.choice(["last", "sum", "max"])),
                **self._weights(),
                **self._states(),
            }
        return {
            "type": "linear",
            "features": CLASSES,
            **self._weights(),
            **self._neurons(),
            **self._recurrence(),
        }

    def _perhaps_add(self) -> None:
        """Add the spikes of an earlier layer of the same shape, if there is one."""
        (latest,) = self.here
        others = [
            name
            for name, shape in self.ends.items()
            if shape == self.ends[latest] and name != latest
        ]
        if others and self._chance(0.8):
            self.all.append({"type": "add", "from": [str(self.rng.choice(others)), latest]})

    def _takes_pixels(self) -> bool:
        """Whether the next layer takes held values, to which no spikes can be added."""
        return self.kind == "u8" and self.here == {"input"}

    # ---------------------------------------------------------------- keys of a layer
    def _weights(self) -> Table:
        """Draw what a layer's weights are."""
        table: Table = {}
        if not self._takes_pixels() and self._chance(0.2):
            table["delay"] = {"max": 4, "learn": self._chance()}
        if self._chance():
            return table
        weights = table["weights"] = str(self.rng.choice(KINDS))
        if weights.startswith("int") and self._chance():
            table["weight_step"] = str(self.rng.choice(["learned", "fixed"]))
        return table

    def _neurons(self) -> Table:
        """Draw what neurons that fire compute."""
        table: Table = {"threshold": {"start": 1.0}, **self._states()}
        table[str(self.rng.choice(["bias", "batch_norm"]))] = True
        if self._chance(0.3):
            table["reset"] = str(self.rng.choice(["zero", "subtract", "none"]))
        if self._chance(0.2):
            table["adaptation"] = {"type": "threshold", "jump": 0.5, "beta": "3/4"}
        elif self._chance(0.2):
            table["adaptation"] = {
                "type": "current",
                "jump": 0.5,
                "membrane": "1/8",
                "beta": "1/2",
            }
        return table

    def _recurrence(self) -> Table:
        """Draw whether spikes come back, where no pixels arrive."""
        return {"recurrent": True} if not self._takes_pixels() and self._chance(0.4) else {}

    def _states(self) -> Table:
        """Draw the states that all neurons have."""
        table: Table = {}
        if self._chance(0.3):
            table["beta"] = str(self.rng.choice(["1/2", "7/8", "0"]))
        elif self._chance(0.3):
            table["beta"] = {
                "start": "0.8",
                "learn": str(self.rng.choice(["layer", "channel"])),
                "bits": 5,
            }
        if self._chance(0.2):
            learned = {"start": "0.6", "learn": "channel", "bits": 6}
            table["alpha"] = learned if self._chance() else "1/2"
            table["beta"] = "3/4"  # the membrane behind a synapse must leak
        return table


def _pair(value: Any, row: bool, along: int = 1) -> list[int]:
    """Return a window's rows and columns; across a row they are `along`."""
    if isinstance(value, list):
        return value
    return [along, value] if row else [value, value]


def _in_pairs(rng: np.random.Generator, table: Table, size: list[int]) -> Table:
    """Return a convolution of maps with its windows as pairs: always where there is but one row."""
    if size[0] > 1 and rng.random() < 0.7:
        return table
    rows = {"kernel": 1, "padding": 0, "dilation": 1, "stride": 1}
    return {key: [rows[key], value] if key in rows else value for key, value in table.items()}


# -------------------------------------------------------------------- weights
def _shake(model: FloatNet) -> None:
    """Give batch norms and biases numbers of both signs, as training does."""
    with torch.no_grad():
        for block in model.layers:
            norm = block.norm
            if isinstance(norm, torch.nn.modules.batchnorm._BatchNorm):
                assert norm.running_mean is not None
                assert norm.running_var is not None
                norm.weight.copy_(torch.randn_like(norm.weight).sign() * (0.5 + torch.rand(1)))
                norm.bias.normal_(0.2, 0.3)
                norm.running_mean.normal_(0, 0.5)
                norm.running_var.uniform_(0.5, 3.0)
            elif block.neurons.bias.requires_grad:
                block.neurons.bias.normal_(0.1, 0.2)


def _brought_to_fire(model: FloatNet, x: torch.Tensor) -> bool:
    """Set thresholds, layer by layer, by halving; return whether all layers fire, not always."""
    firing = [block for block in model.layers if not block.integrates]
    with torch.no_grad():
        for number, block in enumerate(firing):
            low, high = 2.0**-3, 2.0**6
            for _ in range(9):
                block.neurons.threshold.fill_((low * high) ** 0.5)
                rate = float(model.run(x)[0][number].mean())
                low, high = (
                    (block.neurons.threshold.item(), high)
                    if rate > 0.25
                    else (
                        low,
                        block.neurons.threshold.item(),
                    )
                )
        return all(LEAST < float(spikes.mean()) < MOST for spikes in model.run(x)[0])
