"""The float arm of a recipe: keys of its own, in the table `[float]`.

They hold where `network.weights` is `float`, and are checked where it is not.

    [float]
    train.lr = 1e-3
    network.layers.0.threshold.final = 1.5
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from typing import Any

from lehr.mistakes import Mistakes

_OWN = {
    "float": "a float arm has no other",
    "network.weights": "the float arm's are floats",
    "network.float_beta": "it is the float arm's alone wherever it stands, in [network]",
}
"""Keys that the table cannot have, and why."""


def is_float(table: Mapping[str, Any]) -> bool:
    """Whether a recipe's table is that of a float arm."""
    network = table.get("network")
    return isinstance(network, Mapping) and network.get("weights") == "float"


def float_arm(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recipe's table with what its `float` says put in its place, and without `float`.

    Keys of `float` may be dotted, tables within tables, or both; in a list a key is a place, from
    0. Tables are merged, anything else is replaced.

    Raises:
        Mistakes: naming each key that cannot be there.
    """
    merged = copy.deepcopy({key: value for key, value in table.items() if key != "float"})
    given = table["float"]
    wrong = [*_put(merged, given, "")] if isinstance(given, dict) else []
    if wrong:
        raise Mistakes(*wrong)
    return merged


def of_the_arm(sentence: str, given: Mapping[str, Any]) -> str:
    """Return a sentence about a mistake in a float arm, with `float.` where the arm's keys are.

    Args:
        sentence: as `lehr.mistakes.mistakes` has it of the table that `float_arm` returned.
        given: the table `[float]`.
    """
    quoted = _KEY.match(sentence)
    if quoted is None:
        return f"in the float arm, {sentence}"
    key = quoted[2]
    if not any(f"{leaf}.".startswith(f"{key}.") for leaf in _leaves(given)):
        return sentence
    return sentence.replace("'", "'float.", 1).replace("did you mean '", "did you mean 'float.")


_KEY = re.compile(r"(unknown key )?'([^']*)'")


def _leaves(given: Mapping[str, Any]) -> Iterator[str]:
    """Yield the dotted keys of all that is no table."""
    for key, value in given.items():
        if isinstance(value, dict) and value:
            yield from (f"{key}.{inner}" for inner in _leaves(value))
        else:
            yield key


def _put(here: Any, given: Mapping[str, Any], path: str) -> Iterator[str]:
    """Put keys into a table or a list, in place; yield what cannot be."""
    for dotted, value in given.items():
        name, _, rest = dotted.partition(".")
        inner, key = {rest: value} if rest else value, f"{path}{name}"
        if key in _OWN and not rest:
            yield f"'float.{key}' is {value!r}, but {_OWN[key]}; leave it out"
        elif isinstance(here, list) and not (name.isdecimal() and int(name) < len(here)):
            yield f"unknown key 'float.{key}'; the list has 0 to {len(here) - 1}"
        else:
            place: Any = int(name) if isinstance(here, list) else name
            there = here[place] if isinstance(here, list) else here.get(place)
            if isinstance(inner, dict) and not isinstance(there, dict | list):
                there = here[place] = {}
            if isinstance(inner, dict):
                yield from _put(there, inner, f"{key}.")
            else:
                here[place] = inner
