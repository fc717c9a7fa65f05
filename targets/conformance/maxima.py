"""Networks with a MaxPool2d wherever one can stand.

It takes currents of one branch or of two, spikes, pixels, and what comes along a feedback edge.
"""

from __future__ import annotations

from itertools import pairwise

from lehr.network import INPUT
from lehr.nodes import Conv2d, Flatten, Linear, MaxPool2d
from lehr.targets.conformance.building import Builder
from lehr.targets.conformance.forms import AddNeurons, Form

SAME = MaxPool2d((3, 3), (1, 1), (1, 1))
"""It keeps the size of a map."""


def maxima() -> tuple[Form, ...]:
    """Return forms with maxima between weights and neurons, elsewhere too, or there alone."""

    def everywhere(net: Builder, neurons: AddNeurons) -> None:
        net.add("max_in", MaxPool2d((2, 1), (1, 1)))
        net.conv("conv1", 4)
        net.add("max_currents", MaxPool2d((3, 2), (2, 1), (1, 1), (1, 2), ceil_mode=True))
        neurons("lif1")
        net.conv("conv2", 3, (2, 2))
        _beside(net, "conv2")
        net.add("max_sums", MaxPool2d((2, 2), (2, 2), ceil_mode=True))
        neurons("lif2")
        net.add("max_spikes", MaxPool2d((2, 2), (1, 1)))
        net.linear("fc", 5)
        neurons("out")
        _back(net)

    def plain(net: Builder, neurons: AddNeurons) -> None:
        net.conv("conv", 4)
        net.add("max", MaxPool2d((2, 2), (2, 2)))
        neurons("lif1")
        net.linear("fc", 5)
        neurons("out")

    return (
        Form("maxima_everywhere", everywhere, (2, 10, 9)),
        Form("maxima_of_pixels", everywhere, (2, 10, 9), pixels=True, held=True),
        Form("maxima", plain, (2, 8, 7)),
    )


def _beside(net: Builder, name: str) -> None:
    """Add weights beside those of a convolution: what both make is added before what comes next."""
    conv = net.nodes[name]
    assert isinstance(conv, Conv2d)
    (source,) = (a for a, b in net.edges if b == name)
    net.nodes["beside"] = Conv2d(net.weight(*conv.weight.shape, kind=conv.kind), kind=conv.kind)
    net.edges += [(source, "beside"), ("beside", "max_sums")]


def _back(net: Builder) -> None:
    """Add feedback to lif2 from itself through maxima, and a branch of the input's maxima."""
    net.nodes["max_self"] = SAME
    net.edges += [("lif2", "max_self"), ("max_self", "lif2")]
    kind, (channels, rows, columns) = net.kinds[0], net.input.shape
    net.nodes |= {
        "max_skip": SAME,
        "flat_skip": Flatten(),
        "fc_skip": Linear(net.weight(5, channels * rows * columns, kind=kind), kind),
    }
    net.edges += pairwise((INPUT, "max_skip", "flat_skip", "fc_skip", net.here))
