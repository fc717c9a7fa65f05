"""Neurons of snnTorch, in the words of the integer network.

The equations are those of snnTorch 1.0.0's own forward passes. With `V` the membrane, `I` the input
and `r` whether the last step's `V` was over the threshold:

    Leaky, RLeaky          V = beta V + I - r theta;  "zero": Leaky clears V before the leak,
                           RLeaky clears what V becomes, I included
    Lapicque               V = (1 - dt/RC) V + (dt/C) I - r theta;  "zero" as RLeaky
    Synaptic, RSynaptic    J = alpha J + I;  V = beta V + J - r theta;  "zero" as RLeaky

In RLeaky and RSynaptic, the last step's spikes through their recurrent weights are part of I.

With reset_delay=False, after the spike `s`: `V = V - (s - r) theta`, or `V = V - (s - r) V`. There
`r` is that of a membrane which has been reset already: it gives a threshold back where one reset
left the membrane above it. RSynaptic alone does that to a copy of V, which it drops: it resets in
the next step whatever reset_delay is, and raises an error where it keeps its states itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import snntorch as snn
from torch import Tensor, nn

from lehr.arithmetic import MAX_SHIFT, Arithmetic, Synapse
from lehr.errors import NotMappable
from lehr.export.decays import (
    Decay,
    exact_decay,
    exact_decays,
    own_decays,
    require_leak,
    rounded_decay,
)
from lehr.export.fold import Float
from lehr.export.offsets import by_value, narrowed
from lehr.export.pending import Dynamics
from lehr.export.torchmodels.classes import neuron_class
from lehr.export.torchmodels.others.neuron import ONE, Equations, Named, OtherNeuron
from lehr.export.torchmodels.surrogates import fires
from lehr.nodes import Shape

_RESETS = {"subtract": "_base_sub", "zero": "_base_zero", "none": "_base_int"}
"""The methods by which snnTorch's neurons compute a step, by the reset that they were built for."""


@dataclass(frozen=True)
class NeuronModule:
    """Contents of a neuron module.

    Attributes:
        dynamics: what its neurons compute.
        gain: what its input is multiplied with, one number or one a channel.
        recurrent: the module through which the neurons' spikes come back a step later.
        gives_back: a threshold is given back where one reset left a membrane above it.
    """

    dynamics: Dynamics
    gain: Float
    recurrent: nn.Module | None
    gives_back: bool


def read_neuron(neuron: Any, shape: Shape, decay_bits: int | None) -> NeuronModule:
    """Read a neuron module.

    Args:
        neuron: one of the known neurons, in double precision.
        shape: of its output, without batch.
        decay_bits: n, to which a decay that is no k/2**n is rounded; None refuses it.

    Raises:
        NotMappable: when the integer neuron does not compute it. The caller names the module.
    """
    own = neuron.equations() if isinstance(neuron, OtherNeuron) else _of_snntorch(neuron)
    gain = by_channel(own.gain.value, own.gain.name, shape)
    given = {"threshold": own.threshold, "beta": own.beta, "alpha": own.alpha, "floor": own.floor}
    values = {
        name: _numbers(named.value, named.name, shape)
        for name, named in given.items()
        if named is not None
    }
    by_neuron = any(value.ndim > 1 for value in values.values())
    if by_neuron:
        values = {name: by_value(value, shape).ravel() for name, value in values.items()}
    threshold = values["threshold"]
    if not (threshold > 0).all():
        raise NotMappable(
            f"its {own.threshold.name} is {float(threshold.min()):g}; use one above 0"
        )
    decay = read_decay(values["beta"], own.beta.name, decay_bits)
    arithmetic = Arithmetic(
        decay_numerator=decay.common(1)[0],
        decay_shift=decay.common(1)[1],
        reset=own.reset,
        reset_timing=own.reset_timing,
        fires=own.fires,
    )
    floor = None if own.floor is None else _floor(values["floor"], threshold, own.floor.name)
    dynamics = Dynamics(
        arithmetic, (decay,), threshold, None, shape if by_neuron else None, floor, own.most
    )
    if own.alpha is None:
        return NeuronModule(dynamics, gain, own.recurrent, own.gives_back)
    alpha = read_decay(values["alpha"], own.alpha.name, decay_bits)
    for name, each in ((own.alpha.name, alpha), (own.beta.name, decay)):
        if not each.own and each.numerator == 1 << each.shift:
            raise NotMappable(
                f"its {name} is 1, and a neuron with a synapse leaks in both its states; use one "
                "below 1"
            )
    synapse = Synapse(
        decay_numerator=alpha.common(0)[0], decay_shift=alpha.common(0)[1], bias_to="synapse"
    )
    dynamics = replace(dynamics, decays=(decay, alpha), synapse=synapse)
    return NeuronModule(dynamics, gain, own.recurrent, own.gives_back)


def _of_snntorch(neuron: Any) -> Equations:
    """Return what one of snnTorch's known neurons computes."""
    kind = neuron_class(neuron)
    _require_usual(neuron)
    if problem := _wrong_reset(neuron):
        raise NotMappable(problem)
    beta, gain, alpha = Named(neuron.beta.clamp(0, 1), "beta"), ONE, None
    if kind is snn.Lapicque:  # whose beta is not what it leaks by
        leaves = 1 - neuron.time_step / (neuron.R * neuron.C)
        beta = Named(leaves, "1 - time_step / (R C)")
        takes = neuron.R * (1 / (neuron.R * neuron.C)) * neuron.time_step
        gain = Named(takes, "time_step / C")
    if kind in (snn.Synaptic, snn.RSynaptic):
        alpha = Named(neuron.alpha.clamp(0, 1), "alpha")
    delayed = getattr(neuron, "reset_delay", True) or kind is snn.RSynaptic
    own = Equations(
        Named(neuron.threshold, "threshold"),
        beta,
        gain,
        neuron.reset_mechanism,
        "next_step" if delayed else "same_step",
        fires(neuron.spike_grad, "spike_grad", "snntorch.surrogate"),
        alpha,
        recurrent=getattr(neuron, "recurrent", None),
        gives_back=not delayed and neuron.reset_mechanism == "subtract",
    )
    _require_known_reset(neuron, kind, own)
    return own


