"""Proofs of the weights of an fpga artefact, and of the way from an event to the sums of neurons."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("z3")
pytest.importorskip("bitwuzla")

from hard_networks import HARD
from max_networks import MAXIMA

import lehr as api
from lehr.arithmetic import Arithmetic
from lehr.network import INPUT, Conv2d, Input, Linear, Network, Neuron, SumPool2d
from lehr.nodes import Delay, Flatten, MaxPool2d, Scale
from lehr.prove.obligations import Obligation
from lehr.prove.subject import read_subject
from lehr.prove.verilog.engines import engine_of
from lehr.prove.verilog.program import Programs
from lehr.prove.verilog.questions import Questions
from lehr.prove.verilog.sums import adders, summing, synapses
from lehr.prove.verilog.sums.reaching import Synapses, reaching, sources_of
from lehr.targets.verilog import missing

pytestmark = pytest.mark.skipif(missing("yosys") is not None, reason="Yosys is not here")
SECONDS = 600.0
ARITHMETIC = Arithmetic(decay_numerator=7, decay_shift=3)


def pooled(*, maximum: bool = False) -> Network:
    """Pixels through a kernel and sums or maxima of two by two, a layer, and one that is dense."""
    rng = np.random.default_rng(3)

    def neurons(count: int) -> Neuron:
        thresholds = np.arange(9, 9 + count, dtype=np.int32)
        return Neuron(thresholds, np.zeros(count, np.int32), ARITHMETIC)

    two = ((2, 2), (2, 2))
    nodes = {
        "conv": Conv2d(
            rng.integers(-7, 8, (3, 1, 3, 3)).astype(np.int8), (1, 1), (1, 1), kind="int8"
        ),
        "pool": MaxPool2d(*two) if maximum else SumPool2d(*two),
        "lif1": neurons(3),
        "flatten": Flatten(),
        "fc": Linear(rng.choice(np.array([-1, 0, 1], np.int8), (5, 27)), "ternary"),
        "lif2": neurons(5),
    }
    return Network(nodes, tuple(pairwise((INPUT, *nodes, "output"))), Input((1, 6, 6), "u8"), 3)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a network that was built for fpga."""
    folder = tmp_path_factory.mktemp("sums") / "out"
    api.build(pooled(), "fpga", folder, np.zeros((1, 1, 6, 6), np.uint8))
    return folder


def states(folder: Path) -> list[Obligation]:
    """Return what is not proven of an artefact's sums."""
    subject = read_subject(folder)
    every = list(summing.prove(subject, SECONDS))
    assert {"lehr_scan", "lehr_events", "lehr_sums", "lehr_lane", "lehr_control"} <= {
        re.sub(r"(_\d+)?\.v.*", "", each.name) for each in every
    }
    return [each for each in every if (each.state, bool(each.fault)) != ("proven", True)]


def test_every_weight_is_followed_and_one_other_is_named(built: Path) -> None:
    subject = read_subject(built)
    engine = engine_of(subject, "lif2")
    first, second = synapses.prove(subject, engine, SECONDS)
    assert (first.state, second.state) == ("proven", "proven"), (first, second)
    weight = subject.net.nodes["fc"].weight  # type: ignore[attr-defined]
    assert f"{np.count_nonzero(weight)} weights" in second.claim
    images = synapses.read_images(engine)
    layer = synapses.Layer(subject, engine, "lif2", Programs(()))
    circuit, asked = synapses.program_of(engine, SECONDS), Questions(SECONDS)
    assert layer.rewired(images, circuit, asked) is None
    ((memory, word),) = layer.visited
    changed = {**images, memory: [*images[memory]]}
    changed[memory][word] ^= 1 << 3  # of the first value's weights, those of the first lanes
    found = layer.rewired(changed, circuit, asked)
    assert found is not None
    neuron = int(found["neuron"])
    value = np.ravel_multi_index([int(each) for each in found["event"].split(",")], (3, 3, 3))
    assert (found["source"], found["weight"]) == ("lif1", weight[neuron, value])
    assert found["but it is"] != found["weight"]
    assert found["differing"] == 1


