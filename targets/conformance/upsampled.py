"""Networks with an Upsample2d wherever one can stand.

It takes pixels, spikes and sums, before a convolution, dense weights and neurons, on a second
branch and on a feedback edge.
"""

from __future__ import annotations

import math
from itertools import pairwise

from lehr.network import INPUT
from lehr.nodes import Conv2d, Flatten, Linear, Upsample2d
from lehr.targets.conformance.building import Builder
from lehr.targets.conformance.forms import AddNeurons, Form


def upsampled() -> tuple[Form, ...]:
    """Return forms with larger maps of values of every kind, or of spikes before a convolution."""

    def everywhere(net: Builder, neurons: AddNeurons) -> None:
        net.add("up_in", Upsample2d((2, 1)))
        net.conv("conv1", 4)
        net.add("up_sums", Upsample2d((1, 2)))
        neurons("lif1")
        net.add("up_spikes", Upsample2d((2, 2)))
        net.conv("conv2", 3)
        neurons("lif2")
        net.add("up_dense", Upsample2d((1, 3)))
        net.linear("fc", 5)
        neurons("out")
        _back(net)

    def plain(net: Builder, neurons: AddNeurons) -> None:
        net.conv("conv1", 4)
        neurons("lif1")
        net.add("up", Upsample2d((2, 3)))
        net.conv("conv2", 3)
        neurons("lif2")
        net.linear("fc", 5)
        neurons("out")

    return (
        Form("upsampled_everywhere", everywhere, (2, 4, 4)),
        Form("upsampled_pixels", everywhere, (2, 4, 4), pixels=True, held=True),
        Form("upsampled", plain, (2, 5, 4)),
    )


def _back(net: Builder) -> None:
    """Add feedback to lif2 from sums of its own blocks, and a branch of the larger input."""
    kind, features = net.kinds[0], 2 * 3 * math.prod(net.input.shape)
    weight = net.weight(3, 3, 2, 2, kind=kind)
    net.nodes |= {"conv_self": Conv2d(weight, (2, 2), kind=kind), "up_self": Upsample2d((2, 2))}
    net.edges += pairwise(("lif2", "conv_self", "up_self", "lif2"))
    net.nodes |= {
        "up_skip": Upsample2d((2, 3)),
        "flat_skip": Flatten(),
        "fc_skip": Linear(net.weight(5, features, kind=kind), kind),
    }
    net.edges += pairwise((INPUT, "up_skip", "flat_skip", "fc_skip", net.here))
