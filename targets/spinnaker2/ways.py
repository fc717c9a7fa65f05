"""Ways between layers that py-spinnaker2 makes projections of, and lehr's ways as such.

Its `create_projections` knows, between a source of spikes and neurons: Linear or Affine; Conv2d;
SumPool2d and Conv2d; SumPool2d, Flatten and Affine; SumPool2d. It leaves out others without a word,
or stops. Of a Conv2d it reads no dilation and no groups, of a stride or a pooling window the two
directions in an order that it does not document. What lehr has beyond is brought into these forms
exactly:

- dilation and groups become zeros in a kernel; pooling after a convolution becomes a larger kernel,
  whose weights are sums of its weights;
- Flatten before Linear becomes SumPool2d of one pixel, Flatten and Affine.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lehr.network import Conv2d, Flatten, Linear, Network, SumPool2d
from lehr.nodes import Shape
from lehr.paths import arrivals
from lehr.targets.arithmetics import Problem
from lehr.targets.kernels import pooled, undilated, ungrouped

LARGEST = 127
"""The greatest weight of a synapse word, and of the int8 kernel of a convolution."""
Kernel = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Way:
    """One projection.

    Attributes:
        source, target: the layers, or `input`.
        shape: of the source.
        pool: windows that are summed first, of that size and stride; 0 for none.
        flat: whether maps are flattened.
        weight: `[out, in]`, or the kernel `[out, in, height, width]` of a convolution; None where
            windows alone are summed.
        stride, padding: of the convolution; padding by rows and columns.
    """

    source: str
    target: str
    shape: Shape
    pool: int
    flat: bool
    weight: Kernel | None
    stride: int = 1
    padding: tuple[int, int] = (0, 0)

    @property
    def convolves(self) -> bool:
        """Whether its neurons must be the machine's for convolutions."""
        return self.weight is not None and self.weight.ndim == 4


def ways(net: Network, name: str) -> tuple[list[Way], list[Problem]]:
    """Return all ways into a layer, and why others are none."""
    result, problems = list[Way](), list[Problem]()
    for arrival in arrivals(net, name):
        for path in arrival.paths:
            try:
                result.append(_way(net, arrival.source, name, path))
            except _Unlike as error:
                problems.append(Problem(error.node, error.reason, error.hint))
    if not problems and len({way.convolves for way in result}) > 1:
        reason = (
            "it hears convolutions and other weights, the machine's neurons hear the ones or "
            "the others"
        )
        problems.append(
            Problem(name, reason, "put a layer of neurons between, or use convolutions alone")
        )
    return result, problems


class _Unlike(Exception):
    """A node on the way is none of the machine's."""

    def __init__(self, node: str, reason: str, hint: str) -> None:
        super().__init__(reason)
        self.node, self.reason, self.hint = node, reason, hint


def _way(net: Network, source: str, target: str, path: tuple[str, ...]) -> Way:
    rest, shape, pool = list(path), net.shapes[source], 0
    kinds = [type(net.nodes[node]) for node in rest]
    if kinds[:1] == [SumPool2d]:
        pool = _window(net, rest.pop(0))
    if kinds in ([Linear], [Flatten, Linear], [SumPool2d, Flatten, Linear]):
        node = net.nodes[rest[-1]]
        assert isinstance(node, Linear)
        flat = kinds != [Linear]
        if flat and len(shape) != 3:
            raise _Unlike(
                rest[0], "it flattens what is no map of channels, rows and columns", "leave it out"
            )
        return Way(
            source,
            target,
            shape,
            pool or int(flat),
            flat,
            _held(rest[-1], node.weight.astype(np.int64)),
        )
    if kinds == [SumPool2d]:
        return Way(source, target, shape, pool, False, None)
    if kinds in ([Conv2d], [SumPool2d, Conv2d], [Conv2d, SumPool2d]):
        conv = net.nodes[rest[0]]
        assert isinstance(conv, Conv2d)
        kernel, stride = (
            ungrouped(undilated(conv), conv.groups),
            _same(rest[0], "stride", conv.stride),
        )
        if kinds[-1] == SumPool2d:
            window = _window(net, rest[1])
            kernel, stride = pooled(kernel, (window, window), (stride, stride)), stride * window
        return Way(source, target, shape, pool, False, _held(rest[0], kernel), stride, conv.padding)
    names = " and ".join(kind.__name__ for kind in kinds) or "nothing"
    hint = (
        "use one layer of weights between layers of neurons, with pooling before or after a "
        "convolution, or before a Flatten"
    )
    raise _Unlike(
        path[-1] if path else target,
        f"there is {names} between {source} and {target}, the machine has other ways",
        hint,
    )


def _window(net: Network, name: str) -> int:
    pool = net.nodes[name]
    assert isinstance(pool, SumPool2d)
    if pool.padding != (0, 0) or pool.kernel != pool.stride:
        raise _Unlike(
            name,
            "its windows overlap or are padded, the machine's do not",
            "use a stride of the window's size and no padding",
        )
    return _same(name, "window", pool.kernel)


def _same(name: str, what: str, pair: tuple[int, int]) -> int:
    if pair[0] != pair[1]:
        raise _Unlike(
            name,
            f"its {what} is {pair[0]} by {pair[1]}, which py-spinnaker2 reads in an order of its "
            "own",
            "use a square one",
        )
    return pair[0]


def _held(name: str, weight: Kernel) -> Kernel:
    if (worst := int(np.abs(weight).max())) > LARGEST:
        raise _Unlike(
            name,
            f"a weight of the machine would be {worst}, it holds up to {LARGEST}",
            "use smaller weights or windows",
        )
    return weight


def all_ways(net: Network) -> Iterator[Way]:
    """Yield the ways of a network that maps, by target in order of evaluation."""
    for name in net.neurons:
        yield from ways(net, name)[0]
