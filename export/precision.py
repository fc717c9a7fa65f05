"""Fraction bits: as many as are asked for, as far as 32-bit states provably have room.

A layer has one number of fraction bits, and its channel with the smallest gain, which has the
greatest threshold, decides how many fit. Where that gain is so near to 0 that the channel's weights
as good as never matter, they are left out, and it gets a scale of its own; where it is 0, that
changes nothing. Which channels these are does not depend on the precision that is asked for: with
more fraction bits a layer is never further from the model, in no threshold, bias or leak.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from lehr.arithmetic import MAX_FRACTION_BITS
from lehr.errors import NotMappable
from lehr.export.fold import THRESHOLD_ERROR, in_units
from lehr.export.pending import Waiting, folded
from lehr.export.room import Room
from lehr.export.silence import Channels, without_weights
from lehr.intervals import arriving, intervals
from lehr.network import Network
from lehr.nodes import INT32_MAX, Neuron
from lehr.widths import LayerWidth, analyse, fit_state_bits, require_accumulators


def placeholder(wait: Waiting) -> Neuron:
    """Return neurons that stand for a layer until its thresholds and biases are known."""
    zero = np.zeros(len(wait.dynamics.threshold), np.int32)
    return wait.dynamics.neurons(
        zero + (not wait.dynamics.integrates), zero, 0, wait.dynamics.shape
    )


def rooms(net: Network, waiting: Mapping[str, Waiting]) -> tuple[Network, dict[str, Room]]:
    """Return what layers have room for, and the network without the weights that are left out.

    Args:
        net: with placeholders for these layers.
        waiting: the layers.

    Raises:
        NotMappable: when a layer takes more than 32 bits without any fraction bits.
    """
    require_accumulators(net)
    known, layer_rooms = intervals(net), {}
    for name, wait in waiting.items():
        bounds = arriving(net, name, known)
        # neurons of a channel that have numbers of their own
        each = len(wait.dynamics.threshold) // len(bounds.low)
        whole = Room(wait, bounds.repeated(each), net.steps)
        room, silent = _nearest(net, name, whole)
        if room.most < 0:
            raise NotMappable(f"{wait.source}: {_too_wide(room, whole)}")
        removed = without_weights(net, name, silent.reshape(net.shapes[name][0], -1)[:, 0])
        if removed is None:
            raise NotMappable(
                f"{wait.source}: channel {int(silent.argmax())} has a gain of 0, and there are no"
                " weights of its own before it that could be 0 in its place; add a layer with "
                "weights"
            )
        net, layer_rooms[name] = removed, replace(room, wait=_with_note(room.wait, silent))
    return net, layer_rooms


def _nearest(net: Network, name: str, whole: Room) -> tuple[Room, Channels]:
    """Return the layer as near to the model as it gets, and channels that are left out for it.

    Of these channels the weights are left out.

    These are those with a gain of 0; and, as long as it helps, those that take the room for another
    fraction bit, and whose weights matter less than what is rounded without it. Channels that hear
    nothing anyway get a scale of their own, where it helps.
    """
    # neurons with numbers of their own share the weights of their channel
    each = len(whole.reach) // net.shapes[name][0]

    def channels(neurons: Channels) -> Channels:
        return np.asarray(neurons.reshape(-1, each).all(axis=1))

    def complete(neurons: Channels) -> Channels:
        return np.repeat(channels(neurons), each)

    heard, silent = whole.reach > 0, complete(whole.wait.affine.gain == 0)
    best = whole.without(silent)
    least, chosen, silent = best.least_error, silent, silent | ~heard
    while least > 0:
        room = whole.without(silent)
        if room.least_error < least:
            best, least, chosen = room, room.least_error, silent
        if room.most == MAX_FRACTION_BITS:
            break
        more = silent | complete(~room.fits(room.most + 1))
        share = float(whole.influence[more].max())
        if np.array_equal(more, silent) or not share <= min(THRESHOLD_ERROR, least):
            break
        if without_weights(net, name, channels(more & heard)) is None:
            break
        silent = more
    return best, chosen & heard


def _with_note(wait: Waiting, silent: Channels) -> Waiting:
    if not silent.any():
        return wait
    channels = ", ".join(map(str, np.flatnonzero(silent)))
    note = f"{wait.source}: channels {channels} have a gain of 0, and so weights of 0"
    if wait.dropped:
        note = (
            f"{wait.source}: channels {channels} have a gain near 0, and now weights of 0, which"
            f" moves a membrane by at most {wait.dropped:.2g} of a threshold"
        )
    return replace(wait, notes=(*wait.notes, note))


def _too_wide(room: Room, whole: Room) -> str:
    """Say why a layer has no room without any fraction bits, and the way out."""
    channel = int(room.fits(0).argmin())
    values = in_units(room.wait.affine, room.wait.dynamics.threshold, 0)
    for what, value in zip(("threshold", "bias"), values, strict=True):
        if not abs(value[channel]) <= INT32_MAX:
            return (
                f"the {what} of channel {channel} is {value[channel]:.3g} times what one weight is"
                f" worth, 32 bits hold {INT32_MAX:,}, and its weights can move its membrane by"
                f" {whole.influence[channel]:.2g} of a threshold; use greater weights, or prune it"
            )
    return (
        f"the states of channel {channel} take more than 32 bits within {room.steps:,} steps, even"
        " without fraction bits; use fewer steps, a faster decay or a smaller fan-in"
    )


def chosen_bits(
    layers: Mapping[str, Room], *, fraction_bits: int | None = None, error: float | None = None
) -> tuple[dict[str, int], dict[str, Waiting]]:
    """Return the fraction bits of each layer, and the layers.

    A layer has a note where its bits are fewer than asked.

    Args:
        layers: by name.
        fraction_bits: of all layers.
        error: in place of `fraction_bits`, what rounding may move, as a share of a threshold: the
            least bits that keep to it. With neither, as many as it takes to round nothing. Where
            there is no room for so many, a layer has as many as there is room for.

    Raises:
        NotMappable: when a layer has no room for `fraction_bits`.
    """
    if fraction_bits is not None:
        tightest = min(layers.values(), key=lambda room: room.most)
        if tightest.most < fraction_bits:
            raise NotMappable(
                f"--fraction-bits is {fraction_bits}, but with so many {tightest.wait.source} "
                "takes more"
                f" than 32 bits; use at most {tightest.most}"
            )
        return dict.fromkeys(layers, fraction_bits), {
            name: room.wait for name, room in layers.items()
        }
    bits, waiting = {}, {}
    for name, room in layers.items():
        finest, wait = min(room.most, room.needed), room.wait
        bits[name] = finest
        if error is not None:
            bits[name] = next((few for few in range(finest) if room.error(few) <= error), finest)
            if (least := room.error(bits[name])) > error:
                note = (
                    f"{wait.source}: {finest} fraction bits are all that there is room for, and"
                    f" rounding moves it by {least:.2g} of a threshold, not by {error:g} as asked"
                )
                wait = replace(wait, notes=(*wait.notes, note))
        waiting[name] = wait
    return bits, waiting


def completed(net: Network, waiting: Mapping[str, Waiting], bits: Mapping[str, int]) -> Network:
    """Return the network with its thresholds and biases.

    Its state bits are the least that never saturate.
    """

    def filled(waiting: Mapping[str, Waiting]) -> Network:
        neurons = {name: _filled(wait, bits[name]) for name, wait in waiting.items()}
        return fit_state_bits(replace(net, nodes={**net.nodes, **neurons}))

    once = filled(waiting)
    candidates = {name: wait for name, wait in waiting.items() if wait.may_give_back}
    layers = analyse(once).layers if candidates else {}
    twice = {
        name: replace(wait, dynamics=replace(wait.dynamics, gives_back=True))
        for name, wait in candidates.items()
        if _passes_twice(once.neurons[name], layers[name], wait)
    }
    return filled({**waiting, **twice}) if twice else once


def _filled(wait: Waiting, bits: int) -> Neuron:
    integers = folded(wait, bits)
    return wait.dynamics.neurons(integers.threshold, integers.bias, bits, wait.dynamics.shape)


def _passes_twice(neuron: Neuron, width: LayerWidth, wait: Waiting) -> bool:
    """Return whether one subtraction may leave a membrane above its threshold.

    As long as it leaves none, that is all that the model does.
    """
    highest = width.membrane[1] + (wait.dynamics.arithmetic.fires == "ge")
    return highest > 2 * int(neuron.threshold.min())
