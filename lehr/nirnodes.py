"""One node of a network as the fields of a NIR node, and back.

`fields_of` gives every field that NIR wants, the derived ones included; `node_of` reads only those in `TAKEN` and the `fixed_point`
block, from which the others follow. The fields are those of `nir`'s own dictionaries, in a file and in memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from lehr.arithmetic import Arithmetic, Synapse
from lehr.errors import FileRefused
from lehr.nodes import Conv2d, Delay, Flatten, Linear, Neuron, Node, Shape, SumPool2d
from lehr.weights import WeightKind, declared_kind

Fields = Mapping[str, Any]

DT = 1e-3
BLOCK = "fixed_point"
NEURON_SCHEMA, SYNAPSE_SCHEMA, WEIGHT_SCHEMA = "fixed-point-lif/1", "fixed-point-cuba/1", "fixed-point-weight/1"
SYNAPSE = "synapse_"
TAKEN = frozenset({"weight", "stride", "padding", "dilation", "groups", "kernel_size", "metadata"})
AGAIN = "export the network again with lehr"


def fields_of(node: Node, taken: Shape) -> dict[str, Any]:
    """The NIR fields of `node`, whose input has shape `taken`; arrays may be read-only views."""
    if isinstance(node, Neuron):
        return _neuron_fields(node, taken)
    if isinstance(node, Delay):
        return {"type": "Delay", "delay": np.broadcast_to(np.float64(node.steps * DT), taken)}
    if isinstance(node, Flatten):
        return {"type": "Flatten", "input_type": np.array(taken), "start_dim": 0, "end_dim": -1}
    if isinstance(node, SumPool2d):
        kernel, stride, padding = np.array(node.kernel), np.array(node.stride), np.array(node.padding)
        return {"type": "SumPool2d", "kernel_size": kernel, "stride": stride, "padding": padding}
    assert isinstance(node, (Conv2d, Linear)), node
    declared = {BLOCK: {"schema": WEIGHT_SCHEMA, "weights": node.kind}}
    if isinstance(node, Linear):
        return {"type": "Linear", "weight": node.weight, "metadata": declared}
    return {
        "type": "Conv2d",
        "input_shape": taken[1:],
        "weight": node.weight,
        "stride": node.stride,
        "padding": node.padding,
        "dilation": node.dilation,
        "groups": node.groups,
        "bias": np.zeros(len(node.weight), np.int32),
        "metadata": declared,
    }


def _neuron_fields(node: Neuron, shape: Shape) -> dict[str, Any]:
    how = node.fields

    def spread(value: npt.ArrayLike) -> npt.NDArray[Any]:
        return np.broadcast_to(np.reshape(value, (-1, *[1] * (len(shape) - 1))), shape)

    told: dict[str, Any] = {"type": "I" if node.integrates else "IF", "r": spread(2.0**how.fraction_bits / DT)}
    exact = {"schema": NEURON_SCHEMA, **asdict(how), "bias": node.bias}
    if how.beta < 1:
        # One Euler step of tau dv/dt = (v_leak - v) + r I is then v = beta v + 2**F I + B.
        tau = DT / (1 - how.beta)
        told["type"] = "LI" if node.integrates else "LIF"
        told |= {"tau": spread(tau), "r": spread(2.0**how.fraction_bits * tau / DT), "v_leak": spread(node.bias / (1 - how.beta))}
    if node.synapse is not None:
        # One Euler step of tau_syn dI/dt = -I + w_in S is I = alpha I + 2**F S; the membrane, which comes after it, takes all of I.
        alpha, at_membrane = node.synapse.beta, node.synapse.bias_to == "membrane"
        told["type"] = f"Cuba{told['type']}"
        told["tau_mem"], told["tau_syn"] = told.pop("tau"), spread(DT / (1 - alpha))
        told["w_in"], told["r"] = spread(2.0**how.fraction_bits / (1 - alpha)), spread(1 / (1 - how.beta))
        told["v_leak"] = told["v_leak"] if at_membrane else spread(0.0)
        exact |= {"schema": SYNAPSE_SCHEMA, **{SYNAPSE + key: value for key, value in asdict(node.synapse).items()}}
    if not node.integrates:
        told |= {"v_threshold": spread(node.threshold), "v_reset": spread(np.int32(0))}
    return {**told, "metadata": {BLOCK: exact}}


def node_of(told: Fields) -> Node:
    """The node that NIR fields describe.

    Raises:
        FileRefused: when its type, a field or its fixed_point block is not what an integer network holds. The caller names the node.
    """
    kind = told.get("type")
    if kind == "NIRGraph":
        raise FileRefused("is a graph inside the graph; put its nodes into the outer graph")
    if kind in ("Input", "Output"):
        raise FileRefused(f"is of type {kind}, which the node '{kind.lower()}' alone may be; rename or remove it")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise FileRefused(f"is of type {kind}, which is not in an integer network; use {', '.join(_KINDS)}")
    names, made = _KINDS[kind]
    check_keys(told, ("type", *names), kind, ["metadata"])
    return made(told)


def check_keys(told: Fields, names: Iterable[str], owner: str, optional: Iterable[str] = (), remedy: str = AGAIN) -> None:
    """Refuse a field that is missing or that `owner` does not have."""
    missing = sorted(set(names) - told.keys())
    if missing:
        raise FileRefused(f"has no {missing[0]!r}, which {owner} needs; {remedy}")
    extra = sorted(told.keys() - {*names, *optional})
    if extra:
        raise FileRefused(f"has {extra[0]!r}, which {owner} does not have; remove it")


def block(told: Fields, schema: str, names: Iterable[str], optional: Iterable[str] = ()) -> dict[str, Any]:
    """The values of the fixed_point block in the metadata of a node or graph, numbers as Python's own.

    Raises:
        FileRefused: when there is none, or it is of another schema, or holds other fields than `names`.
    """
    metadata = told.get("metadata")
    found = metadata.get(BLOCK) if isinstance(metadata, Mapping) else None
    if not isinstance(found, Mapping):
        raise FileRefused("has no fixed_point block, so its integer meaning is not stated; export it with lehr")
    values = {key: value.item() if isinstance(value, np.generic) else value for key, value in found.items()}
    if not isinstance(values.get("schema"), str) or values["schema"] != schema:
        raise FileRefused(
            f"has a fixed_point block of schema {short(values.get('schema'))}, not {schema!r}; read it with the lehr that wrote it"
        )
    check_keys(values, ("schema", *names), "its fixed_point block", optional)
    return values


def scalar(values: Fields, name: str) -> Any:
    """One number or text of a block."""
    value = values[name]
    if not isinstance(value, (int, float, str)):
        raise FileRefused(f"{name} is {short(value)}; give one number or text")
    return value


def whole(told: Fields, name: str) -> Any:
    """A field as an integer or a tuple of integers."""
    value = np.asarray(told[name])
    if value.dtype.kind not in "iu" or value.ndim > 1:
        raise FileRefused(f"{name} is {short(told[name])}; give integers")
    return tuple(value.tolist()) if value.ndim else value.item()


def short(value: Any) -> str:
    """A value as a message shows it."""
    shape = np.shape(value) if isinstance(value, np.ndarray) else ()
    return f"an array of shape {shape}" if shape else repr(value)[:80]


# ---------------------------------------------------------------- one function a type
def _kind(told: Fields) -> WeightKind:
    return declared_kind(scalar(block(told, WEIGHT_SCHEMA, ["weights"]), "weights"))


def _conv2d(told: Fields) -> Conv2d:
    weight, kind = np.asarray(told["weight"]), _kind(told)
    stride, dilation, padding = whole(told, "stride"), whole(told, "dilation"), told["padding"]
    named = isinstance(padding, str)
    padding = named_padding(padding, weight.shape[2:], stride, dilation) if named else whole(told, "padding")
    return Conv2d(weight, stride, padding, dilation, whole(told, "groups"), kind)


def named_padding(name: str, kernel: Shape, stride: Any, dilation: Any) -> Any:
    """What torch.nn.Conv2d means by padding 'valid' and 'same'."""
    if name == "valid":
        return 0
    totals = [d * (k - 1) for d, k in zip(np.broadcast_to(dilation, 2).tolist(), kernel, strict=True)]
    if name != "same" or np.any(np.asarray(stride) != 1) or any(total % 2 for total in totals):
        raise FileRefused(f"padding is {short(name)}, which has no equal sides here; give it as two integers")
    return tuple(total // 2 for total in totals)


def _linear(told: Fields) -> Linear:
    return Linear(told["weight"], _kind(told))


def _sum_pool2d(told: Fields) -> SumPool2d:
    return SumPool2d(whole(told, "kernel_size"), whole(told, "stride"), whole(told, "padding"))


def _delay(told: Fields) -> Delay:
    value = np.asarray(told["delay"])
    if value.dtype.kind not in "iuf" or value.size == 0:
        raise FileRefused(f"delay is {short(told['delay'])}; give seconds")
    steps = float(value.flat[0]) / DT
    if not math.isfinite(steps) or not math.isclose(steps, round(steps), rel_tol=1e-9):
        raise FileRefused(f"delay holds {value.flat[0]} s, which is no whole number of steps of {DT} s; round it")
    return Delay(round(steps))


def _neuron(told: Fields) -> Neuron:
    two_states = str(told["type"]).startswith("Cuba")
    names = [field.name for field in fields(Arithmetic)]
    synapse_names = [field.name for field in fields(Synapse)] if two_states else []
    schema = SYNAPSE_SCHEMA if two_states else NEURON_SCHEMA
    exact = block(told, schema, [*names, "bias", *(SYNAPSE + name for name in synapse_names)])
    arithmetic = Arithmetic(**{name: scalar(exact, name) for name in names})
    synapse = _synapse({name: scalar(exact, SYNAPSE + name) for name in synapse_names}) if two_states else None
    if "v_threshold" not in told:
        return Neuron(np.zeros(np.shape(exact["bias"]), np.int32), exact["bias"], arithmetic, synapse)
    threshold = np.asarray(told["v_threshold"])
    if threshold.size == 0 or threshold.ndim == 0:
        raise FileRefused(f"v_threshold is {short(threshold)}; give one integer per neuron")
    return Neuron(threshold.reshape(len(threshold), -1)[:, 0], exact["bias"], arithmetic, synapse)


def _synapse(values: dict[str, Any]) -> Synapse:
    try:
        return Synapse(**values)
    except FileRefused as error:
        raise FileRefused(f"synapse state: {error}") from None


_KINDS: Mapping[str, tuple[tuple[str, ...], Callable[[Fields], Node]]] = {
    "Conv2d": (("input_shape", "weight", "stride", "padding", "dilation", "groups", "bias"), _conv2d),
    "Linear": (("weight",), _linear),
    "SumPool2d": (("kernel_size", "stride", "padding"), _sum_pool2d),
    "Flatten": (("input_type", "start_dim", "end_dim"), lambda _: Flatten()),
    "Delay": (("delay",), _delay),
    "LIF": (("tau", "r", "v_leak", "v_threshold", "v_reset"), _neuron),
    "IF": (("r", "v_threshold", "v_reset"), _neuron),
    "LI": (("tau", "r", "v_leak"), _neuron),
    "I": (("r",), _neuron),
    "CubaLIF": (("tau_syn", "tau_mem", "r", "v_leak", "v_threshold", "v_reset", "w_in"), _neuron),
    "CubaLI": (("tau_syn", "tau_mem", "r", "v_leak", "w_in"), _neuron),
}
