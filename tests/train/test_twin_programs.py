"""The training twin on neurons that are programs.

The definition's spikes and membranes, and gradients by hand and by other loops.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from golden_networks import GOLDEN, Golden, changed_weight
from hard_networks import HARD, flows
from machine_networks import machine_network
from program_networks import BY_STEP, layer_network
from states import SLOW, two_state_network
from strategies import Images, delayed_network

from lehr.arithmetic import Arithmetic
from lehr.errors import NotMappable
from lehr.interval import Interval
from lehr.machines import MACHINES
from lehr.network import INPUT, OUTPUT, Delay, Input, Linear, Network, Neuron
from lehr.nodes import Flatten, Shape
from lehr.simulate import compare, simulate
from lehr.simulate.reference import Machine
from lehr.train.twin.network import Twin, trace
from lehr.update import MEMBRANE
from lehr.update_text import program_of_lines

USUAL = Arithmetic(decay_numerator=7, decay_shift=3, fraction_bits=2, state_bits=20)
ONCE_A_STEP = [name for name, program in MACHINES.items() if program.loop is None]


def require_exact(net: Network, x: Images, dtype: torch.dtype = torch.float64) -> None:
    """Every spike and membrane of the twin is the definition's, and spikes flow."""
    expected = simulate(net, x, trace=net.neurons)
    assert flows(net, expected)
    compare(expected.trace, trace(Twin(net).to(dtype), x)).require_equal("twin")


def reached(net: Network, x: Images) -> int:
    """The greatest magnitude of any register of any layer before a Bound, in the definition."""
    bounds: dict[str, dict[str, tuple[int, int]]] = {}
    machine = Machine(net, len(x), bounds)
    for t in range(x.shape[1]):
        machine.step(x[:, t].astype(np.int64))
    return max(abs(end) for layer in bounds.values() for ends in layer.values() for end in ends)


@pytest.mark.few(6)
# -------------------------------------------------------------------- forward
@pytest.mark.parametrize("per_neuron", [False, True], ids=["by channel", "by neuron"])
@pytest.mark.parametrize("spatial", [False, True], ids=["dense", "spatial"])
@pytest.mark.parametrize("name", ONCE_A_STEP)
def test_machines_are_exact(name: str, spatial: bool, per_neuron: bool) -> None:
    net, x = machine_network(name, spatial=spatial, per_neuron=per_neuron)
    require_exact(net, x)
    if name != "akida":  # which has no Bound
        assert reached(net, x) < 2**20
    require_exact(net, x, torch.float32)
    seen = compare(simulate(net, x, trace=net.neurons).trace, trace(Twin(changed_weight(net)), x))
    assert seen.first is not None


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", BY_STEP)
def test_any_program_is_exact(name: str, dtype: torch.dtype) -> None:
    require_exact(*layer_network(name), dtype)


@pytest.mark.few(37)
@pytest.mark.parametrize(
    "golden",
    [g for g in GOLDEN if g.fields.get("update") != "event"],
    ids=lambda golden: golden.name,
)
def test_golden_networks_are_exact(golden: Golden) -> None:
    require_exact(*golden.make(replace(USUAL, **golden.fields)))


@pytest.mark.few(2)
@pytest.mark.parametrize("name", [name for name in HARD if "by event" not in name])
def test_hard_networks_are_exact(name: str) -> None:
    require_exact(*HARD[name]())


def test_delays_differ_from_value_to_value() -> None:
    net, x = delayed_network()
    steps = np.array([1, 2, 3, 4, 1, 9, 7, 2], np.int32)

    def late(first: int) -> Network:
        own = Delay(np.where(np.arange(8) == 0, first, steps).astype(np.int32))
        return replace(
            net, nodes={**net.nodes, "slow_current": own, "slow_spikes": Delay(steps[::-1].copy())}
        )

    require_exact(late(1), x)
    seen = compare(simulate(late(1), x, trace=net.neurons).trace, trace(Twin(late(2)), x))
    assert seen.first is not None


def test_delays_differ_from_place_to_place_and_beside_feedback() -> None:
    """A network with feedback goes step by step; every delay is carried from span to span."""
    net, x = HARD["knot"]()
    late = Delay(np.random.default_rng(3).integers(1, 5, net.shapes["slow"], np.int32))
    require_exact(replace(net, nodes={**net.nodes, "slow": late}), x)


@pytest.mark.few(1)
@pytest.mark.parametrize("name", ONCE_A_STEP)
def test_tensors_elsewhere_do_not_come_to_the_host(name: str) -> None:
    """On torch's device without memory.

    To read a number from it, or to mix it with the host's, is an error.
    """
    net, x = machine_network(name, spatial=True, per_neuron=True)
    late = {"late": Delay(np.arange(1, 65, dtype=np.int32).reshape(net.shapes["hidden"]))}
    edges = [edge for edge in net.edges if edge != ("hidden", "flat")]
    net = replace(
        net, nodes={**net.nodes, **late}, edges=(*edges, ("hidden", "late"), ("late", "flat"))
    )
    spikes, _ = Twin(net).to("meta").layers(torch.empty(x.shape, device="meta"))
    assert {layer.device.type for layer in spikes.values()} == {"meta"}
    spikes["out"].sum().backward()


