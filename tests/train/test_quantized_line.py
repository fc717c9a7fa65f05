"""A recipe with other weights, by one override.

Trained, exported, verified, built, in spikes that flow.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from commands import Lehr
from general import RUNNABLE
from tiny import tiny_toml

from lehr import nirfile
from lehr.export.checkpoint import load_run
from lehr.samples import read_samples
from lehr.simulate import simulate

OVERRIDES = {
    "ternary": (("network.weights=ternary",), "ternary", 0.2),
    "int4, learned": (("network.weights=int4",), "int4", 0.05),
    "int8, fixed": (("network.weights=int8", "network.weight_step=fixed"), "int8", 0.0),
    "binarized, pruned": (("train.prune=0.5",), "ternary", 0.5),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if "int4" not in name else ())
        for name in OVERRIDES
    ],
)
def test_from_recipe_to_target(name: str, lehr: Lehr, tmp_path: Path) -> None:
    overrides, kind, zero = OVERRIDES[name]
    (tmp_path / "tiny.toml").write_text(tiny_toml())
    run, model = tmp_path / "run", tmp_path / "model.nir"
    assert (
        lehr(
            "train",
            tmp_path / "tiny.toml",
            "-o",
            run,
            *(word for key in overrides for word in ("--set", key)),
        ).code
        == 0
    )
    exported = lehr("export", run, "-o", model)
    assert exported.code == 0, exported.err
    assert "0 of " in exported.out
    net, trained = nirfile.read(model), load_run(run)
    assert net == trained.network
    for node_name, node in net.weighted.items():
        assert node.kind == kind
        assert (
            np.mean(node.weight == 0) == pytest.approx(zero, abs=0.02)
            if "pruned" in name
            else np.mean(node.weight == 0) >= zero
        )
        assert len(np.unique(node.weight)) > 2
        assert len(np.unique(trained.latents[node_name].weight)) > len(np.unique(node.weight))
    x, labels = read_samples(run / "samples.npz")
    result = simulate(net, x, trace=net.neurons)
    assert all(0 < rate < 1 for rate in result.rates.values()), result.rates
    assert labels is not None
    shown = lehr("inspect", model).out
    assert f" {kind} weights, " in shown
    for target in RUNNABLE:
        out = tmp_path / target
        assert (
            lehr(
                "build", model, "--target", target, "-o", out, "-i", run / "samples.npz", "-n", 4
            ).code
            == 0
        )
        verified = lehr("verify", out)
        assert verified.code == 0, verified.err
        assert "| kind | zero |" in (out / "MODEL_CARD.md").read_text()
        assert f'"kind": "{kind}"' in (out / "manifest.json").read_text()


def test_the_quantizer_of_a_recipe_is_learned_where_it_says() -> None:
    from lehr.train.floats.model import FloatNet
    from lehr.train.recipefile import parse

    for overrides, steps in (
        (("network.weights=int4",), 3),
        (("network.weights=int4", "network.weight_step=fixed"), 0),
        (("network.weights=ternary",), 0),
        ((), 0),
    ):
        net = FloatNet(parse(tiny_toml(), "tiny", overrides).network, (1, 8, 8))
        assert sum("learned" in name for name, _ in net.named_parameters()) == steps
