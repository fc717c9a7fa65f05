"""The registry: a broken plug-in is told with its reason and takes no other with it."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import EntryPoint, EntryPoints, PackageNotFoundError

import pytest

from lehr.errors import UsageError
from lehr.targets import declared
from lehr.targets.declared import GROUP
from lehr.targets.registry import entries, get, targets

BROKEN = {
    "nowhere": ("no_such_package:Chip", "ModuleNotFoundError: No module named 'no_such_package'"),
    "nameless": (
        "lehr.targets.onnx:Chip",
        "AttributeError: module 'lehr.targets.onnx' has no attribute 'Chip'",
    ),
    "number": ("fractions:Fraction", "fractions:Fraction is no lehr.targets.contract.Target"),
    "picky": (
        "lehr.network:Input",
        "TypeError: Input.__init__() missing 2 required positional arguments: 'shape' and 'kind'",
    ),
    "alias": (
        "lehr.targets.onnx:Onnx",
        "lehr.targets.onnx:Onnx calls itself 'onnx', but is registered as 'alias'",
    ),
}


@pytest.fixture
def plugged(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One target that works among five that do not."""
    values = {
        "onnx": "lehr.targets.onnx:Onnx",
        **{name: value for name, (value, _) in BROKEN.items()},
    }
    points = EntryPoints(EntryPoint(name, value, GROUP) for name, value in values.items())
    monkeypatch.setattr(declared, "entry_points", points.select)
    entries.cache_clear()
    yield
    entries.cache_clear()


@pytest.mark.usefixtures("plugged")
def test_a_broken_plug_in_leaves_the_others_alone() -> None:
    assert [target.name for target in targets()] == ["onnx"]
    assert {entry.name: entry.reason for entry in entries()} == {
        "onnx": "",
        **{name: reason for name, (_, reason) in BROKEN.items()},
    }
    assert [entry.name for entry in entries()] == sorted(["onnx", *BROKEN])


def test_two_targets_of_one_name_are_both_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    values = ("lehr.targets.onnx:Onnx", "lehr.targets.c:C", "lehr.targets.onnx:Onnx")
    points = EntryPoints(EntryPoint("onnx", value, GROUP) for value in values)
    monkeypatch.setattr(declared, "entry_points", points.select)
    entries.cache_clear()
    try:
        (entry,) = entries()
        assert (
            entry.reason
            == "it is registered more than once: lehr.targets.c:C, lehr.targets.onnx:Onnx"
        )
        assert targets() == ()
    finally:
        entries.cache_clear()


def test_a_checkout_that_is_not_installed_reads_its_own_declaration(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(declared, "distribution", missing)
    monkeypatch.setattr(declared, "entry_points", EntryPoints().select)
    expected = [target.name for target in targets()]
    entries.cache_clear()
    try:
        assert {"c", "onnx"} <= set(expected)
        assert [target.name for target in targets()] == expected
    finally:
        entries.cache_clear()


@pytest.mark.usefixtures("plugged")
@pytest.mark.parametrize("name", BROKEN)
def test_asking_for_a_broken_target_tells_why(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        get(name)
    assert (
        str(caught.value)
        == f"target {name} is broken ({BROKEN[name][1]}); reinstall the package that brings it"
    )


def test_a_target_is_found_by_its_name() -> None:
    assert [get(target.name) for target in targets()] == list(targets())
    with pytest.raises(UsageError) as caught:
        get("brain")
    assert (
        str(caught.value)
        == f"no target is called 'brain'; use one of {', '.join(target.name for target in targets())}"
    )
