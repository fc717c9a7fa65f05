"""The C library, called from Python: ways to give an input, several states, streams, refusals."""

from __future__ import annotations

import ctypes
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hard_networks import EVENT, HARD, STEP, flows, knot
from states import MEMBRANE_READOUTS
from strategies import Images, small_network

from lehr import nirfile
from lehr.arithmetic import Arithmetic
from lehr.errors import FileRefused, NotMappable, ToolMissing, UsageError
from lehr.network import INPUT, OUTPUT, Input, Linear, Network, Neuron
from lehr.samples import read_samples
from lehr.simulate import Result, compare, simulate
from lehr.targets import registry
from lehr.targets.build import build
from lehr.targets.c import C, Model, load
from lehr.targets.c.compiler import missing

needs_compiler = pytest.mark.skipif(missing() is not None, reason=str(missing()))


@pytest.fixture(scope="module")
def small() -> tuple[Model, Network, Images, Result]:
    """Return a small network in C, spikes for it step by step, and the reference's result.

    Spikes flow in it.
    """
    if missing():
        pytest.skip(str(missing()))
    net, x = HARD["two states"]()
    expected = simulate(net, x, trace=net.neurons)
    assert flows(net, expected)
    return load(net), net, x, expected


def require_step(model: Model, expected: Result, sample: int, t: int, way: str, x: Images) -> None:
    """One step of a model, which must be step `t` of a sample of the reference."""
    if way == "held":
        step = model.step_held()
    elif way == "events":
        step = model.step_events(np.flatnonzero(x), x[x != 0])
    else:
        step = model.step(x)
    for name in model.net.neurons:
        assert np.array_equal(step.spikes[name], expected.trace.spikes[name][sample, t]), (name, t)
        assert np.array_equal(step.membranes[name], expected.trace.membranes[name][sample, t]), (
            name,
            t,
        )


@pytest.mark.few(3)
@needs_compiler
@pytest.mark.parametrize(
    "name", ["small", "delayed", "knot", "knot by event", "two states", *MEMBRANE_READOUTS]
)
def test_run_is_the_reference(name: str) -> None:
    net, x = HARD[name]()
    expected, got = simulate(net, x, trace=net.neurons), load(net).run(x, trace=net.neurons)
    compare(expected.trace, got.trace).require_equal("c")
    assert np.array_equal(got.scores, expected.scores)
    assert np.array_equal(got.counts, expected.counts)
    assert got.rates == expected.rates
    assert [(layer.lowest, layer.highest) for layer in got.layers.values()] == [
        (o.lowest, o.highest) for o in expected.layers.values()
    ]


@pytest.mark.few(1)
@needs_compiler
@pytest.mark.parametrize("way", ["dense", "events", "held"])
@pytest.mark.parametrize("update", [STEP, EVENT], ids=["step", "event"])
def test_an_input_may_come_in_three_ways(way: str, update: Arithmetic) -> None:
    """Through a network in which neurons and feedback edges read the input itself."""
    net, x = knot(update)
    still = np.repeat(x[:1, :1], net.steps, axis=1)
    expected = simulate(net, still, trace=net.neurons)
    model = load(net)
    for t in range(net.steps):
        require_step(
            model, expected, 0, t, "dense" if t == 0 and way == "held" else way, still[0, t]
        )


def test_two_states_run_side_by_side(small: tuple[Model, Network, Images, Result]) -> None:
    first, net, x, expected = small
    second = first.instance()
    first.reset()
    assert first.state_bytes == next(
        f.value for f in C().estimate(net, expected.rates).figures if f.name == "RAM"
    )
    for t in range(net.steps):
        require_step(first, expected, 0, t, "dense" if t % 2 else "events", x[0, t])
        require_step(second, expected, 1, t, "dense", x[1, t])
    assert first.scores.tolist() == expected.scores[0].tolist()
    assert (first.prediction, second.prediction) == tuple(expected.prediction[:2])


def test_a_stream_goes_on_and_a_reset_begins_anew(
    small: tuple[Model, Network, Images, Result],
) -> None:
    model, net, x, _ = small
    stream = x.reshape(1, -1, *net.input.shape)
    expected = simulate(net, stream, trace=net.neurons)
    assert not np.array_equal(
        expected.trace.membranes["out"][0, net.steps],
        simulate(net, x[1:2], trace=["out"]).trace.membranes["out"][0, 0],
    )
    model.reset()
    for t in range(stream.shape[1]):
        require_step(model, expected, 0, t, "dense", stream[0, t])
    model.reset()
    require_step(model, expected, 0, 0, "dense", stream[0, 0])


