"""Neurons that fire so often in a step as they pass their threshold: how often that is at most."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from lehr.errors import NotMappable
from lehr.export.pending import Waiting
from lehr.export.precision import placeholder
from lehr.intervals import arriving, intervals
from lehr.network import Network
from lehr.update import MOST_SPIKES


def counted(net: Network, waiting: Mapping[str, Waiting]) -> tuple[Network, dict[str, Waiting]]:
    """Return layers that all have a limit of spikes in a step, and the network with that.

    A spike leaves a membrane below its threshold, so that it passes that at most once more than
    what comes in a step holds it. As a limit this changes nothing.

    Args:
        net: with placeholders for these layers.
        waiting: the layers, from the input on.

    Raises:
        NotMappable: naming a layer that may fire more often than a network's neurons do.
    """
    known = dict(waiting)
    for name, wait in waiting.items():
        if wait.dynamics.most is not None:
            continue
        most = _most(net, name, wait)
        if most > MOST_SPIKES:
            raise NotMappable(
                f"{wait.source}: it may fire {most} times in a step, and a network's neurons fire "
                f"up to {MOST_SPIKES} times; give it a limit of at most {MOST_SPIKES} (sinabs: "
                f"spike_fn=MaxSpike({MOST_SPIKES})), or a higher threshold"
            )
        known[name] = replace(wait, dynamics=replace(wait.dynamics, most=most))
        net = replace(net, nodes={**net.nodes, name: placeholder(known[name])})
    return net, known


def _most(net: Network, name: str, wait: Waiting) -> int:
    """Return how often the neurons of a layer may pass their thresholds in a step."""
    dynamics, affine = wait.dynamics, wait.affine
    highest = arriving(net, name, intervals(net)).high.astype(np.float64)
    each = len(dynamics.threshold) // len(highest)
    comes = affine.gain * np.repeat(highest, each) + affine.offset
    for alpha in dynamics.decays[1:]:  # of a synapse state, which keeps what came before
        comes = np.maximum(comes, 0) / (1 - alpha.beta)
    return max(1, int(np.floor(1 + comes / dynamics.threshold).max()))