def _floor(values: Float, threshold: Float, name: str) -> Float:
    """Return how many thresholds below rest a membrane is brought up to, by channel or neuron."""
    times = -values / threshold
    odd = (times < 0) | (times != np.rint(times))
    if odd.any():
        one = np.broadcast_to(threshold, values.shape)[odd][0]
        raise NotMappable(
            f"its {name} is {float(values[odd][0]):g}, no whole number of thresholds, each "
            f"{float(one):g}, below 0; use {-float(one):g}"
        )
    return times


def _require_usual(neuron: Any) -> None:
    """Refuse options of snnTorch's neurons that no integer neuron has."""
    for said, why in (
        (neuron.inhibition, "inhibition=True, which lets one neuron of a layer fire"),
        (neuron.state_quant, "state_quant, which rounds its membrane by rules of its own"),
        (
            bool((neuron.graded_spikes_factor != 1).any()),
            "graded_spikes_factor, so that its spikes are not 0 and 1",
        ),
    ):
        if said:
            raise NotMappable(f"it has {why}; build it without")


def _require_known_reset(neuron: Any, kind: type[nn.Module] | None, own: Equations) -> None:
    """Refuse resets of which snnTorch makes something that no integer neuron does, or nothing."""
    if own.reset == "zero" and own.reset_timing == "next_step" and kind is not snn.Leaky:
        way = (
            "use reset_mechanism='subtract'"
            if kind in (snn.Lapicque, snn.RSynaptic)
            else "use reset_delay=False"
        )
        raise NotMappable(
            "its reset_mechanism='zero' drops the input of the step after a spike, which no "
            f"integer neuron does; {way}"
        )
    if kind is snn.RSynaptic and neuron.init_hidden and not neuron.reset_delay:
        raise NotMappable(
            "snnTorch cannot run it with both init_hidden=True and reset_delay=False; use "
            "reset_delay=True"
        )


def read_decay(values: Float, name: str, bits: int | None) -> Decay:
    """Return decays as binary fractions: one for all, or one for each where they differ.

    Args:
        values: by channel, or by neuron in one axis.
        name: what errors call them.
        bits: n, to which decays that are no k/2**n are rounded; None refuses them.

    Raises:
        NotMappable: when they are none and `bits` is None, or when they are not within 0..1.
    """
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= 1):
        raise NotMappable(f"its {name} is {low if low < 0 else high:g}; use 0 to 1")
    alike = low == high
    exact = exact_decay(low) if alike else exact_decays(values)
    if exact is not None:
        return exact
    if bits is None:
        shown = f"{low:.7g}" if alike else f"{low:.7g} to {high:.7g}"
        way = f"train it with {round(low * 256)}/256, or " if alike else ""
        raise NotMappable(
            f"its {name} is {shown}, no k/2**n with n up to {MAX_SHIFT}; {way}have it rounded "
            "with --decay-bits 8 (in Python: decay_bits=8)"
        )
    decay = rounded_decay(low, bits) if alike else own_decays(values, bits)
    require_leak(decay, name, float(values[values < 1].max()), bits, "give a higher --decay-bits")
    return decay


def _wrong_reset(neuron: Any) -> str | None:
    """Say why a neuron need not compute what its reset_mechanism says.

    That can be set, or loaded, after the neuron was built.
    """
    said, number = neuron.reset_mechanism, int(neuron.reset_mechanism_val)
    function = neuron.state_function
    built = next(
        (
            name
            for name, method in _RESETS.items()
            if getattr(function, "__func__", None) is getattr(type(neuron), method)
        ),
        None,
    )
    if built is None or function.__self__ is not neuron:
        return "its state_function was replaced; build it anew"
    loaded = next(
        (name for name, value in snn.SpikingNeuron.reset_dict.items() if value == number),
        str(number),
    )
    others = {said, loaded} - {built}
    if not others:
        return None
    return (
        f"it was built with reset_mechanism='{built}', but holds '{others.pop()}', set or loaded "
        "since; build it with that"
    )


def _numbers(value: Tensor, name: str, shape: Shape) -> Float:
    """Return a scalar or tensor that the neurons have, by channel, or by neuron in their shape.

    The latter is where it differs within a channel.
    """
    given: npt.NDArray[Any] = value.detach().double().numpy()
    while given.ndim > len(shape) and len(given) == 1:  # the batch's axis
        given = given[0]
    try:
        spread = np.broadcast_to(given, shape)
    except ValueError:
        one_each = [shape[0], *[1] * (len(shape) - 1)]
        raise NotMappable(
            f"its {name} has shape {list(value.shape)} where its neurons have {list(shape)}; give "
            f"one per channel, shape {one_each}"
        ) from None
    if not np.isfinite(spread).all():
        raise NotMappable(f"its {name} is not finite; train it again")
    return narrowed(spread.astype(np.float64))


def by_channel(value: Tensor, name: str, shape: Shape) -> Float:
    """Return a scalar or tensor that the neurons have, by channel.

    Raises:
        NotMappable: when it differs within a channel. The caller names the module.
    """
    values = _numbers(value, name, shape)
    if values.ndim > 1:
        raise NotMappable(
            f"its {name} differs within a channel; give one per channel, shape "
            f"{[shape[0], *[1] * (len(shape) - 1)]}"
        )
    return values
