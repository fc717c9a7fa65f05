"""Networks with maxima over windows: of sums, of several terms, of other maxima."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from strategies import Builder, Images, random_input

from lehr.arithmetic import Arithmetic
from lehr.network import INPUT, Conv2d, Input, Network, SumPool2d
from lehr.nodes import Delay, MaxPool2d, Scale
from lehr.weights import WeightKind

ARITHMETIC = Arithmetic(decay_numerator=7, decay_shift=3)
TWO = MaxPool2d((2, 2), (2, 2))
HANGING = MaxPool2d((3, 2), (2, 1), (1, 1), (1, 2), ceil_mode=True)


def tutorial(kind: WeightKind = "binary") -> tuple[Network, Images]:
    """The layers of snnTorch's tutorial on convolutions, on a map of 12 x 12."""
    net = Builder(Input((1, 12, 12), "spikes"), np.random.default_rng(3), (kind,))
    for number, (channels, side) in enumerate(((4, 5), (6, 3)), 1):
        net.conv(f"conv{number}", channels, (side, side))
        net.add(f"max{number}", TWO)
        net.neuron(f"lif{number}", ARITHMETIC)
    net.linear("fc", 10)
    net.neuron("out", ARITHMETIC)
    made = net.network(5, 1)
    return made, random_input(made, np.random.default_rng(1), 1, held=False)


def two_terms() -> tuple[Network, Images]:
    """Two maxima and a convolution come to one layer, whose spikes come back through a third."""
    net = Builder(Input((2, 6, 6), "spikes"), np.random.default_rng(4), ("int4",))
    net.conv("conv", 3, (3, 3), padding=(1, 1))
    net.add("max", HANGING)
    net.neuron("lif", ARITHMETIC)
    net.nodes |= {
        "other": Conv2d(net.weight(3, 2, 3, 3, kind="int4"), padding=(1, 1), kind="int4"),
        "late": Delay(1),
        "max_other": HANGING,
        "plain": Conv2d(net.weight(3, 2, 2, 3, kind="int4"), (2, 1), (1, 1), kind="int4"),
        "max_back": MaxPool2d((3, 3), (1, 1), (1, 1)),
    }
    net.edges += [
        *pairwise((INPUT, "other", "late", "max_other", "lif")),
        *pairwise((INPUT, "plain", "lif")),
        *pairwise(("lif", "max_back", "lif")),
    ]
    net.linear("fc", 4)
    net.neuron("out", ARITHMETIC)
    made = net.network(5, 1)
    return made, random_input(made, np.random.default_rng(1), 1, held=False)


def maxima_of_maxima() -> tuple[Network, Images]:
    """Pixels through a kernel, a mean, maxima, others of these, and factors by channel."""
    net = Builder(Input((2, 9, 8), "u8"), np.random.default_rng(5), ("ternary",))
    net.conv("conv", 3, (2, 2))
    net.add("pool", SumPool2d((2, 2), (1, 1)))
    net.add("inner", MaxPool2d((2, 2), (1, 1), (1, 1)))
    net.add("outer", HANGING)
    net.add("scale", Scale(np.array([1, 3, 0], np.int32).reshape(3, 1, 1)))
    net.neuron("lif", ARITHMETIC)
    net.linear("fc", 4)
    net.neuron("out", ARITHMETIC)
    made = net.network(4, 1)
    return made, random_input(made, np.random.default_rng(1), 1, held=True)


MAXIMA = {
    "tutorial": tutorial,
    "tutorial, int4": lambda: tutorial("int4"),
    "two terms": two_terms,
    "maxima of maxima": maxima_of_maxima,
}