def test_what_an_event_does_is_that_of_torch() -> None:
    """Of convolution, pooling, factors, a delay by channel and maxima, event by event."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    kernel = rng.integers(-9, 10, (4, 1, 3, 2)).astype(np.int8)
    window = {"kernel_size": (2, 3), "stride": (2, 1), "padding": (1, 1)}
    nodes = {
        "conv": Conv2d(kernel, (1, 2), (2, 0), (2, 1), groups=2, kind="int8"),
        "delay": Delay(np.array([1, 3, 1, 2], np.int32)),
        "max": MaxPool2d((2, 3), (2, 1), (1, 1)),
        "scale": Scale(np.array([2, 0, 1, 3], np.int32)),
        "lif": Neuron(np.full(4, 9, np.int32), np.zeros(4, np.int32), ARITHMETIC),
    }
    net = Network(nodes, tuple(pairwise((INPUT, *nodes, "output"))), Input((2, 6, 7), "u8"), 3)
    assert sources_of(net, "lif") == (INPUT,)
    found = reaching(net, "lif", INPUT)
    (places,) = found.maxima
    assert not found.sums
    shape = net.shapes["lif"]
    x = torch.tensor(rng.integers(-5, 6, (4, 2, 6, 7)), dtype=torch.float64)  # by steps ago
    sums = torch.nn.functional.conv2d(
        x, torch.tensor(kernel, dtype=torch.float64), None, (1, 2), (2, 0), (2, 1), 2
    )
    late = torch.stack([sums[lag, c] for c, lag in enumerate((1, 3, 1, 2))])
    wanted = torch.nn.functional.max_pool2d(late, **window) * torch.tensor([2, 0, 1, 3]).view(
        4, 1, 1
    )
    every = [
        np.where(inside, _applied(late_ones, x.numpy(), shape), -(10**6))
        for late_ones, inside in places
    ]
    got = np.max(every, axis=0).reshape(shape) * (np.array([2, 0, 1, 3]) > 0).reshape(4, 1, 1)
    assert (got == wanted.numpy()).all()
    assert len(np.unique(got)) > 10


def _applied(late: Mapping[int, Synapses], x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return the sums of the neurons for values sent so many steps ago."""
    total = np.zeros(int(np.prod(shape)))
    for lag, each in late.items():
        np.add.at(total, each.neurons, each.weights * x[lag].ravel()[each.events])
    return total


EDITS: dict[str, tuple[str, str]] = {
    "lehr_scan.v": (r"column_at \+", "column_at -"),
    "lehr_events.v": (r"\+ element", "- element"),
    "lehr_sums.v": (r"\.next\(kept\[lane\+1\]", ".next(kept[lane]"),
    "lehr_core.v": (r"first_column \+", "first_column -"),
    "lehr_control.v": (r"x == last_x \? ", "x != last_x ? "),
    "lehr_maps.v": (r"in_x\[2:1\]", "in_x[1:0]"),
    "lehr_neurons.v": (r"sum_1 <= sum;", "sum_1 <= sum + 1'd1;"),
    "lehr_rom.v": (r"q <= words\[address\]", "q <= ~words[address]"),
    "rows.mem": (r"\A\S", "f"),
    "columns.mem": (r"\A(\S+\n)(\S+\n)", r"\2\1"),
    "chunks.mem": (r"\A(\S+\n)(\S+\n)", r"\2\1"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", list(EDITS))
def test_what_is_edited_on_the_way_is_refuted(name: str, tmp_path: Path) -> None:
    api.build(pooled(), "fpga", tmp_path / "out", np.zeros((1, 1, 6, 6), np.uint8))
    old, new = EDITS[name]
    file = tmp_path / "out" / name
    text, count = re.subn(old, new, file.read_text(), count=1)
    assert count == 1
    file.write_text(text)
    left = states(tmp_path / "out")
    assert "refuted" in {each.state for each in left}, left
    assert all(each.counterexample for each in left if each.state == "refuted")


@pytest.mark.slow
def test_the_greatest_of_sums_is_proven_and_the_least_refuted(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    api.build(pooled(maximum=True), "fpga", folder, np.zeros((1, 1, 6, 6), np.uint8))
    assert not states(folder)
    file = folder / "lehr_lane.v"
    file.write_text(file.read_text().replace("$signed(acc) > $signed(best)", "acc > best"))
    subject = read_subject(folder)
    lanes = list(adders.prove(subject, engine_of(subject, "lif1"), SECONDS))
    assert {each.state for each in lanes} == {"refuted"}
    assert "acc" in lanes[0].counterexample


NETWORKS: dict[str, Callable[[], tuple[Network, np.ndarray]]] = {
    name: (MAXIMA | HARD)[name]
    for name in ("maxima of maxima", "two terms", "recurrent", "delayed", "all kinds of weights")
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "engines"),
    [*product(NETWORKS, ["shared"]), *product(sorted(NETWORKS.keys() - {"recurrent"}), ["layers"])],
)
def test_tangled_networks_are_proven(name: str, engines: str, tmp_path: Path) -> None:
    """Those in which no layer hears a later one also with an engine for each layer."""
    net, x = NETWORKS[name]()
    api.build(net, "fpga", tmp_path / "out", x[:1], options={"lanes": "2", "engines": engines})
    assert not states(tmp_path / "out")


@pytest.mark.slow
def test_trained_weights_are_proven(tmp_path: Path) -> None:
    net = api.read(api.zoo.get("digits", tmp_path / "digits") / "model.nir")
    api.build(net, "fpga", tmp_path / "out")
    assert not states(tmp_path / "out")
