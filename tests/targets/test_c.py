"""The C code computes what the reference computes, and shows it where it does not.

Every spike and membrane is compared.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from budgets import budget
from c_code import make, require_equal, write
from hard_networks import HARD, flows
from hypothesis import assume, given
from hypothesis import strategies as st
from states import MEMBRANE_READOUTS, grown_networks
from strategies import inputs, networks, small_network

from lehr.arithmetic import Arithmetic
from lehr.network import INPUT, OUTPUT, Input, Linear, Network, Neuron
from lehr.simulate import compare, simulate
from lehr.targets.c import C
from lehr.targets.c.runner import CRunner

MISSING = CRunner().missing()
pytestmark = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))
LONG = ("8 bits by event", "32 bits")
"""Networks side by side that take a compiler seconds; "8 bits" is another."""


@pytest.mark.few(1)
# -------------------------------------------------------------------- the same numbers
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in LONG else ()) for name in HARD]
)
def test_equals_the_reference(name: str, tmp_path: Path) -> None:
    net, x = HARD[name]()
    if "bits" in name:
        assert min(simulate(net, x).saturations.values()) > 0, "a layer never leaves its width"
    require_equal(tmp_path / "out", net, x)


@budget(2, 20)
@given(st.data())
def test_random_networks(data: st.DataObject) -> None:
    net = data.draw(networks() | grown_networks())
    x = data.draw(inputs(net))
    assume(flows(net, simulate(net, x, trace=net.neurons)))
    with tempfile.TemporaryDirectory() as folder:
        require_equal(Path(folder) / "out", net, x)


@budget(2, 30)
@given(st.data())
def test_random_networks_by_event(data: st.DataObject) -> None:
    net = data.draw(networks(update="event"))
    x = data.draw(inputs(net))
    assume(flows(net, simulate(net, x, trace=net.neurons)))
    with tempfile.TemporaryDirectory() as folder:
        require_equal(Path(folder) / "out", net, x)


@pytest.mark.slow
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_replays_its_golden_vectors_without_warnings_and_undefined_behaviour(
    compiler: str, tmp_path: Path
) -> None:
    sanitize(compiler, ["small"], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_every_hard_network_without_warnings_and_undefined_behaviour(
    compiler: str, tmp_path: Path
) -> None:
    # The layers side by side take longest to compile, and one compiler is enough to see where they
    # overflow.
    sanitize(
        compiler,
        [name for name in HARD if name != "small" and (compiler == "gcc" or "bits" not in name)],
        tmp_path,
    )


def sanitize(compiler: str, names: list[str], tmp_path: Path) -> None:
    """Replay golden vectors under the sanitizers of a compiler."""
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not on this machine")
    (tmp_path / "empty.c").write_text("int main(void) { return 0; }\n")
    probe: list[str | Path] = [
        compiler,
        "-fsanitize=address,undefined",
        tmp_path / "empty.c",
        "-o",
        tmp_path / "empty",
    ]
    if subprocess.run(probe, capture_output=True).returncode:
        pytest.skip(f"{compiler} comes without its sanitizers (Debian: libclang-rt-VERSION-dev)")
    for name in names:
        folder = write(tmp_path / name.replace(" ", "_"), *HARD[name]())
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


@pytest.mark.slow
@pytest.mark.parametrize("change", ["threshold", "weight", "decay"])
def test_one_unit_is_seen_and_named(change: str, tmp_path: Path) -> None:
    net, x = small_network()
    folder = write(tmp_path / "out", net, x)
    assert make(folder, "check")[1][-1] == "PASS"
    fc, out = net.nodes["fc"], net.nodes["out"]
    assert isinstance(fc, Linear)
    assert isinstance(out, Neuron)
    if change == "threshold":
        first, *others = out.threshold.tolist()
        edited(
            folder / "lehr_weights.h",
            rf"(threshold_out\[\d+\] = {{\s+){first},",
            rf"\g<1>{first + 1},",
        )
        other = replaced(net, "out", threshold=[first + 1, *others])
    elif change == "weight":
        pattern = r"(weight_fc\[\d+\] = {\s+)0x(..)"
        byte = re.search(pattern, (folder / "lehr_weights.h").read_text())
        assert byte is not None
        edited(folder / "lehr_weights.h", pattern, rf"\g<1>0x{int(byte[2], 16) ^ 1:02x}")
        weight = fc.weight.copy()
        weight[0, 0] *= -1
        other = replaced(net, "fc", weight=weight)
    else:
        edited(folder / "lehr_model.c", r"v \* 7 / 8", "v * 6 / 8")
        other = replaced(net, "lif1", arithmetic=replace(out.fields, decay_numerator=6))
    expected = simulate(net, x, trace=net.neurons).trace
    first_difference = compare(expected, simulate(other, x, trace=net.neurons).trace).first
    assert first_difference is not None, "the change changes nothing"
    at = np.ravel_multi_index(first_difference.neuron, net.shapes[first_difference.layer])
    status, lines = make(folder, "check")
    sentence = re.sub(r"neuron \(.*?\)", f"neuron {at}", str(first_difference))
    assert (status, lines[0], lines[1]) == (2, sentence, "FAIL")
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


@pytest.mark.few(1)
@pytest.mark.parametrize("name", HARD)
def test_the_model_needs_no_heap_no_floating_point_and_no_library(name: str) -> None:
    files = C().plan(HARD[name]()[0], {}).files
    model = "".join(
        without_comments(files[n]) for n in ("lehr_model.h", "lehr_model.c", "lehr_weights.h")
    )
    assert not re.findall(
        r"\b(float|double|malloc|calloc|realloc|alloca|free|printf|goto)\b|(?<!\)1 )<<", model
    )
    assert set(re.findall(r"#include (\S+)", model)) == {
        "<stddef.h>",
        "<stdint.h>",
        '"lehr_model.h"',
        '"lehr_weights.h"',
    }


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
        lehr_init(&s);
        for (int t = 0; t < LEHR_STEPS && fread(input, sizeof input, 1, file) == 1; t++)
            lehr_step(&s, input);
        for (int c = 0; c < LEHR_CLASSES; c++)
            printf("%lld ", (long long)s.SCORES[c]);
        printf("%zu\\n", lehr_prediction(&s));
    }
    return 0;
}
"""


