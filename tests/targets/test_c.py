"""The C code computes what the reference computes, in every spike and membrane, and shows it where it does not."""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import Images, calibrated, delayed_network, inputs, networks, random_input, recurrent_network, small_network

from lehr.arithmetic import Arithmetic, DecayForm, Fires, Overflow, Reset, ResetTiming, Rounding, Update
from lehr.network import INPUT, OUTPUT, Conv2d, Delay, Flatten, Input, Linear, Network, Neuron, SumPool2d
from lehr.simulate import Result, compare, simulate
from lehr.targets.c import C
from lehr.targets.c.runner import CRunner
from lehr.targets.golden import golden_plan

MISSING = CRunner().missing()
pytestmark = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))


def write(folder: Path, net: Network, x: Images) -> Path:
    """Build the artefact of `net` with golden vectors for `x`."""
    assert C().check(net) == ()
    (C().plan(net, {}) | golden_plan(net, x)).write(folder)
    return folder


def make(folder: Path, *goals: str) -> tuple[int, list[str]]:
    """Exit status and output lines of make."""
    done = subprocess.run(["make", "-s", *goals], cwd=folder, capture_output=True, text=True)
    return done.returncode, (done.stdout + done.stderr).splitlines()


def flows(result: Result) -> bool:
    """Whether each layer has neurons and steps with spikes, and some without."""
    return all(0 < np.count_nonzero(spikes) < spikes.size for spikes in result.trace.spikes.values())


def require_equal(folder: Path, net: Network, x: Images) -> None:
    """Build, run and compare, for a network in which spikes flow."""
    result = simulate(net, x, trace=net.neurons)
    assert flows(result), result.rates
    compare(result.trace, CRunner().run(write(folder, net, x), x)).require_equal("c")


