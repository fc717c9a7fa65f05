"""Every way in which a `.nir` file can be wrong about its network is refused in one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
from nir_edits import DIGEST, Edit, add_node, cast, change, drop, file_to_edit, put, refused

from lehr.errors import FileRefused
from lehr.nirfile import from_nir

AGAIN = "export the network again with lehr"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return file_to_edit("small", tmp_path_factory.mktemp("nir"))


LIF, CONV = "nodes/lif1", "nodes/conv1"
EXACT = f"{LIF}/metadata/fixed_point"
NEEDS = "holds {}, but the rest of the file makes it {}; " + AGAIN
EDITS: dict[str, tuple[Edit, str]] = {
    # the fixed_point blocks
    "neuron without a block": (
        drop(EXACT),
        "lif1: has no fixed_point block, so its integer meaning is not stated; export it with lehr",
    ),
    "neuron without metadata": (
        drop(f"{LIF}/metadata"),
        "lif1: has no fixed_point block, so its integer meaning is not stated",
    ),
    "graph without a block": (
        drop("metadata"),
        "the graph has no fixed_point block, so its integer meaning is not stated",
    ),
    "weight without a block": (
        drop(f"{CONV}/metadata"),
        "conv1: has no fixed_point block, so its integer meaning is not stated",
    ),
    "block that is a number": (put(EXACT, 3), "lif1: has no fixed_point block"),
    "metadata that is a number": (
        put(f"{LIF}/metadata", 3),
        "the graph has a node 'lif1' that holds a value where NIR has fields; remove it",
    ),
    "schema of the future": (
        put(f"{EXACT}/schema", "fixed-point-lif/2"),
        "lif1: has a fixed_point block of schema 'fixed-point-lif/2', not 'fixed-point-lif/1'; "
        "read it with the lehr that wrote it",
    ),
    "schema that is an array": (
        put(f"{EXACT}/schema", [1, 2]),
        "lif1: has a fixed_point block of schema an array of shape (2,), not",
    ),
    "no schema": (
        drop(f"{EXACT}/schema"),
        "lif1: has a fixed_point block of schema None, not 'fixed-point-lif/1'",
    ),
    "unknown key": (
        put(f"{EXACT}/refractory", 2),
        "lif1: has 'refractory', which its fixed_point block does not have; remove it",
    ),
    "missing key": (
        drop(f"{EXACT}/rounding"),
        f"lif1: has no 'rounding', which its fixed_point block needs; {AGAIN}",
    ),
    "unknown rounding": (
        put(f"{EXACT}/rounding", "up"),
        "lif1: rounding is 'up'; use one of 'toward_zero', 'floor', 'nearest_even'",
    ),
    "rounding by list": (
        put(f"{EXACT}/rounding", ["floor", "floor"]),
        "lif1: rounding is ['floor', 'floor']; give one number or text",
    ),
    "decay as array": (
        put(f"{EXACT}/decay_numerator", [7, 7]),
        "lif1: decay_numerator is an array of shape (2,); give one number or text",
    ),
    "decay in floating point": (
        put(f"{EXACT}/decay_numerator", 7.0),
        "lif1: decay_numerator is 7.0, not an integer; give a whole number",
    ),
    "decay above one": (
        put(f"{EXACT}/decay_numerator", 9),
        "lif1: decay_numerator is 9; use 0 to 8",
    ),
    "state too wide": (put(f"{EXACT}/state_bits", 64), "lif1: state_bits is 64; use 8 to 32"),
    "bias of another length": (
        put(f"{EXACT}/bias", np.zeros(3, np.int32)),
        "lif1: Neuron has 4 thresholds and 3 biases; give one of each per channel",
    ),
    "bias in floating point": (
        cast(f"{EXACT}/bias", "f8"),
        "lif1: Neuron bias has dtype float64, not integers",
    ),
    "bias beyond 32 bits": (
        put(f"{EXACT}/bias", np.full(4, 2**40)),
        "lif1: Neuron bias holds 1099511627776, which int32 cannot",
    ),
    "input kind": (
        put("metadata/fixed_point/input", "floats"),
        "input: input kind is 'floats'; use 'u8' or 'spikes'",
    ),
    "no steps": (put("metadata/fixed_point/steps", 0), "steps is 0; use 1 to 1,000,000"),
    "readout": (
        put("metadata/fixed_point/readout", "membrane"),
        "readout is 'membrane'; use one of 'count_argmax_lowest', 'membrane_last",
    ),
    "digest of another network": (
        put("metadata/fixed_point/digest", "0" * 64),
        f"the graph {DIGEST}",
    ),
    "digest that is an array": (
        put("metadata/fixed_point/digest", np.zeros((2, 2))),
        f"the graph {DIGEST}",
    ),
    "one more step": (put("metadata/fixed_point/steps", 9), f"the graph {DIGEST}"),
    # weights
    "weight of 3": (
        change(f"{CONV}/weight", (0, 0, 0, 0), 3),
        "conv1: Conv2d weight holds 3, but weights are declared -1 or +1",
    ),
    "weight of 0": (
        change("nodes/fc/weight", (0, 0), 0),
        "fc: Linear weight holds 0, but weights are declared -1 or +1",
    ),
    "weight in floating point": (
        cast("nodes/fc/weight", "f4"),
        "fc: Linear weight has dtype float32, not integers",
    ),
    "weight with NaN": (
        put("nodes/fc/weight", np.full((5, 6), np.nan)),
        "fc: Linear weight has dtype float64, not integers",
    ),
    "weight of text": (
        put("nodes/fc/weight", [["a", "b"]]),
        "fc: Linear weight has dtype <U1, not integers",
    ),
    "weight without axes": (
        put("nodes/fc/weight", 1),
        "fc: Linear weight has shape (); give 2 axes",
    ),
    "weight of 2, declared ternary": (
        lambda f: (
            put(f"{CONV}/metadata/fixed_point/weights", "ternary")(f),
            change(f"{CONV}/weight", (0, 0, 0, 0), 2)(f),
            None,
        )[-1],
        "conv1: Conv2d weight holds 2, but weights are declared 'ternary', -1 to 1; quantize them "
        "first",
    ),
    "weight of -8, declared int4": (
        lambda f: (
            put("nodes/fc/metadata/fixed_point/weights", "int4")(f),
            change("nodes/fc/weight", (0, 0), -8)(f),
            None,
        )[-1],
        "fc: Linear weight holds -8, but weights are declared 'int4', -7 to 7; quantize them first",
    ),
    "weight of -128": (
        lambda f: (
            put("nodes/fc/metadata/fixed_point/weights", "int8")(f),
            change("nodes/fc/weight", (0, 0), -128)(f),
            None,
        )[-1],
        "fc: Linear weight holds -128, but weights are declared 'int8', -127 to 127; quantize them "
        "first",
    ),
    "kind of weight by list": (
        put(f"{CONV}/metadata/fixed_point/weights", ["int4", "int4"]),
        "conv1: weights is ['int4', 'int4']; give one number or text",
    ),
    "other kind of weight": (
        put(f"{CONV}/metadata/fixed_point/weights", "int9"),
        "conv1: weights are declared 'int9'; lehr reads 'binary', 'ternary' and 'int2' to 'int8'",
    ),
    "bias beside the weight": (
        change(f"{CONV}/bias", 1, 2),
        f"conv1: bias {NEEDS.format('2 at [1]', 0)}",
    ),
    "groups": (
        put(f"{CONV}/groups", 3),
        "conv1: Conv2d groups is 3; use a divisor of its 4 output channels",
    ),
    "no stride": (
        put(f"{CONV}/stride", [0, 0]),
        "conv1: Conv2d stride is (0, 0); give two integers of at least 1",
    ),
    "three strides": (
        put(f"{CONV}/stride", [1, 1, 1]),
        "conv1: Conv2d stride is (1, 1, 1); give two integers of at least 1",
    ),
    "stride of text": (put(f"{CONV}/stride", "one"), "conv1: stride is 'one'; give integers"),
    "padding by another name": (
        put(f"{CONV}/padding", "full"),
        "conv1: padding is 'full', which has no equal sides here; give it as two",
    ),
    "padding same, with strides": (
        lambda f: (put(f"{CONV}/padding", "same")(f), put(f"{CONV}/stride", [2, 2])(f), None)[-1],
        "conv1: padding is 'same', which has no equal sides here; give it as two integers",
    ),
    "input shape of a convolution": (
        put(f"{CONV}/input_shape", [10, 11]),
        f"conv1: input_shape {NEEDS.format('11 at [1]', 10)}",
    ),
    # neurons
    "threshold of 0": (
        put(f"{LIF}/v_threshold", np.zeros((4, 4, 4), np.int32)),
        "lif1: Neuron threshold holds 0; a threshold is an integer of at least 1",
    ),
    "negative threshold": (
        put(f"{LIF}/v_threshold", np.full((4, 4, 4), -7)),
        "lif1: Neuron threshold holds -7; a threshold is an integer",
    ),
    "threshold in floating point": (
        cast(f"{LIF}/v_threshold", "f4"),
        "lif1: Neuron threshold has dtype float32, not integers",
    ),
    "threshold without axes": (
        put(f"{LIF}/v_threshold", 5),
        "lif1: v_threshold is array(5); give one integer per neuron",
    ),
    "threshold per channel only": (
        put(f"{LIF}/v_threshold", np.full(4, 5, np.int32)),
        "lif1: v_threshold has shape (4,), but its input has (4, 4, 4); " + AGAIN,
    ),
    "threshold of one neuron": (change(f"{LIF}/v_threshold", (0, 1, 1), 77), f"the graph {DIGEST}"),
    "tau": (
        change(f"{LIF}/tau", (1, 2, 3), 8e-3 * (1 + 2e-9)),
        "lif1: tau holds 0.008000000016 at [1, 2, 3], but the rest of the file makes it 0.008",
    ),
    "tau that is NaN": (
        change(f"{LIF}/tau", (0, 0, 0), np.nan),
        f"lif1: tau {NEEDS.format('nan at [0, 0, 0]', 0.008)}",
    ),
    "tau that is infinite": (
        change(f"{LIF}/tau", (0, 0, 0), np.inf),
        f"lif1: tau {NEEDS.format('inf at [0, 0, 0]', 0.008)}",
    ),
    "tau of text": (
        put(f"{LIF}/tau", "8 ms"),
        "lif1: tau is <U4 of shape (), but the rest of the file makes it float64 of shape (4, 4, "
        "4)",
    ),
    "resistance": (
        change(f"{LIF}/r", (0, 0, 1), 33.0),
        f"lif1: r {NEEDS.format('33.0 at [0, 0, 1]', 32.0)}",
    ),
    "resting potential": (
        change(f"{LIF}/v_leak", (0, 1, 0), 0.5),
        "lif1: v_leak holds 0.5 at [0, 1, 0], but the rest of the file makes it",
    ),
    "reset potential": (
        change(f"{LIF}/v_reset", (3, 0, 0), 1),
        f"lif1: v_reset {NEEDS.format('1 at [3, 0, 0]', 0)}",
    ),
    "no reset potential": (
        drop(f"{LIF}/v_reset"),
        f"lif1: has no 'v_reset', which LIF needs; {AGAIN}",
    ),
    "decay without leak in a LIF": (
        put(f"{EXACT}/decay_numerator", 8),
        f"lif1: type is LIF, but the rest of the file makes it IF; {AGAIN}",
    ),
    "another field": (
        put(f"{LIF}/refractory", 1.0),
        "lif1: has 'refractory', which LIF does not have; remove it",
    ),
    # nodes and edges
    "unknown type": (
        put(f"{LIF}/type", "LIFBox"),
        "lif1: is of type LIFBox, which is not in an integer network; use Conv2d, Linear, ",
    ),
    "type that is a number": (
        put(f"{LIF}/type", 3),
        "lif1: is of type 3, which is not in an integer network; use ",
    ),
    "Affine": (
        add_node("a", type="Affine", weight=np.ones((2, 2)), bias=np.ones(2)),
        "a: is of type Affine, which is not in an integer",
    ),
    "Threshold": (
        put(f"{LIF}/type", "Threshold"),
        "lif1: is of type Threshold, which is not in an integer network; use Conv2d",
    ),
    "AvgPool2d": (
        put("nodes/pool1/type", "AvgPool2d"),
        "pool1: is of type AvgPool2d, which is not in an integer network; use Conv2d",
    ),
    "graph in the graph": (
        add_node("sub", type="NIRGraph"),
        "sub: is a graph inside the graph; put its nodes into the outer graph",
    ),
    "second input": (
        add_node("in2", type="Input", shape=[3]),
        "in2: is of type Input, which the node 'input' alone may be; rename or",
    ),
    "second output": (
        add_node("o", type="Output", shape=[3]),
        "o: is of type Output, which the node 'output' alone may be; rename or",
    ),
    "input by another name": (
        lambda f: f.move("node/nodes/input", "node/nodes/in"),
        "the graph has no node 'input' of type Input; call its",
    ),
    "output of another type": (
        put("nodes/output/type", "Input"),
        "the graph has no node 'output' of type Output; call its output so",
    ),
    "input with a gain": (
        put("nodes/input/gain", 2.0),
        "the graph has 'gain', which node 'input' does not have; remove it",
    ),
    "input shape of text": (
        put("nodes/input/shape", "big"),
        "input: shape is 'big'; give integers",
    ),
    "input shape of nothing": (
        put("nodes/input/shape", np.zeros(0, int)),
        "input: input shape is (); give at least one axis",
    ),
    "input shape without axes": (
        put("nodes/input/shape", 10),
        "conv1: Conv2d takes (1, height, width) but gets (10,); check the layer",
    ),
    "output shape": (
        put("nodes/output/shape", [6]),
        f"output: shape {NEEDS.format('6 at [0]', 5)}",
    ),
    "flatten of some axes": (
        put("nodes/fc_flat/start_dim", 1),
        f"fc_flat: start_dim {NEEDS.format('1 at []', 0)}",
    ),
    "pooling with a block": (
        put("nodes/pool1/metadata/fixed_point/schema", "x"),
        "pool1: has a fixed_point block, which a SumPool2d does not",
    ),
    "node that is a number": (
        put("nodes/x", 3),
        "the graph has a node 'x' that holds a value where NIR has fields; remove it",
    ),
    "nodes that are a number": (
        put("nodes", 3),
        "the graph has nodes that are no group; give each node a name and fields",
    ),
    "no nodes": (drop("nodes"), f"the graph has no 'nodes', which a graph needs; {AGAIN}"),
    "no edges": (
        put("edges", []),
        "the graph has an edge that is no pair of node names; give each edge its two ends",
    ),
    "edges of numbers": (
        put("edges", [[1, 2]]),
        "the graph has an edge that is no pair of node names",
    ),
    "edges of three": (
        put("edges", [["input", "conv1", "fc"]]),
        "the graph has an edge that is no pair of node names",
    ),
    "edges of letters": (
        put("edges", ["ab", "cd"]),
        "the graph has an edge that is no pair of node names",
    ),
    "edge to nowhere": (
        change("edges", (0, 1), "nowhere"),
        "names 'nowhere', which is no node; add the node or remove the edge",
    ),
    "edge twice": (
        lambda f: put("edges", [*f["node/edges"][()].tolist(), [b"input", b"conv1"]])(f),
        "edge input -> conv1 is there twice; remove one",
    ),
    "node name": (
        lambda f: f.move("node/nodes/fc", "node/nodes/1"),
        "node name '1' is not usable; use letters, digits",
    ),
    "graph of another type": (
        put("type", "LIF"),
        "holds no NIR graph; give a file that lehr or another NIR tool wrote",
    ),
    "no graph": (
        lambda f: f.move("node", "other"),
        "holds no NIR graph; give a file that lehr or another NIR tool wrote",
    ),
}


@pytest.mark.few(4)
@pytest.mark.parametrize("case", EDITS)
def test_a_contradiction_is_refused(case: str, small: Path, tmp_path: Path) -> None:
    edit, message = EDITS[case]
    refused(small, edit, message, tmp_path)


def test_shapes_are_compared_before_any_memory_is_asked_for(small: Path, tmp_path: Path) -> None:
    """An input of 10**8 pixels before a few neurons: laid out in full, each of their fields would be nearly a gigabyte."""

    def edit(file: Any) -> None:
        put("nodes/input/shape", [1, 10**4, 10**4])(file)
        put("edges", [["input", "lif1"], ["lif1", "output"]])(file)
        for name in set(file["node/nodes"]) - {"input", "lif1", "output"}:
            drop(f"nodes/{name}")(file)
        for name in ("tau", "r", "v_leak", "v_threshold", "v_reset"):
            put(f"nodes/lif1/{name}", file[f"node/nodes/lif1/{name}"][:1])(file)
        put(f"{EXACT}/bias", file[f"node/{EXACT}/bias"][:1])(file)

    refused(
        small,
        edit,
        "lif1: v_threshold has shape (1, 4, 4), but its input has (1, 10000, 10000); ",
        tmp_path,
    )


def test_a_graph_in_memory_meets_the_same_refusals() -> None:
    weight = nir.Linear(
        weight=np.ones((2, 2), np.int8), metadata={"fixed_point": {"weights": "ternary"}}
    )
    ends = {
        "input": nir.Input({"input": np.array([2])}),
        "output": nir.Output({"output": np.array([2])}),
    }
    with pytest.raises(
        FileRefused,
        match=r"^the graph has no fixed_point block, so its integer meaning is not stated",
    ):
        from_nir(nir.NIRGraph({**ends, "fc": weight}, [("input", "fc"), ("fc", "output")]))
