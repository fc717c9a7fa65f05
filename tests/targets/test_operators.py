"""What the page of operators says of chips: each is asked in its own form."""

from __future__ import annotations

import numpy as np
import pytest

from lehr.machines import MACHINES
from lehr.simulate import simulate
from lehr.targets import operators, registry
from lehr.targets.operators import probes, support
from lehr.targets.probe_forms import PLAIN, deeper, forms_of

CHIPS = "akida", "dynapcnn", "hiaer", "loihi", "reckon", "speck", "speck2", "tinyodin", "xylo"
CHIPS_OF = {"speck": "dynapcnn", "speck2": "dynapcnn"}


@pytest.mark.parametrize("chip", CHIPS)
def test_a_chip_takes_its_own_update(chip: str) -> None:
    table = support([registry.get(chip)])
    own = f"update of {CHIPS_OF.get(chip, chip)}"
    assert table[own][chip]
    assert table["Linear"][chip]
    assert not table["update of adaptive"][chip]


@pytest.mark.parametrize("chip", [*CHIPS, "ranc", "spinnaker2"])
def test_no_row_is_lost_in_a_form(chip: str) -> None:
    rows = set(probes())
    for form in forms_of(registry.get(chip)):
        assert set(probes(form)) <= rows
        assert {f"update of {name}" for name in MACHINES} <= set(probes(form))


def test_a_layer_behind_hears_the_one_before() -> None:
    net = probes()["Conv2d"]
    longer = deeper(net, PLAIN)
    assert longer.order[-1] == "out"
    assert longer.neurons["lif"] == net.neurons["lif"]
    x = np.ones((1, 4, 2, 6, 6), np.uint8)
    assert simulate(longer, x).counts.any()


def test_a_target_that_takes_nothing_has_no_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    target = registry.get("xylo")
    monkeypatch.setattr(type(target), "check", lambda self, net: ("refused",))
    assert not any(row["xylo"] for row in operators.support([target]).values())