# -------------------------------------------------------------------- fixed networks
def side_by_side(update: Update, highest: int, **fixed: Any) -> tuple[Network, Images]:
    """One set of weights, and a layer of neurons behind it for each arithmetic; inputs of 0 to `highest`."""
    rng = np.random.default_rng(5)
    nodes: dict[str, Any] = {"fc": Linear(rng.choice(np.array([-1, 1], np.int8), (12, 16)))}
    fields: list[tuple[Any, ...]] = [get_args(f) for f in (DecayForm, Rounding, Reset, Fires, Overflow, ResetTiming)]
    for i, (form, rounding, reset, fires, overflow, timing) in enumerate(itertools.product(*fields)):
        if update == "event" and timing != "same_step":
            continue
        names: dict[str, Any] = {"decay_form": form, "rounding": rounding, "reset": reset, "fires": fires, "overflow": overflow}
        how = Arithmetic(**names, **{"decay_numerator": 7, "decay_shift": 3, **fixed}, reset_timing=timing, update=update)
        top = how.highest >> 1
        nodes[f"lif{i}"] = Neuron(rng.integers(1, top, 12, np.int32), rng.integers(-top // 2, top // 2, 12, np.int32), how)
    edges = [(INPUT, "fc"), *(("fc", n) for n in nodes if n != "fc"), (max(nodes), OUTPUT)]
    net = Network(nodes, tuple(edges), Input((16,), "u8"), steps=12)
    return net, rng.integers(0, highest, (2, net.steps, 16), np.uint8, endpoint=True)


def knot(how: Arithmetic) -> tuple[Network, Images]:
    """Everything that edges can do: loops that start at the input, a neuron that hears itself, sums of many sources, delays, aliases.

    `conv` and `first` feed each other and both hear the input, so that each hears the step before of the other.
    """
    rng = np.random.default_rng(6)

    def weight(*shape: int) -> np.ndarray[Any, np.dtype[np.int8]]:
        return rng.choice(np.array([-1, 1], np.int8), shape)

    def neuron(channels: int) -> Neuron:
        return Neuron(np.ones(channels, np.int32), np.zeros(channels, np.int32), how)

    nodes = {
        "conv": Conv2d(weight(4, 2, 2, 3), padding=(1, 2), dilation=(2, 2), groups=2),
        "first": neuron(4),
        "pool": SumPool2d((3, 2), (2, 1), (1, 0)),
        "strided": Conv2d(weight(3, 4, 2, 2), stride=(2, 2), padding=(0, 1)),
        "second": neuron(3),
        "slow": Delay(2),
        "flat": Flatten(),
        "flat.again": Flatten(),
        "fc-out": Linear(weight(5, 6)),
        "out": neuron(5),
        "echo": Flatten(),
        "back": Linear(weight(5, 5)),
    }
    edges = [(INPUT, "conv"), ("first", "conv"), ("conv", "first"), (INPUT, "first"), ("first", "pool"), ("pool", "strided")]
    edges += [("strided", "second"), ("second", "slow"), ("slow", "flat"), ("second", "flat"), ("flat", "flat.again")]
    edges += [
        ("flat.again", "fc-out"),
        ("fc-out", "out"),
        ("out", "out"),
        ("out", "echo"),
        ("echo", "out"),
        ("out", "back"),
        ("back", "out"),
    ]
    net = calibrated(Network(nodes, (*edges, ("out", OUTPUT)), Input((4, 4, 4), "spikes"), steps=10))
    return net, random_input(net, rng)


def narrow() -> tuple[Network, Images]:
    """Membranes of 20 bits whose update leaves 32 bits: in the product of the decay, and in the scaled input."""
    slow = Arithmetic(decay_numerator=(1 << 16) - 1, decay_shift=16, state_bits=20)
    fine = Arithmetic(fraction_bits=16, state_bits=20)
    weight = np.ones((2, 256), np.int8) * np.array([[1], [-1]], np.int8)
    threshold, bias = np.array([1 << 18, 3], np.int32), np.array([-9, 70_000], np.int32)
    nodes = {"fc": Linear(weight), "slow": Neuron(threshold, bias, slow), "fine": Neuron(threshold, bias, fine)}
    edges = ((INPUT, "fc"), ("fc", "slow"), ("fc", "fine"), ("fine", OUTPUT))
    x = np.random.default_rng(7).choice(np.array([0, 1, 255], np.uint8), (2, 40, 1), p=[0.5, 0.2, 0.3])
    return Network(nodes, edges, Input((256,), "u8"), steps=40), np.repeat(x, 256, axis=2)


STEP = Arithmetic(decay_numerator=7, decay_shift=3, fraction_bits=2, state_bits=9)
EVENT = replace(STEP, update="event", reset_timing="same_step")
FIXED: dict[str, Callable[[], tuple[Network, Images]]] = {
    "small": small_network,
    "recurrent": recurrent_network,
    "delayed": delayed_network,
    "knot": lambda: knot(STEP),
    "knot by event": lambda: knot(EVENT),
    "small by event": lambda: small_network(EVENT),
    "narrow": narrow,
    "8 bits": lambda: side_by_side("step", 9, fraction_bits=1, state_bits=8),
    "8 bits by event": lambda: side_by_side("event", 3, fraction_bits=4, state_bits=8),
    "32 bits": lambda: side_by_side("step", 255, fraction_bits=16, state_bits=32, decay_numerator=(1 << 16) - 1, decay_shift=16),
}


@pytest.mark.parametrize("name", FIXED)
def test_equals_the_reference(name: str, tmp_path: Path) -> None:
    net, x = FIXED[name]()
    if "bits" in name:
        assert min(simulate(net, x).saturations.values()) > 0, "a layer never leaves its width"
    require_equal(tmp_path / "out", net, x)


@given(st.data())
@settings(max_examples=12)
def test_random_networks(data: st.DataObject) -> None:
    net = data.draw(networks())
    x = data.draw(inputs(net))
    assume(flows(simulate(net, x, trace=net.neurons)))
    with tempfile.TemporaryDirectory() as folder:
        require_equal(Path(folder) / "out", net, x)


@given(st.data())
@settings(max_examples=6)
def test_random_networks_by_event(data: st.DataObject) -> None:
    net = data.draw(networks(update="event"))
    x = data.draw(inputs(net))
    assume(flows(simulate(net, x, trace=net.neurons)))
    with tempfile.TemporaryDirectory() as folder:
        require_equal(Path(folder) / "out", net, x)


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_replays_its_golden_vectors_without_warnings_and_undefined_behaviour(compiler: str, tmp_path: Path) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not on this machine")
    for name in FIXED:
        folder = write(tmp_path / name.replace(" ", "_"), *FIXED[name]())
        status, lines = make(folder, f"CC={compiler}", "sanitize")
        assert (status, lines[-1]) == (0, "PASS"), (name, lines)


# -------------------------------------------------------------------- one unit is seen
def edited(file: Path, pattern: str, new: str) -> None:
    """Replace the first match of `pattern` in `file`."""
    text, count = re.subn(pattern, new, file.read_text(), count=1)
    assert count == 1, pattern
    file.write_text(text)


def replaced(net: Network, name: str, **fields: Any) -> Network:
    """`net` with other fields in one node."""
    node: Any = net.nodes[name]
    return replace(net, nodes={**net.nodes, name: replace(node, **fields)})


@pytest.mark.parametrize("change", ["threshold", "weight", "decay"])
def test_one_unit_is_seen_and_named(change: str, tmp_path: Path) -> None:
    net, x = small_network()
    folder = write(tmp_path / "out", net, x)
    assert make(folder, "check")[1][-1] == "PASS"
    fc, out, number = net.nodes["fc"], net.nodes["out"], list(net.order).index("out")
    assert isinstance(fc, Linear)
    assert isinstance(out, Neuron)
    if change == "threshold":
        first, *others = out.threshold.tolist()
        edited(folder / "lehr_weights.h", rf"(threshold_{number}\[\d+\] = {{\s+){first},", rf"\g<1>{first + 1},")
        other = replaced(net, "out", threshold=[first + 1, *others])
    elif change == "weight":
        pattern = rf"(weight_{number - 1}\[\d+\] = {{\s+)0x(..)"
        byte = re.search(pattern, (folder / "lehr_weights.h").read_text())
        assert byte is not None
        edited(folder / "lehr_weights.h", pattern, rf"\g<1>0x{int(byte[2], 16) ^ 1:02x}")
        weight = fc.weight.copy()
        weight[0, 0] *= -1
        other = replaced(net, "fc", weight=weight)
    else:
        edited(folder / "lehr_model.c", r"v \* 7 / 8", "v * 6 / 8")
        other = replaced(net, "lif1", arithmetic=replace(out.arithmetic, decay_numerator=6))
    expected = simulate(net, x, trace=net.neurons).trace
    first_difference = compare(expected, simulate(other, x, trace=net.neurons).trace).first
    assert first_difference is not None, "the change changes nothing"
    at = np.ravel_multi_index(first_difference.neuron, net.shapes[first_difference.layer])
    status, lines = make(folder, "check")
    told = re.sub(r"neuron \(.*?\)", f"neuron {at}", str(first_difference))
    assert (status, lines[0], lines[1]) == (2, told, "FAIL")
    assert compare(expected, CRunner().run(folder, x)).first == first_difference


def test_golden_vectors_that_are_cut_off_fail(tmp_path: Path) -> None:
    folder = write(tmp_path / "out", *small_network())
    cut = folder / "golden" / "02_out.spikes.u8"
    cut.write_bytes(cut.read_bytes()[:-1])
    assert make(folder, "check")[1][:2] == ["FAIL", "02_out: its golden vectors end too early"]
    edited(folder / "golden" / "golden.json", r'"samples": 6', '"samples": 0')
    assert make(folder, "check")[1][:2] == ["FAIL", "golden.json: tells no samples or no steps"]


# -------------------------------------------------------------------- the code
def without_comments(source: bytes) -> str:
    return re.sub(r"/\*.*?\*/", "", source.decode(), flags=re.DOTALL)


@pytest.mark.parametrize("name", FIXED)
def test_the_model_needs_no_heap_no_floating_point_and_no_library(name: str) -> None:
    files = C().plan(FIXED[name]()[0], {}).files
    model = "".join(without_comments(files[n]) for n in ("lehr_model.h", "lehr_model.c", "lehr_weights.h"))
    assert not re.findall(r"\b(float|double|malloc|calloc|realloc|alloca|free|printf|goto)\b|<<", model)
    assert set(re.findall(r"#include (\S+)", model)) == {"<stddef.h>", "<stdint.h>", "<string.h>", '"lehr_model.h"', '"lehr_weights.h"'}


API = """
#include "lehr_model.h"
#include "lehr_weights.h"
#include <stdio.h>
static lehr_state s;
int main(void)
{
    static uint8_t input[LEHR_INPUT_SIZE];
    FILE *file = fopen("golden/input.u8", "rb");
    printf("%zu %zu\\n", sizeof s, (size_t)(TABLES));
    for (int n = 0; n < SAMPLES; n++) {
        lehr_reset(&s);
        for (int t = 0; t < LEHR_STEPS && fread(input, sizeof input, 1, file) == 1; t++)
            lehr_step(&s, input);
        for (int c = 0; c < LEHR_CLASSES; c++)
            printf("%u ", (unsigned)s.counts[c]);
        printf("%zu\\n", lehr_prediction(&s));
    }
    return 0;
}
"""


@pytest.mark.parametrize("name", ["small", "delayed", "knot", "knot by event"])
def test_counts_prediction_and_sizes(name: str, tmp_path: Path) -> None:
    net, x = FIXED[name]()
    folder, result = write(tmp_path / "out", net, x), simulate(net, x)
    tables = re.findall(r"(\w+)\[\d+\] =", (folder / "lehr_weights.h").read_text())
    api = API.replace("SAMPLES", str(len(x))).replace("TABLES", " + ".join(f"sizeof {t}" for t in tables))
    (folder / "api.c").write_text(api)
    subprocess.run(["cc", "-std=c99", "-o", "api", "api.c", "lehr_model.c"], cwd=folder, check=True)
    (state, flash), *samples = [[int(word) for word in line.split()] for line in subprocess.check_output("./api", cwd=folder).splitlines()]
    figures = {figure.name: figure.value for figure in C().estimate(net, result.rates).figures}
    assert (figures["flash"], figures["RAM"]) == (flash, state)
    assert samples == [[*counts, best] for counts, best in zip(result.counts.tolist(), result.prediction.tolist(), strict=True)]
    assert len({tuple(sample) for sample in samples}) > 1


def test_a_tie_goes_to_the_lowest_index(tmp_path: Path) -> None:
    nodes = {
        "fc": Linear(np.array([[-1, 1, 1], [1, 1, 1], [1, 1, 1]], np.int8)),
        "out": Neuron(np.ones(3, np.int32), np.zeros(3, np.int32), Arithmetic()),
    }
    net = Network(nodes, ((INPUT, "fc"), ("fc", "out"), ("out", OUTPUT)), Input((3,), "spikes"), steps=3)
    folder = write(tmp_path / "out", net, np.ones((1, 3), np.uint8))
    (folder / "api.c").write_text(API.replace("SAMPLES", "1").replace("TABLES", "0"))
    subprocess.run(["cc", "-std=c99", "-o", "api", "api.c", "lehr_model.c"], cwd=folder, check=True)
    assert subprocess.check_output("./api", cwd=folder).splitlines()[1] == b"2 3 3 1"
