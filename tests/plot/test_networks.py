"""Graphs, distributions and costs.

What is drawn is what numpy says of the network, its run and its artefact.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

import lehr
from lehr import plot
from lehr.arithmetic import Arithmetic
from lehr.errors import FileRefused, UsageError
from lehr.network import Input, Linear, Network, Neuron
from lehr.plot import Cost
from lehr.plot.costs import costs, in_order
from lehr.plot.distributions import What
from lehr.plot.style import figure_of
from lehr.simulate import Result
from lehr.targets import registry
from lehr.targets.conformance.golden import example
from lehr.targets.contract import Figure

WRONG: Any = "rate"
ARITHMETIC = Arithmetic(decay_numerator=7, decay_shift=3, fraction_bits=0, state_bits=12)


def neurons(*thresholds: int) -> Neuron:
    return Neuron(np.array(thresholds), np.zeros(len(thresholds), np.int32), ARITHMETIC)


def layers() -> Network:
    """Return two layers; the second leads back to the first, which leads back to itself."""
    rng = np.random.default_rng(2)
    signs = np.array([-1, 1], np.int8)
    nodes = {
        "fc1": Linear(rng.choice(signs, (6, 5))),
        "hidden": neurons(1, 2, 3, 4, 400, 6),
        "fc2": Linear(rng.choice(signs, (3, 6))),
        "out": neurons(1, 1, 1),
        "back": Linear(rng.choice(signs, (6, 3))),
    }
    edges = (
        ("input", "fc1"),
        ("fc1", "hidden"),
        ("hidden", "hidden"),
        ("hidden", "fc2"),
        ("fc2", "out"),
        ("out", "back"),
        ("back", "hidden"),
        ("out", "output"),
    )
    return Network(nodes, edges, Input((5,), "spikes"), 10)


def ran(net: Network, trace: Any = "all") -> Result:
    x = np.random.default_rng(3).integers(0, 2, (4, 10, 5)).astype(np.uint8)
    return lehr.simulate(net, x, trace=trace)


def test_nodes_stand_below_what_they_are_computed_from() -> None:
    net = layers()
    assert net.feedback == {("hidden", "hidden"), ("back", "hidden")}
    ax = plot.network(net)
    rows = {t.get_text().split(" ")[0]: t.get_position()[1] for t in ax.texts}
    assert set(rows) == {"input", "output", *net.nodes}
    for source, target in net.edges:
        assert (rows[source] < rows[target]) == ((source, target) not in net.feedback)
    assert ax.get_ylim()[0] > ax.get_ylim()[1]
    texts = [t.get_text() for t in ax.texts]
    assert "hidden · Neuron · 6" in texts
    assert "input · 5" in texts


def test_edges_that_go_back_are_dashed() -> None:
    net = layers()
    ax = plot.network(net)
    arrows = [(p.get_label(), p.get_linestyle()) for p in ax.patches]
    assert sorted(arrows) == [("edge", "solid")] * 6 + [("feedback", "dashed")] * 2
    x = {t.get_text().split(" ")[0]: t.get_position()[0] for t in ax.texts}
    assert x["back"] > x["output"]  # in their row, as it leads up on the right
    lane = np.asarray(ax.patches[-2].get_path().vertices)[:, 0].max()
    assert lane > x["back"]


def test_layers_are_coloured_and_numbered_by_their_rates() -> None:
    net = layers()
    result = ran(net)
    assert result.rates["hidden"] != result.rates["out"] > 0
    ax = plot.network(net, result)
    boxes = {t.get_text().split(" ")[0]: t for t in ax.texts}
    for name, rate in result.rates.items():
        assert boxes[name].get_text().endswith(f" · {rate:.4f}")
    fills: dict[str, Any] = {name: box.get_bbox_patch() for name, box in boxes.items()}
    assert fills["fc1"].get_facecolor()[3] == 0  # not filled
    light = {name: sum(fills[name].get_facecolor()[:3]) for name in result.rates}
    assert sorted(light, key=light.__getitem__) == sorted(light, key=lambda n: -result.rates[n])
    same = plot.network(net, result.rates)
    assert [t.get_text() for t in same.texts] == [t.get_text() for t in ax.texts]


@pytest.mark.parametrize("rates", [None, {"out": 0.0}])
def test_a_network_of_one_neuron_is_drawn(rates: Any) -> None:
    nodes = {"fc": Linear(np.ones((1, 1), np.int8)), "out": neurons(1)}
    edges = (("input", "fc"), ("fc", "out"), ("out", "output"))
    net = Network(nodes, edges, Input((1,), "u8"), 1)
    assert len(plot.network(net, rates).texts) == 4
    result = lehr.simulate(net, [[0]], trace="all")
    for what in get_args(What):
        ax = plot.distributions(net, result, what)
        figure_of(ax).draw_without_rendering()
    assert len(plot.raster(result).collections) == 1


def stats(ax: Any) -> dict[str, list[float]]:
    """Return what a box shows of every layer: its lines by the row that they stand in."""
    names = [t.get_text() for t in ax.get_yticklabels()]
    boxes = {}
    for row, (name, box) in enumerate(zip(names, ax.patches, strict=False)):
        x = box.get_path().vertices[:, 0]
        near = [each for each in ax.lines if abs(float(np.mean(each.get_ydata())) - row) < 0.01]
        flat = [float(v) for each in near for v in each.get_xdata()]
        median = [each.get_xdata()[0] for each in near if np.ptp(each.get_ydata()) == 0.5]
        boxes[name] = [min(flat), float(x.min()), float(median[0]), float(x.max()), max(flat)]
    return boxes


def test_boxes_are_numpys_percentiles() -> None:
    net = layers()
    result = ran(net)
    every = (0, 25, 50, 75, 100)
    rates = stats(plot.distributions(net, result, "rates"))
    membranes = stats(plot.distributions(net, result, "membranes"))
    thresholds = stats(plot.distributions(net, what="thresholds"))
    for name in ("hidden", "out"):
        spikes = result.trace.spikes[name]
        expected = np.percentile(spikes.mean(axis=(0, 1)), every)
        assert rates[name] == pytest.approx(expected.tolist()), name
        used = 100 * result.trace.membranes[name] / (2**11 - 1)
        assert membranes[name] == pytest.approx(np.percentile(used, every).tolist()), name
        expected = np.percentile(net.neurons[name].threshold, every)
        assert thresholds[name] == pytest.approx(expected.tolist()), name


def test_thresholds_that_differ_widely_have_a_logarithmic_axis() -> None:
    net = layers()
    assert plot.distributions(net, what="thresholds").get_xscale() == "log"
    alike = Network({**net.nodes, "hidden": neurons(*[5] * 6)}, net.edges, net.input, 10)
    assert plot.distributions(alike, what="thresholds").get_xscale() == "linear"


def test_dead_neurons_are_counted_beside() -> None:
    net = layers()
    result = ran(net)
    dead = int((result.trace.spikes["hidden"].sum(axis=(0, 1)) == 0).sum())
    assert dead > 0
    assert f"{dead} dead" in [t.get_text() for t in plot.distributions(net, result).texts]


def test_without_a_trace_the_range_of_membranes_is_drawn() -> None:
    net = layers()
    result = ran(net, ())
    got = stats(plot.distributions(net, result, "membranes"))
    for name, layer in result.layers.items():
        ends = [100 * layer.lowest / 2047, 100 * layer.highest / 2047]
        assert [got[name][0], got[name][-1]] == pytest.approx(ends)


def test_a_machine_whose_membrane_has_no_width_in_bits_is_named() -> None:
    golden = example(registry.get("c"), "machine_loihi")
    assert not isinstance(golden, str), golden
    with pytest.raises(UsageError, match="no layer has a membrane of a width in bits; draw anoth"):
        plot.distributions(golden.net, golden.expected, "membranes")


def test_signs_are_counted_for_every_node_with_weights() -> None:
    net = layers()
    ternary = np.array([[0, 1, -1, 0, 0, 1]] * 3, np.int8)
    nodes = {**net.nodes, "fc2": Linear(ternary, "ternary")}
    net = Network(nodes, net.edges, net.input, 10)
    ax = plot.distributions(net, what="signs")
    names = [t.get_text() for t in ax.get_yticklabels()]
    assert names == list(net.weighted)
    containers: list[Any] = list(ax.containers)
    bars = {
        c.get_label(): dict(zip(names, [b.get_width() for b in c], strict=True)) for c in containers
    }
    for name, node in net.weighted.items():
        for label, sign in (("below 0", -1), ("0", 0), ("above 0", 1)):
            expected = 100 * (np.sign(node.weight) == sign).mean()
            assert bars[label][name] == pytest.approx(expected), (name, label)


def bars(ax: Any) -> list[float]:
    """Return the lengths of the filled bars."""
    return [p.get_width() for p in ax.patches if p.get_facecolor()[3] and p.get_width()]


def test_costs_are_shares_of_the_device_where_it_is_known() -> None:
    rows = [
        Cost("flash", "bytes", 500),
        Cost("RAM", "bytes", 1000, 800),
        Cost("energy", "nJ per inference", 3.0, 6.0),
        Cost("cells", "LUT", 2640, 5808, limit=5280),
    ]
    ax = plot.resources(rows)
    assert [t.get_text() for t in ax.get_yticklabels()] == ["cells", "energy", "flash", "RAM"]
    assert bars(ax) == pytest.approx([50, 110, 50, 100, 50, 100, 80])
    assert [t.get_text() for t in ax.texts] == [
        "2,640 / 5,808 of 5,280 LUT",
        "3 / 6 nJ per inference",
        "500 bytes",
        "1,000 / 800 bytes",
    ]
    assert ax.get_xlim()[1] == pytest.approx(110)  # it does not fit, and is seen not to
    assert "share of the device" in ax.get_xlabel()
    assert "share of the device" not in plot.resources(rows[:3]).get_xlabel()


def test_a_figure_that_is_alone_in_its_unit_has_no_bar_but_its_number() -> None:
    ax = plot.resources([Cost("energy", "J per step", 2.1e-8), Cost("RAM", "bytes", 3, 2)])
    assert bars(ax) == pytest.approx([100, 200 / 3])
    assert [t.get_text() for t in ax.texts] == ["21.00 nJ per step", "3 / 2 bytes"]


def test_wholes_stand_before_their_parts() -> None:
    figures = [
        Figure("memory of lif1", 5, "bits", "-"),
        Figure("memory of lif2", 5, "bits", "-"),
        Figure("clocks of lif1", 10, "per step", "-"),
        Figure("clocks", 30, "per step", "-"),
        Figure("cores", 3, "of 128 cores", "-"),
    ]
    rows = costs(figures)
    assert rows[-1] == Cost("cores", "cores", 3, None, 128)
    names = [cost.name for cost in in_order(rows)]
    assert names == ["cores", "clocks", "clocks of lif1", "memory of lif1", "memory of lif2"]


def test_a_built_folder_gives_its_estimate_and_what_was_measured(
    line: Path, tmp_path: Path
) -> None:
    built = lehr.build(line / "model.nir", "c", tmp_path / "out")
    estimate = json.loads((tmp_path / "out/report/estimate.json").read_text())
    expected = [(f["name"], f["unit"], f["value"]) for f in estimate]
    for given in (built, tmp_path / "out", str(tmp_path / "out")):
        assert [(c.name, c.unit, c.estimated) for c in costs(given)] == expected
        names = [t.get_text() for t in plot.resources(given).get_yticklabels()]
        assert sorted(names) == sorted(f["name"] for f in estimate)
    name, unit, value = expected[0]
    measured = [{"name": name, "unit": unit, "value": 2 * value, "source": "a tool"}]
    (tmp_path / "out/report/measured.json").write_text(json.dumps(measured))
    assert costs(tmp_path / "out")[0] == Cost(name, unit, value, 2 * value)
    (tmp_path / "out/report/measured.json").write_text("[{}]")
    with pytest.raises(FileRefused, match=r"the report in .*report cannot be read"):
        plot.resources(tmp_path / "out")


def test_many_figures_are_cut() -> None:
    ax = plot.resources([Cost(f"n{n}", "bytes", n) for n in range(40)])
    assert len(ax.get_yticklabels()) == 16
    assert ax.get_xlabel().endswith("\nand 24 more figures")


@pytest.mark.parametrize(
    ("draw", "said"),
    [
        (lambda n: plot.network(n, {"lif": 0.1}), "'lif' is no layer of neurons; use one of input"),
        (
            lambda n: plot.distributions(n, what=WRONG),
            "'rate' is not drawn; did you mean 'rates'",
        ),
        (lambda n: plot.distributions(n, what="rates"), "rates are those of a run; give result="),
        (lambda n: plot.resources([]), "there is no figure to draw; build with measure=True"),
        (lambda n: plot.resources("nothere"), "nothere"),
    ],
)
def test_what_cannot_be_drawn_is_named(draw: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said) as refused:
        draw(layers())
    assert "\n" not in str(refused.value)


def test_a_run_of_another_network_is_refused() -> None:
    net = layers()
    nodes = {"fc": Linear(np.ones((2, 5), np.int8)), "lif": neurons(1, 1)}
    other = Network(nodes, (("input", "fc"), ("fc", "lif"), ("lif", "output")), net.input, 10)
    with pytest.raises(UsageError, match="the run has no layer hidden; give a run of this net"):
        plot.distributions(net, ran(other))
