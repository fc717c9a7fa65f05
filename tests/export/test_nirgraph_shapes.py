"""Numbers of a layer, of a channel, or with a batch's axis: laid out, said, or refused.

The right spikes come from loops in double precision written here, and from snnTorch stepped in
double precision.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import nir
import numpy as np
import numpy.typing as npt
import pytest
from nir_graphs import DT, Float, chain, graph

from lehr.export.nirgraph import Quantized, Semantics, from_nir, quantize
from lehr.simulate import simulate

STEP = Semantics(dt=DT, integrate="step")
Write = Callable[[Float], Float]


def whole(rng: np.random.Generator, *shape: int) -> Float:
    return rng.integers(-2, 4, shape).astype(np.float64)


def written(node: Any, write: Write) -> Any:
    """Write the numbers of a node otherwise."""
    for name in ("tau", "tau_syn", "tau_mem", "r", "v_leak", "v_reset", "v_threshold", "w_in"):
        if hasattr(node, name):
            setattr(node, name, write(np.asarray(getattr(node, name), np.float64)))
    return node


def dense(write: Write, shape: tuple[int, ...] = (6,), bias: Write = lambda b: b) -> nir.NIRGraph:
    """Build Affine, LIF, Linear, CubaLIF.

    Their decays and weights are such that nothing needs rounding.
    """
    rng, full = np.random.default_rng(3), np.full
    lif = nir.LIF(
        tau=full(5, 2 * DT),
        r=full(5, 2.0),
        v_leak=full(5, 1.0),
        v_threshold=full(5, 2.5),
        v_reset=full(5, 0.0),
    )
    cuba = nir.CubaLIF(
        tau_syn=full(3, 2 * DT),
        tau_mem=full(3, 2 * DT),
        r=full(3, 2.0),
        v_leak=full(3, 0.0),
        v_threshold=full(3, 1.5),
        w_in=full(3, 2.0),
    )
    nodes = {"0": nir.Affine(whole(rng, 5, 6), bias(np.ones(5))), "1": written(lif, write)}
    return chain(
        {**nodes, "2": nir.Linear(whole(rng, 3, 5)), "3": written(cuba, write)}, shape, (3,)
    )


def run_dense(x: npt.NDArray[np.uint8]) -> tuple[Float, Float]:
    """Compute the spikes of `dense`, whatever way it is written.

    This is forward Euler in double precision, with a reset to 0.
    """
    rng = np.random.default_rng(3)
    first, second = whole(rng, 5, 6), whole(rng, 3, 5)
    v, i, u = np.zeros((len(x), 5)), np.zeros((len(x), 3)), np.zeros((len(x), 3))
    hidden, out = [], []
    for t in range(x.shape[1]):
        v = v + 0.5 * (1.0 - v + 2.0 * (x[:, t] @ first.T + 1))
        s = (v > 2.5).astype(np.float64)
        v = v * (1 - s)
        i = i + 0.5 * (2.0 * (s @ second.T) - i)
        u = u + 0.5 * (0.0 - u + 2.0 * i)
        z = (u > 1.5).astype(np.float64)
        u = u * (1 - z)
        hidden.append(s)
        out.append(z)
    return np.stack(hidden, 1), np.stack(out, 1)


def quantized_exactly(
    nir_graph: nir.NIRGraph, x: npt.NDArray[np.uint8], semantics: Semantics = STEP
) -> Quantized:
    quantized = quantize(from_nir(nir_graph), x, semantics)
    assert quantized.exact, quantized.notes
    return quantized


def require_spikes(
    quantized: Quantized, x: npt.NDArray[np.uint8], expected: dict[str, Float]
) -> None:
    """Assert that the network spikes as expected, in every layer now and then.

    With the weights of one neuron changed by one level it does not.
    """
    name, first = next(iter(quantized.network.weighted.items()))
    weight = first.weight.copy()
    weight[0] += np.where(weight[0] > weight.min(), -1, 1).astype(np.int8)
    changed = replace(
        quantized.network, nodes={**quantized.network.nodes, name: replace(first, weight=weight)}
    )
    for net, same in ((quantized.network, True), (changed, False)):
        result = simulate(net, x, trace=list(expected))
        assert (
            all(
                np.array_equal(result.trace.spikes[name], spikes)
                for name, spikes in expected.items()
            )
            is same
        )
    for name, spikes in expected.items():
        assert 0.02 < spikes.mean() < 0.98, name


SCALARS: dict[str, tuple[Write, str]] = {
    "no axis": (lambda v: np.array(v.flat[0]), "one number, for each of the 5 neurons"),
    "one axis of 1": (lambda v: v.ravel()[:1], "one number, for each of the 5 neurons"),
    "three axes of 1": (
        lambda v: v.ravel()[:1].reshape(1, 1, 1),
        "one number, for each of the 5 neurons",
    ),
    "a batch's axis": (
        lambda v: v[None],
        "shape [1, 5]: its leading axis of 1 is the batch's, and is left out",
    ),
    "as float32": (lambda v: np.float32(v.flat[0]), "one number, for each of the 5 neurons"),  # type: ignore[dict-item,return-value]
}


@pytest.mark.parametrize("written_as", SCALARS)
def test_numbers_of_a_layer_however_they_are_written(written_as: str) -> None:
    x = (np.random.default_rng(4).random((20, 6, 6)) < 0.4).astype(np.uint8)
    write, note = SCALARS[written_as]
    quantized = quantized_exactly(dense(write), x)
    assert f"layer1: tau, r, v_leak, threshold, v_reset: {note}" in quantized.notes
    hidden, out = run_dense(x)
    require_spikes(quantized, x, {"layer1": hidden, "layer3": out})


def test_a_batchs_axis_of_the_input_goes_where_with_it_nothing_fits() -> None:
    x = (np.random.default_rng(4).random((20, 6, 6)) < 0.4).astype(np.uint8)
    quantized = quantized_exactly(dense(lambda v: v[None], (1, 6), bias=lambda b: b[None]), x)
    assert quantized.graph.shape == (6,)
    assert (
        "input: shape is [1, 6]: its leading axis of 1 is the batch's, and is left out"
        in quantized.notes
    )
    assert (
        "0: bias has shape [1, 5]: its leading axis of 1 is the batch's, and is left out"
        in quantized.notes
    )
    hidden, out = run_dense(x)
    require_spikes(quantized, x, {"layer1": hidden, "layer3": out})


def test_a_bias_of_one_number() -> None:
    x = (np.random.default_rng(4).random((20, 6, 6)) < 0.4).astype(np.uint8)
    quantized = quantized_exactly(dense(lambda v: v, bias=lambda b: np.array(b[0])), x)
    assert "0: bias is one number, for each of the 5 outputs" in quantized.notes
    require_spikes(quantized, x, dict(zip(("layer1", "layer3"), run_dense(x), strict=True)))


THRESHOLDS = np.array([2.0, 3.0, 5.0])


def maps(threshold: Float, batch: tuple[int, ...] = ()) -> nir.NIRGraph:
    """Build Conv2d, IF, SumPool2d, Flatten, Linear, IF of one number.

    A batch's axis is wherever shapes are written.
    """
    rng = np.random.default_rng(5)
    conv: Any = nir.Conv2d(None, whole(rng, 3, 2, 3, 3), 1, 1, 1, 1, np.zeros(3))
    conv.input_shape = (*batch, 2, 6, 6) if batch else (6, 6)
    two = np.array([2, 2])
    nodes = {
        "c": conv,
        "n": nir.IF(r=np.ones_like(threshold), v_threshold=threshold),
        "p": nir.SumPool2d(two, two, np.zeros(2, int)),
        "f": nir.Flatten({"input": np.array([*batch, 3, 3, 3])}, len(batch), -1),
        "l": nir.Linear(whole(rng, 4, 27)[None] if batch else whole(rng, 4, 27)),
        "m": nir.IF(r=np.array(1.0), v_threshold=np.array(6.0)),
    }
    return chain(nodes, (*batch, 2, 6, 6), (*batch, 4))


def run_maps(x: npt.NDArray[np.uint8]) -> dict[str, Float]:
    """Compute the spikes of `maps` in double precision, with torch's convolution.

    A spike takes the threshold off at once.
    """
    import torch
    from torch.nn import functional

    rng = np.random.default_rng(5)
    conv, linear = torch.from_numpy(whole(rng, 3, 2, 3, 3)), whole(rng, 4, 27)
    v, u = np.zeros((len(x), 3, 6, 6)), np.zeros((len(x), 4))
    hidden, out = [], []
    for t in range(x.shape[1]):
        v = v + functional.conv2d(torch.from_numpy(x[:, t]).double(), conv, padding=1).numpy()
        s = (v > THRESHOLDS.reshape(3, 1, 1)).astype(np.float64)
        v = v - s * THRESHOLDS.reshape(3, 1, 1)
        pooled = s.reshape(len(x), 3, 3, 2, 3, 2).sum(axis=(3, 5))
        u = u + pooled.reshape(len(x), 27) @ linear.T
        z = (u > 6.0).astype(np.float64)
        u = u - z * 6.0
        hidden.append(s)
        out.append(z)
    return {"n": np.stack(hidden, 1), "m": np.stack(out, 1)}


ALIKE = "for the layer's [3, 6, 6] neurons alike along its axes of 1"
PER_CHANNEL: dict[str, tuple[tuple[int, ...], tuple[int, ...], str]] = {
    "per neuron": ((3, 6, 6), (), ""),
    "per channel": ((3, 1, 1), (), f"numbers of shape [3, 1, 1], {ALIKE}"),
    "per channel, with a batch's axis": (
        (1, 3, 1, 1),
        (),
        f"numbers of shape [1, 3, 1, 1], {ALIKE}",
    ),
    "a batch's axis everywhere": (
        (1, 3, 6, 6),
        (1,),
        "shape [1, 3, 6, 6]: its leading axis of 1 is the batch's, and is left out",
    ),
}


@pytest.mark.parametrize("written_as", PER_CHANNEL)
def test_numbers_of_a_feature_map_however_they_are_written(written_as: str) -> None:
    shape, batch, note = PER_CHANNEL[written_as]
    x = (np.random.default_rng(6).random((3, 10, 2, 6, 6)) < 0.3).astype(np.uint8)
    threshold = np.broadcast_to(THRESHOLDS.reshape(3, 1, 1), shape).copy()
    quantized = quantized_exactly(
        maps(threshold, batch), x, Semantics(integrate="step", reset="subtract")
    )
    assert not note or f"n: r, threshold, v_reset: {note}" in quantized.notes
    left_out = [note for note in quantized.notes if "leading axis of 1 is the batch's" in note]
    assert len(left_out) == (6 if batch else 0)
    for start in (
        (
            "input: shape is",
            "output: shape is",
            "l: weight has shape",
            "c: input_shape is",
            "f: input_type is",
            "n: r, ",
        )
        if batch
        else ()
    ):
        assert any(note.startswith(start) for note in left_out), start
    require_spikes(quantized, x, run_maps(x))


@pytest.mark.filterwarnings("ignore:nirtorch.extract_nir_graph:DeprecationWarning")
def test_snntorchs_own_export_of_numbers_without_axes(monkeypatch: pytest.MonkeyPatch) -> None:
    snn, export_nir, torch = (
        pytest.importorskip(name) for name in ("snntorch", "snntorch.export_nir", "torch")
    )
    for check in ("infer_types", "check_types"):  # which would rather have one number per neuron
        monkeypatch.setattr(nir.NIRGraph, check, lambda _: True)
    rng = np.random.default_rng(7)
    linear = [torch.nn.Linear(6, 5), torch.nn.Linear(5, 4)]
    neurons = [
        snn.Leaky(beta=0.5, threshold=1.0, init_hidden=True, output=last) for last in (False, True)
    ]
    for layer in linear:
        layer.weight.data = torch.from_numpy(whole(rng, *layer.weight.shape).astype(np.float32) / 2)
        layer.bias.data = torch.from_numpy(
            rng.integers(0, 2, len(layer.bias)).astype(np.float32) / 4
        )
    net = torch.nn.Sequential(linear[0], neurons[0], linear[1], neurons[1])
    exported = export_nir.export_to_nir(net, torch.zeros(6))
    assert np.shape(exported.nodes["1"].tau) == ()
    x = (rng.random((20, 8, 6)) < 0.4).astype(np.uint8)
    quantized = quantize(
        from_nir(exported), x, Semantics(dt=DT, reset="subtract", reset_timing="next_step")
    )
    cells = [
        snn.Leaky(beta=torch.tensor(0.5, dtype=torch.float64), threshold=1.0).double()
        for _ in neurons
    ]
    weights = [(layer.weight.detach().double(), layer.bias.detach().double()) for layer in linear]
    spikes: list[list[Float]] = [[], []]
    state = [torch.zeros(len(x), size, dtype=torch.float64) for size in (5, 4)]
    for t in range(x.shape[1]):
        s = torch.from_numpy(x[:, t]).double()
        for k in range(2):
            s, state[k] = cells[k](s.double() @ weights[k][0].T + weights[k][1], state[k])
            spikes[k].append(s.numpy())
    require_spikes(
        quantized, x, {"layer1": np.stack(spikes[0], 1), "layer3": np.stack(spikes[1], 1)}
    )


def test_a_recurrent_layer_of_one_number_in_a_subgraph() -> None:
    rng = np.random.default_rng(8)
    first, back = whole(rng, 5, 6), whole(rng, 5, 5)
    lif = nir.LIF(
        tau=np.array(2 * DT), r=np.array(2.0), v_leak=np.array(0.0), v_threshold=np.array(2.0)
    )
    inner = graph(
        {"lif": lif, "w": nir.Linear(back)},
        [("input", "lif"), ("lif", "w"), ("w", "lif"), ("lif", "output")],
        (5,),
        (5,),
    )
    x = (rng.random((20, 8, 6)) < 0.4).astype(np.uint8)
    quantized = quantized_exactly(chain({"fc": nir.Linear(first), "rnn": inner}, (6,), (5,)), x)
    v = s = np.zeros((len(x), 5))
    spikes = []
    for t in range(x.shape[1]):
        v = v + 0.5 * (0.0 - v + 2.0 * (x[:, t] @ first.T + s @ back.T))
        s = (v > 2.0).astype(np.float64)
        v = v * (1 - s)
        spikes.append(s)
    require_spikes(quantized, x, {"rnn.lif": np.stack(spikes, 1)})
