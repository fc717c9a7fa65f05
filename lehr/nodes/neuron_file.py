"""Layers of neurons in a `.nir` file: the block that states update and parameters exactly.

`fixed-point-lif/1` and `fixed-point-cuba/1` say the fields of an arithmetic; `fixed-point-update/1`
says a program, line by line. The thresholds of neurons that fire stand in NIR's own v_threshold, of
every neuron; all other parameters in the block, as a list by channel, or as lists in lists of the
layer's shape where they differ within one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lehr.arithmetic import Arithmetic, Synapse
from lehr.errors import FileRefused
from lehr.nirnodes import (
    AGAIN,
    BLOCK,
    Fields,
    block,
    check_keys,
    integers,
    scalar,
    schema_of,
    short,
)
from lehr.nodes.base import Shape
from lehr.update import Program
from lehr.update_rules import MOST_STATEMENTS
from lehr.update_text import lines_of, program_of_lines

if TYPE_CHECKING:
    from lehr.nodes.neuron import Neuron

FIELDS_SCHEMA, SYNAPSE_SCHEMA, UPDATE_SCHEMA = (
    "fixed-point-lif/1",
    "fixed-point-cuba/1",
    "fixed-point-update/1",
)
SYNAPSE = "synapse_"
_LINE = 160
"""Letters that a line of a program may have: more than any statement takes."""


def exact_fields(neuron: Neuron) -> dict[str, Any]:
    """Return the metadata of a layer of neurons."""
    arithmetic = neuron.arithmetic
    if isinstance(arithmetic, Program):
        parameters = {name: neuron.values[name] for name in _in_block(arithmetic)}
        update = {
            "update": list(lines_of(arithmetic)),
            "membrane": arithmetic.membrane,
            "bias": neuron.bias,
            "parameters": parameters,
        }
        return {BLOCK: {"schema": UPDATE_SCHEMA, **update}}
    exact = {"schema": FIELDS_SCHEMA, **dataclasses.asdict(arithmetic), "bias": neuron.bias}
    if neuron.synapse is not None:
        exact |= {
            "schema": SYNAPSE_SCHEMA,
            **{SYNAPSE + key: value for key, value in dataclasses.asdict(neuron.synapse).items()},
        }
    return {BLOCK: exact}


def laid_out(values: Mapping[str, npt.NDArray[Any]], shape: Shape) -> dict[str, npt.NDArray[Any]]:
    """Return NIR's fields of every neuron of a layer, as views."""

    def spread(value: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.broadcast_to(
            value.reshape(*value.shape, *[1] * (len(shape) - value.ndim)) if value.ndim else value,
            shape,
        )

    return {name: spread(value) for name, value in values.items()}


def arguments_of(fields: Fields) -> dict[str, Any]:
    """Return the arguments of `Neuron` by name, from the fields of a file.

    Raises:
        FileRefused: when the block holds what no neuron has.
    """
    return _of_program(fields) if schema_of(fields) == UPDATE_SCHEMA else _of_fields(fields)


def _of_fields(fields: Fields) -> dict[str, Any]:
    two_states = str(fields["type"]).startswith("Cuba")
    names = [field.name for field in dataclasses.fields(Arithmetic)]
    synapse_names = [field.name for field in dataclasses.fields(Synapse)] if two_states else []
    schema = SYNAPSE_SCHEMA if two_states else FIELDS_SCHEMA
    exact = block(fields, schema, [*names, "bias", *(SYNAPSE + name for name in synapse_names)])
    arithmetic = Arithmetic(**{name: scalar(exact, name) for name in names})
    synapse = (
        _synapse({name: scalar(exact, SYNAPSE + name) for name in synapse_names})
        if two_states
        else None
    )
    bias = integers(exact, "bias")
    threshold = _thresholds(fields) if "v_threshold" in fields else _zeros(bias)
    return {"threshold": threshold, "bias": bias, "arithmetic": arithmetic, "synapse": synapse}


def _synapse(values: dict[str, Any]) -> Synapse:
    try:
        return Synapse(**values)
    except FileRefused as error:
        raise FileRefused(f"synapse state: {error}") from None


def _of_program(fields: Fields) -> dict[str, Any]:
    exact = block(fields, UPDATE_SCHEMA, ["update", "membrane", "bias", "parameters"])
    program = program_of_lines(_lines(exact["update"]), _membrane(exact["membrane"]))
    parameters = exact["parameters"]
    if not isinstance(parameters, Mapping):
        raise FileRefused(
            f"parameters are {short(parameters)}; give an integer for each channel or neuron, by "
            "name"
        )
    check_keys(parameters, _in_block(program), "its update")
    values = {name: integers(parameters, name) for name in parameters}
    bias = integers(exact, "bias")
    own = "threshold" in program.parameters and program.fires
    if own and "v_threshold" not in fields:
        raise FileRefused(
            f"is of type {fields['type']}, which has no thresholds, but its update fires; {AGAIN}"
        )
    threshold = _thresholds(fields) if own else values.pop("threshold", _zeros(bias))
    return {"threshold": threshold, "bias": bias, "arithmetic": program, "parameters": values}


def _in_block(program: Program) -> list[str]:
    """Return the parameters beside the bias that stand in the block.

    Thresholds of neurons that fire have a place of NIR's own.
    """
    elsewhere = {"bias", "threshold"} if program.fires else {"bias"}
    return [name for name in program.parameters if name not in elsewhere]


def _lines(lines: Any) -> list[str]:
    if not isinstance(lines, list) or not all(
        isinstance(line, str) and len(line) <= _LINE for line in lines
    ):
        worst = (
            next((line for line in lines if not isinstance(line, str) or len(line) > _LINE), None)
            if isinstance(lines, list)
            else lines
        )
        raise FileRefused(
            f"update is, or holds, {short(worst)}; give its statements as lines of text"
        )
    if len(lines) > MOST_STATEMENTS + 1:  # a loop ends with a line that is no statement
        raise FileRefused(
            f"update has {len(lines):,} lines; give 1 to {MOST_STATEMENTS} statements"
        )
    return lines


def _membrane(membrane: Any) -> str:
    if not isinstance(membrane, str) or len(membrane) > _LINE:
        raise FileRefused(f"membrane is {short(membrane)}; name one of the registers")
    return membrane


def _thresholds(fields: Fields) -> npt.NDArray[Any]:
    threshold = np.asarray(fields["v_threshold"])
    if threshold.size == 0 or threshold.ndim == 0:
        raise FileRefused(f"v_threshold is {short(threshold)}; give one integer per neuron")
    return threshold


def _zeros(bias: npt.ArrayLike) -> npt.NDArray[np.int32]:
    """Return thresholds for neurons without one: a 0 for each channel, as there are biases."""
    listed = isinstance(bias, list) or (isinstance(bias, np.ndarray) and bias.ndim > 0)
    return np.zeros(len(bias) if listed else 1, np.int32)  # type: ignore[arg-type]
