"""Model of the cores, lehr's own, after the vendor's documentation.

No simulator of the vendor's takes their configuration. A core takes events one by one. An event
adds its weights to the neurons under the kernel, a membrane is held at `threshold_low`, and one at
`threshold_high` fires once and is reset. The leak's tick adds the biases to all membranes. Sources:
SynSense, samna's pages of Speck 2b (`CnnLayerConfig`), sinabs' pages of Speck, whose `specksim`
works layer by layer as this does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from lehr.arithmetic import Int64
from lehr.errors import NotBitExact
from lehr.extras import needed_by
from lehr.targets.dynapcnn.configuration import Core
from lehr.targets.dynapcnn.updates import HIGHEST, LOWEST
from lehr.update import MOST_SPIKES

Events = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Run:
    """Spikes and membranes of a core: uint8 and int32, `[N, T, features, height, width]`.

    `exposed` counts neurons and steps in which another order of the step's events might change
    spikes or membranes.
    """

    spikes: Events
    membranes: npt.NDArray[np.int32]
    exposed: int


def run_core(core: Core, sources: Sequence[tuple[Events, int]], ordered: bool, name: str) -> Run:
    """Run a core, from membranes of 0.

    One tick of the slow clock comes before the events of each step.

    Args:
        core: its configuration.
        sources: events `[N, T, features, height, width]` of each source in turn, and the sum
            pooling on the way; a count of c is c events.
        ordered: whether the order of the events is known.
        name: of the layer, for what goes wrong.

    Raises:
        NotBitExact: when a membrane leaves 16 bits, or a neuron fires more than 255 times in a
            step.
    """
    samples, steps = sources[0][0].shape[:2]
    v = np.zeros((samples, *core.shape), np.int64)
    spikes, membranes = (
        np.zeros((samples, steps, *core.shape), np.uint8),
        np.zeros((samples, steps, *core.shape), np.int32),
    )
    leak, exposed = core.leak[:, None, None], 0
    take = _compiled()
    numbers = np.array([*core.stride, *core.padding, core.threshold, core.low, core.zero], np.int64)
    for t in range(steps):
        v = np.maximum(v + leak, core.low)
        before, fired, seen = v.copy(), np.zeros_like(v), np.zeros((4, *v.shape), np.int64)
        for events, pooling in sources:
            places = np.argwhere(events[:, t])
            take(
                v,
                fired,
                seen,
                places,
                events[:, t][tuple(places.T)],
                pooling,
                core.weight,
                core.live,
                numbers,
            )
        if (
            seen[2].min(initial=0) < LOWEST
            or seen[3].max(initial=0) > HIGHEST
            or fired.max(initial=0) > MOST_SPIKES
        ):
            raise NotBitExact(
                f"{name}: a membrane leaves 16 bits, or a neuron fires more than {MOST_SPIKES} "
                "times a step; build it again"
            )
        spikes[:, t], membranes[:, t] = fired, v
        exposed += 0 if ordered else int(_exposed(core, before, seen[0], seen[1]).sum())
    return Run(spikes, membranes, exposed)


def _exposed(core: Core, v: Int64, up: Int64, down: Int64) -> npt.NDArray[np.bool_]:
    """Return where events that add `up` and take `down` could do something else in another order.

    Never where no order reaches the floor, and all of them fire equally often: at most as often as
    with everything that adds first, at least as often as what is left in the end says.
    """
    mixed = (up > 0) & (down > 0)
    low = np.minimum(v, 0) - down < core.low
    if core.zero:
        return np.asarray((low & mixed) | ((v + up >= core.threshold) & (up > 0)), np.bool_)
    most, least = (
        np.maximum(v + up, 0) // core.threshold,
        np.maximum(v + up - down, 0) // core.threshold,
    )
    return np.asarray(mixed & (low | (most != least)), np.bool_)


@cache
def _compiled() -> Callable[..., None]:
    with needed_by("the model of DYNAP-CNN"):
        import numba  # half a second, and only who runs the model needs it

    compiled: Callable[..., None] = numba.njit(_take)
    return compiled


def _take(
    v: Any,
    fired: Any,
    seen: Any,
    places: Any,
    counts: Any,
    pooling: Any,
    weight: Any,
    live: Any,
    numbers: Any,
) -> None:
    """Take the events of a step from one source into the membranes.

    They stand in places `[events, 4]`, by sample, feature, y and x, and come as often as `counts`
    says. What reaches a neuron goes into `seen`: what was added, what was taken, and the least and
    greatest membrane before floor and reset.
    """
    stride_y, stride_x, pad_y, pad_x, threshold, low, zero = numbers
    features, height, width = v.shape[1:]
    rows, columns = weight.shape[2:]
    for number in range(len(places)):
        n, c, row, column = places[number]
        y, x = row // pooling + pad_y, column // pooling + pad_x
        for _ in range(counts[number]):
            for py in range(max(0, -((rows - 1 - y) // stride_y)), min(height, y // stride_y + 1)):
                for px in range(
                    max(0, -((columns - 1 - x) // stride_x)), min(width, x // stride_x + 1)
                ):
                    for f in range(features):
                        w = weight[f, c, y - py * stride_y, x - px * stride_x]
                        if not live[f, c, y - py * stride_y, x - px * stride_x]:
                            continue
                        at = v[n, f, py, px] + w
                        seen[0, n, f, py, px] += max(w, 0)
                        seen[1, n, f, py, px] -= min(w, 0)
                        seen[2, n, f, py, px] = min(seen[2, n, f, py, px], at)
                        seen[3, n, f, py, px] = max(seen[3, n, f, py, px], at)
                        at = max(at, low)
                        if at >= threshold:
                            fired[n, f, py, px] += 1
                            at = at * (1 - zero) - threshold * (1 - zero)
                        v[n, f, py, px] = at


@dataclass(frozen=True)
class Place:
    """Place of a layer: its core, what the host carries, and whether the events' order is known.

    The host carries events from it to other cores.
    """

    layer: str
    core: int
    through_host: Mapping[int, int]
    ordered: bool


def run_cores(
    cores: Mapping[int, Core], places: Sequence[Place], inputs: Sequence[int], x: Events
) -> dict[str, Run]:
    """Run cores layer by layer on events `[N, T, features, height, width]` of the input.

    Args:
        cores: by number.
        places: layers, each after those that send to it.
        inputs: cores that the host sends the input to.
        x: events of the input.
    """
    ran: dict[str, Run] = {}
    for here in places:
        sources = [(x, 1)] if here.core in inputs else []
        for other in places:
            to = {**cores[other.core].destinations, **other.through_host}
            sources += [(ran[other.layer].spikes, to[here.core])] if here.core in to else []
        ran[here.layer] = run_core(cores[here.core], sources, here.ordered, here.layer)
    return ran