@needs_compiler
def test_a_neuron_fires_up_to_255_times_in_a_step() -> None:
    """C stays at 255 where a neuron would fire more often; the reference refuses the network."""
    arithmetic = Arithmetic(update="event", reset_timing="same_step", fires="ge")
    nodes = {
        "fc": Linear(np.ones((1, 2), np.int8)),
        "out": Neuron(np.array([1], np.int32), np.array([0], np.int32), arithmetic),
    }
    net = Network(
        nodes, ((INPUT, "fc"), ("fc", "out"), ("out", OUTPUT)), Input((2,), "u8"), steps=3
    )
    x = np.array([[[254, 0], [255, 0], [0, 3]]], np.uint8)
    expected, model = simulate(net, x, trace=["out"]), load(net)
    assert expected.trace.spikes["out"].reshape(-1).tolist() == [254, 255, 3]
    compare(expected.trace, model.run(x, trace=["out"]).trace).require_equal("c")
    too_many = np.array([255, 1], np.uint8)
    with pytest.raises(
        NotMappable, match="fired 256 times in one step, more than 255; raise its threshold"
    ):
        simulate(net, too_many[None])
    assert model.step(too_many).spikes["out"].tolist() == [255]


def test_one_unit_is_seen(small: tuple[Model, Network, Images, Result]) -> None:
    model, net, x, expected = small
    first = net.neurons["hidden"]
    raised = replace(
        first, threshold=first.threshold + np.eye(len(first.threshold), dtype=np.int32)[0]
    )
    other = load(replace(net, nodes={**net.nodes, "hidden": raised})).run(x, trace=net.neurons)
    assert compare(expected.trace, model.run(x, trace=net.neurons).trace).equal
    assert not compare(expected.trace, other.trace).equal


@pytest.mark.parametrize(
    "events",
    [([3, 3], 1), ([4, 3], 1), ([-1], 1), ([12], 1), ([0, 70_000, 1], 1), ([5], 0), ([5], 2)],
)
def test_events_that_are_none_are_refused(
    events: tuple[list[int], int], small: tuple[Model, Network, Images, Result]
) -> None:
    model, net, x, expected = small
    assert net.input.kind == "spikes"
    model.reset()
    require_step(model, expected, 0, 0, "dense", x[0, 0])
    with pytest.raises(UsageError) as error:
        model.step_events(*events)
    assert (
        str(error.value)
        == "events are no ascending indices below 12 with values from 1 to 1; sort them and drop doubles"
    )
    require_step(model, expected, 0, 1, "dense", x[0, 1])  # no step was taken


@pytest.mark.parametrize(
    ("events", "message"),
    [
        (([1.0, 2.0], 1), "indices of events have dtype float64; convert them to integers"),
        (([True, False], 1), "indices of events have dtype bool; convert them to integers"),
        (([2**70], 1), "indices of events have dtype object; convert them to integers"),
        (([1, 2], [1.5, 1]), "values of events have dtype float64; convert them to integers"),
        (
            ([1, 2, 3], [1, 1]),
            "events have 3 indices and 2 values; give one value for each, or for all",
        ),
        (
            ([[1, 2], [3, 4]], [[1], [1]]),
            "events have 4 indices and 2 values; give one value for each, or for all",
        ),
    ],
)
def test_events_of_another_kind_are_refused(
    events: tuple[Any, Any], message: str, small: tuple[Model, Network, Images, Result]
) -> None:
    with pytest.raises(UsageError) as error:
        small[0].step_events(*events)
    assert str(error.value) == message


def test_no_event_is_a_step_too(small: tuple[Model, Network, Images, Result]) -> None:
    model, net, x, _ = small
    silence = np.zeros_like(x[:1])
    expected = simulate(net, silence, trace=net.neurons)
    model.reset()
    for t in range(net.steps):
        require_step(model, expected, 0, t, "events", silence[0, t])


def test_arrays_that_are_not_contiguous_are_taken(
    small: tuple[Model, Network, Images, Result],
) -> None:
    model, net, x, expected = small
    apart = np.repeat(np.repeat(x, 2, axis=0), 2, axis=-1)[::2, :, ::2]
    backwards = np.ascontiguousarray(x[..., ::-1])[..., ::-1]
    for given in (apart, np.asfortranarray(x), backwards):
        assert not given.flags.c_contiguous
        compare(expected.trace, model.run(given, trace=net.neurons).trace).require_equal("c")
        model.reset()
        require_step(model, expected, 0, 0, "dense", given[0, 0])


def takes(model: Model, indices: list[int], values: list[int]) -> bool:
    """Return whether the library itself takes a step of these events."""
    events = np.zeros(
        len(indices), np.dtype([("index", np.uint16), ("value", np.uint8)], align=True)
    )
    events["index"], events["value"] = indices, values
    return bool(
        model._call(
            "lehr_step_events", ctypes.c_void_p(events.ctypes.data), ctypes.c_size_t(len(indices))
        )
    )


