"""The random and fixed networks of the conformance suite, for tests that need them as well."""

from lehr.targets.conformance.building import (
    Builder,
    Images,
    Style,
    alive,
    calibrated,
    random_input,
)
from lehr.targets.conformance.networks import delayed_network, recurrent_network, small_network
from lehr.targets.conformance.strategies import arithmetics, inputs, networks, numerators

__all__ = [
    "Builder",
    "Images",
    "Style",
    "alive",
    "arithmetics",
    "calibrated",
    "delayed_network",
    "inputs",
    "networks",
    "numerators",
    "random_input",
    "recurrent_network",
    "small_network",
]
