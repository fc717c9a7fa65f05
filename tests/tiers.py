"""The tests of the first tier, of the second, and those that only `make test-chips` runs.

The first tier is what every change and every newcomer waits for: one case of each kind. The second
runs the others. What runs each golden network in the tools of machines that others made, which take
seconds to start, belongs to neither (marker `long`).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable

import pytest

from lehr.targets.registry import entries

CHIPS = {entry.name for entry in entries()} - {"c", "fpga", "onnx"}
"""Targets for machines that others made."""
JUDGED = {"akida", "loihi", "xylo"}
"""Targets whose tools a machine with Python 3.11 can install from PyPI."""
IN_EVERY_NETWORK = ("test_golden_network_is_exact", "test_one_changed_unit_is_detected")
"""Tests of the conformance suite that are there for each golden network, or each change of one."""
OF_ALL_NETWORKS = (
    "test_every_claim_is_exercised",
    "test_plan_is_the_same_in_every_process",
    "test_what_check_says_of_random_networks",
)
"""Tests of the suite that make all golden networks, or that many."""
BUILT_AGAIN = ("test_a_built_artefact_verifies", "test_more_and_fewer_samples_than_golden_ones")
"""Tests of the suite that other tests of lehr's own targets stand for in the first tier."""
FIRST = {
    "small",
    "recurrent",
    "delayed",
    "weights_int8",
    "synapse",
    "saturate_at_8_bits",
    "wrap_at_8_bits",
    "machine_reckon",
    "small-threshold",
    "small-weight",
}
"""Golden networks, and changes of one, that the first tier runs in lehr's own targets."""
SECOND = {
    "all_of_24_bits",
    "convolution_on_events",
    "convolutional_on_spikes",
    "fires_gt",
    "machine_akida",
    "machine_loihi_at_its_rails",
    "machine_loihi_by_layer",
    "membrane_last_argmax_lowest_of_membranes_alone",
    "odd_leak",
    "overlapping_windows",
    "recurrent",
    "small",
    "small-threshold",
    "small-weight",
    "synapse",
    "weights_int4",
    "weights_int8",
    "wrap_at_16_bits",
    "xylo_at_its_rails",
    "xylo_maps",
    "xylo_maps-weight",
    "xylo_membrane_last_argmax_lowest",
}
"""Targets that the second tier runs in the tools of others."""


def assign(items: Iterable[pytest.Item]) -> None:
    """Mark the tests that the first tier does not run."""
    cases = defaultdict(list)
    for item in items:
        if few := item.get_closest_marker("few"):
            cases[item.nodeid.partition("[")[0], few.args[0]].append(item)
        _of_chips(item)
        _of_the_suite(item)
    for (_, first), of_one in cases.items():
        kept = {round(number * (len(of_one) - 1) / max(first - 1, 1)) for number in range(first)}
        for number, item in enumerate(of_one):
            if number not in kept:
                item.add_marker(pytest.mark.slow)


def _of_chips(item: pytest.Item) -> None:
    own = re.search(r"/test_([a-z0-9]+)(?:_\w+)?\.py::", item.nodeid)
    suite = re.search(r"test_conformance\.py::\w+\[(\w+)", item.nodeid)
    if (suite and suite[1] in CHIPS) or (own and own[1] in {*CHIPS, "chip"}):
        item.add_marker(pytest.mark.chips)


def _of_the_suite(item: pytest.Item) -> None:
    if not (case := re.search(r"test_conformance\.py::(\w+)\[(\w+)(?:-(.*))?\]", item.nodeid)):
        return
    test, target, network = case.groups()
    if target in CHIPS:
        second = network in SECOND if test in IN_EVERY_NETWORK else test not in OF_ALL_NETWORKS
        item.add_marker(pytest.mark.slow if second and target in JUDGED else pytest.mark.long)
    elif (test in IN_EVERY_NETWORK and network not in FIRST) or test in (
        *OF_ALL_NETWORKS,
        *BUILT_AGAIN,
    ):
        item.add_marker(pytest.mark.slow)