def test_c_itself_refuses_events_that_are_none(
    small: tuple[Model, Network, Images, Result],
) -> None:
    model, *_ = small
    for indices, values in (
        ([3, 3], [1, 1]),
        ([4, 3], [1, 1]),
        ([12], [1]),
        ([5], [0]),
        ([5], [2]),
    ):
        assert not takes(model, indices, values)
    assert takes(model, [5, 11], [1, 1])
    bytewise = load(small_network()[0])
    assert not takes(bytewise, [5, 6], [255, 0])
    assert takes(bytewise, [5, 99], [255, 1])


@pytest.mark.few(1)
@needs_compiler
@pytest.mark.parametrize("name", ["delayed", "knot", "two states"])
def test_a_state_may_hold_anything_before_init_and_keeps_its_input_at_a_reset(name: str) -> None:
    net, x = HARD[name]()
    x = x[:1].copy()
    x[0, 0] = 0
    assert x[0, -1].any()
    model = load(net)
    model._memory[:] = 0x5A5A5A5A5A5A5A5A
    model._call("lehr_init")
    expected = simulate(net, x, trace=net.neurons)
    for t in range(net.steps):
        # before any input, silence is held
        require_step(model, expected, 0, t, "dense" if t else "held", x[0, t])
    assert model.scores.tolist() == expected.scores[0].tolist()
    model.reset()
    require_step(model, simulate(net, x[:, -1:], trace=net.neurons), 0, 0, "held", x[0, -1])


def test_inputs_that_do_not_fit_are_refused(small: tuple[Model, Network, Images, Result]) -> None:
    model, _, x, _ = small
    with pytest.raises(
        FileRefused, match=r"^input has shape \[11\], a step takes \[12\]; reshape it, or call run$"
    ):
        model.step(x[0, 0, :-1])
    with pytest.raises(
        FileRefused,
        match=r"^input has shape \[10, 12\], a step takes \[12\]; reshape it, or call run$",
    ):
        model.step(x[0])  # a sample, of which a step would have taken the first slice
    with pytest.raises(
        FileRefused, match=r"^input has dtype int64, the network takes uint8 .*; convert it$"
    ):
        model.step(x[0, 0].astype(np.int64))
    with pytest.raises(
        FileRefused,
        match=r"^input holds 2, but the network takes spikes 0 and 1; encode it as spikes first$",
    ):
        model.run(2 * x)


@pytest.mark.slow
@needs_compiler
def test_a_built_artefact_is_loaded(tmp_path: Path) -> None:
    net, x = small_network()
    build(net, C(), x[:2]).plan.write(tmp_path / "out")
    expected = simulate(net, x, trace=net.neurons)
    compare(expected.trace, load(tmp_path / "out").run(x, trace=net.neurons).trace).require_equal(
        "c"
    )
    header = tmp_path / "out" / "lehr_model.h"
    header.write_text(header.read_text().replace(net.digest, "another"))
    for _ in range(2):
        with pytest.raises(
            FileRefused,
            match=r"^lehr_model\.h changed since the artefact was built; build it again$",
        ):
            load(tmp_path / "out")
        header.unlink(missing_ok=True)
    build(net, registry.get("onnx"), x[:2]).plan.write(tmp_path / "onnx")
    with pytest.raises(
        UsageError,
        match=r"onnx was built for target onnx; give a folder that 'lehr build --target c' made$",
    ):
        load(tmp_path / "onnx")


@pytest.mark.slow
@needs_compiler
def test_the_estimate_is_that_of_the_options(tmp_path: Path) -> None:
    net, x = HARD["delayed"]()
    by_rate = {}
    for rate in ("0", "100"):
        build(net, C(), x[:1], {"rate": rate}).plan.write(tmp_path / rate)
        figures = json.loads((tmp_path / rate / "report" / "estimate.json").read_bytes())
        by_rate[rate] = next(figure["value"] for figure in figures if figure["name"] == "RAM")
        assert load(tmp_path / rate).state_bytes == by_rate[rate]
    assert by_rate["0"] != by_rate["100"]


def test_a_missing_compiler_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-cc")
    with pytest.raises(
        ToolMissing,
        match=r"^no-such-cc is not on this machine; install a C compiler and make \(Debian: apt install gcc make\)",
    ):
        load(small_network()[0])


@pytest.mark.slow
@needs_compiler
def test_the_example_in_the_documentation_runs(
    line: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "c.md").read_text("utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    images, _ = read_samples(line / "in.npz")
    exec(code, {"path": line / "model.nir", "images": images[:4]})
    expected = simulate(nirfile.read(line / "model.nir"), images[:1])
    assert capsys.readouterr().out == f"{expected.scores[0]} {expected.prediction[0]}\n"