@pytest.mark.few(3)
@pytest.mark.parametrize(
    "name", ["small", "delayed", "knot", "knot by event", "two states", *MEMBRANE_READOUTS]
)
def test_counts_prediction_and_sizes(name: str, tmp_path: Path) -> None:
    net, x = HARD[name]()
    folder, result = write(tmp_path / "out", net, x), simulate(net, x)
    tables = re.findall(r"(\w+)\[\d+\] =", (folder / "lehr_weights.h").read_text())
    scores = "counts" if net.readout == "count_argmax_lowest" else "scores"
    api = (
        API.replace("SAMPLES", str(len(x)))
        .replace("SCORES", scores)
        .replace("TABLES", " + ".join(f"sizeof {t}" for t in tables))
    )
    (folder / "api.c").write_text(api)
    subprocess.run(["cc", "-std=c99", "-o", "api", "api.c", "lehr_model.c"], cwd=folder, check=True)
    (state, flash), *samples = [
        [int(word) for word in line.split()]
        for line in subprocess.check_output("./api", cwd=folder).splitlines()
    ]
    figures = {figure.name: figure.value for figure in C().estimate(net, result.rates).figures}
    assert (figures["flash"], figures["RAM"]) == (flash, state)
    assert samples == [
        [*counts, best]
        for counts, best in zip(result.scores.tolist(), result.prediction.tolist(), strict=True)
    ]
    assert len({tuple(sample) for sample in samples}) > 1


def test_a_program_in_cplusplus_links_the_library(tmp_path: Path) -> None:
    if shutil.which("c++") is None:
        pytest.skip("c++ is not on this machine")
    net, x = HARD["small"]()
    folder, result = write(tmp_path / "out", net, x), simulate(net, x)
    api = (
        API.replace("SAMPLES", str(len(x)))
        .replace("SCORES", "counts")
        .replace("TABLES", "0")
        .replace('#include "lehr_weights.h"\n', "")
    )
    (folder / "api.cpp").write_text(api)
    subprocess.run(["cc", "-std=c99", "-c", "lehr_model.c"], cwd=folder, check=True)
    strict = ["-std=c++98", "-Wall", "-Wextra", "-Werror"]
    subprocess.run(["c++", *strict, "-o", "api", "api.cpp", "lehr_model.o"], cwd=folder, check=True)
    predictions = [
        int(line.split()[-1])
        for line in subprocess.check_output("./api", cwd=folder).splitlines()[1:]
    ]
    assert predictions == result.prediction.tolist()


def test_a_tie_goes_to_the_lowest_index(tmp_path: Path) -> None:
    nodes = {
        "fc": Linear(np.array([[-1, 1, 1], [1, 1, 1], [1, 1, 1]], np.int8)),
        "out": Neuron(np.ones(3, np.int32), np.zeros(3, np.int32), Arithmetic()),
    }
    net = Network(
        nodes, ((INPUT, "fc"), ("fc", "out"), ("out", OUTPUT)), Input((3,), "spikes"), steps=3
    )
    folder = write(tmp_path / "out", net, np.ones((1, 3), np.uint8))
    (folder / "api.c").write_text(
        API.replace("SAMPLES", "1").replace("SCORES", "counts").replace("TABLES", "0")
    )
    subprocess.run(["cc", "-std=c99", "-o", "api", "api.c", "lehr_model.c"], cwd=folder, check=True)
    assert subprocess.check_output("./api", cwd=folder).splitlines()[1] == b"2 3 3 1"