# -------------------------------------------------------------------- back to the network
@pytest.mark.parametrize(
    "name",
    ["by channel", "by neuron", "two states", "shift, floor", "bounds by channel", "integrates"],
)
def test_the_network_comes_back(name: str) -> None:
    if name.startswith("by "):
        net, _ = machine_network("loihi", spatial=True, per_neuron=name == "by neuron")
    else:
        net, _ = HARD[name]() if name in HARD else layer_network(name)
    assert Twin(net, units=dict.fromkeys(net.neurons, 2.0**-7)).network() == net


def test_what_training_moves_is_rounded_and_the_rest_stays() -> None:
    net, _ = layer_network("shift, floor")
    twin = Twin(net, units={"v": 0.25})
    layer, before = twin.neurons["v"], net.neurons["v"]
    assert [*layer.trained] == [
        "threshold",
        "bias",
        "rest",
    ]  # and not n, by which the membrane decays
    with torch.no_grad():
        layer.trained["rest"].add_(0.25 * 1.4)
        layer.trained["threshold"].sub_(0.25 * 1000)
    after = twin.network().neurons["v"]
    assert after.parameters["rest"].tolist() == [value + 1 for value in before.parameters["rest"]]
    assert after.threshold.tolist() == [1] * 5
    assert np.array_equal(after.parameters["n"], before.parameters["n"])
    twin.clamp_thresholds()
    assert layer.threshold.tolist() == [0.25] * 5
    twin.freeze_thresholds()
    assert twin.network().neurons["v"] == after
    assert not any(value.requires_grad for value in layer.trained.values())


def test_a_parameter_may_have_any_name() -> None:
    """Also one that torch's modules have for something else."""
    program = program_of_lines(
        [
            "add v input 0",
            "add v keys 0",
            "add v forward 0",
            "fire fired v gt training 1",
            "put v 0 when fired",
        ],
        MEMBRANE,
    )
    names = {"keys": [1, -2], "forward": [0, 3], "training": [4, 2]}
    zero = np.zeros(2, np.int32)
    neuron = Neuron(
        zero,
        zero,
        program,
        parameters={name: np.array(value, np.int32) for name, value in names.items()},
    )
    net = Network(
        {"w": Linear(np.array([[1, 1, -1], [1, -1, 1]], np.int8)), "v": neuron},
        ((INPUT, "w"), ("w", "v"), ("v", OUTPUT)),
        Input((3,), "u8"),
        9,
    )
    require_exact(net, np.random.default_rng(0).integers(0, 5, (3, 9, 3)).astype(np.uint8))
    assert Twin(net).network() == net


def test_integers_that_float32_does_not_hold_are_kept_in_double() -> None:
    net, _ = layer_network("saturates")
    high = replace(net.neurons["v"], threshold=np.array([2**24 + 1, 3, 2**31 - 1, 7, 5], np.int32))
    net = replace(net, nodes={**net.nodes, "v": high})
    assert Twin(net).network() == net


# -------------------------------------------------------------------- refusals
@pytest.mark.parametrize("name", [name for name in MACHINES if name not in ONCE_A_STEP])
def test_machines_that_update_by_event_are_refused_by_name(name: str) -> None:
    with pytest.raises(
        NotMappable,
        match=r"^hidden: the training twin computes no ForEachEvent; train neurons that update once a step$",
    ):
        Twin(machine_network(name)[0])


def test_a_node_without_a_rule_is_refused_by_name() -> None:
    class Mirror(Flatten):
        def output_shape(self, shape: Shape) -> Shape:
            return shape

        def bounds(self, x: Interval, taken: Shape) -> Interval:
            return x

    nodes = {"m": Mirror(), "v": Neuron(np.ones(3, np.int32), np.zeros(3, np.int32), USUAL)}
    net = Network(nodes, ((INPUT, "m"), ("m", "v"), ("v", OUTPUT)), Input((3,), "spikes"), 2)
    with pytest.raises(
        NotMappable, match=r"^m: the training twin computes no Mirror; train without it$"
    ):
        Twin(net)


@pytest.mark.slow
# -------------------------------------------------------------------- training
@pytest.mark.parametrize(
    "name", ["two states", "adaptive", "refractory", "loihi", "several spikes"]
)
def test_gradient_descent_lowers_the_loss(name: str) -> None:
    """Towards one spike rate for half of the samples and another for the rest.

    The integers change on the way.
    """
    if name in MACHINES:
        net, x = machine_network(name)
    else:
        net, x = two_state_network(USUAL, SLOW) if name == "two states" else layer_network(name)
    torch.manual_seed(0)
    units = {
        layer: 2.0 ** -round(np.log2(neuron.threshold.mean()))
        for layer, neuron in net.neurons.items()
    }
    twin, inputs = Twin(net, units=units, slope=2.0), torch.from_numpy(x).float()
    wanted = torch.zeros(len(x), *net.shapes[net.output])
    wanted[::2, ::2], wanted[1::2, 1::2] = 0.6 * inputs.shape[1], 0.6 * inputs.shape[1]
    optimizer = torch.optim.SGD(twin.parameters(), 0.02)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = (twin(inputs).sum(0) - wanted).square().mean()
        loss.backward()
        for parameter in twin.parameters():
            assert parameter.grad is None or bool(parameter.grad.isfinite().all())
        optimizer.step()
        twin.clamp_thresholds()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-5:]) < 0.7 * losses[0], losses
    trained = twin.network()
    assert trained != net
    compare(simulate(trained, x, trace=net.neurons).trace, trace(twin, x)).require_equal(
        "trained twin"
    )
