"""Neurons by layer in integers: what training leaves is the same in every engine, spike by spike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from c_code import require_equal as require_equal_in_c
from golden_networks import changed_weight
from hard_networks import flows
from strategies import Images

from lehr import nirfile
from lehr.network import Network
from lehr.simulate import compare, simulate
from lehr.simulate.fast import engine
from lehr.targets.onnx import Onnx
from lehr.targets.onnx.runner import OnnxRuntime
from lehr.train.floats.model import FloatNet
from lehr.train.recipe import Recipe
from lehr.train.twin.convert import Converted, convert, finished
from lehr.train.twin.network import Twin, trace
from lehr.widths import analyse

FEATURES, STEPS, INPUTS = 10, 15, 12
RISING = {"type": "threshold", "jump": 0.7, "beta": "15/16"}
OPPOSING = {"type": "current", "membrane": "1/32", "jump": 0.5, "beta": "7/8"}


def learned(start: str, learn: str, bits: int = 8) -> dict[str, Any]:
    return {"start": start, "learn": learn, "bits": bits}


LAYERS: dict[str, dict[str, Any]] = {
    "own beta": {"beta": "3/4", "reset": "zero"},
    "no reset": {"beta": "1/2", "reset": "none"},
    "learned beta": {"beta": learned("0.7", "layer")},
    "learned beta by channel": {"beta": learned("0.7", "channel", 5)},
    "synapse": {"alpha": "3/4", "bias": True},
    "learned alpha": {"alpha": learned("0.6", "layer"), "batch_norm": True},
    "learned by channel": {
        "alpha": learned("0.6", "channel"),
        "beta": learned("0.7", "channel"),
        "reset": "zero",
    },
    "rising threshold": {"adaptation": RISING, "batch_norm": True},
    "opposing current": {"adaptation": OPPOSING, "reset": "zero"},
    "adaptation, synapse and decays by channel": {
        "adaptation": OPPOSING,
        "alpha": "1/2",
        "beta": learned("0.7", "channel", 6),
        "batch_norm": True,
    },
    "recurrent": {"recurrent": True},
    "recurrent, batch norm": {"recurrent": True, "batch_norm": True, "reset": "zero"},
    "recurrent, all else": {
        "recurrent": True,
        "alpha": "1/2",
        "beta": learned("0.7", "channel", 6),
        "adaptation": RISING,
        "bias": True,
    },
    "recurrent, delayed": {"recurrent": True, "delay": {"max": 3, "learn": False}},
    "recurrent, int4": {"recurrent": True, "weights": "int4"},
    "recurrent, ternary": {"recurrent": True, "weights": "ternary", "batch_norm": True},
    "learned threshold": {"threshold": {"start": 1.5, "schedule": "learned"}},
}


def recipe(*layers: dict[str, Any], **network: Any) -> Recipe:
    common = {"type": "linear", "features": FEATURES, "threshold": {"start": 1.5}}
    return Recipe.model_validate(
        {
            "name": "neurons",
            "description": "neurons by layer",
            "data": {"name": "digits", "encoding": "rate", "steps": STEPS},
            "network": {
                "steps": STEPS,
                "beta": "7/8",
                "slope": 2.0,
                "layers": [{**common, **layer} for layer in layers],
                **network,
            },
            "train": {"epochs": 1, "batch_size": 8, "lr": 1e-3},
        }
    )


def converted(given: Recipe, seed: int = 0) -> tuple[FloatNet, Converted]:
    """Fold a network whose numbers are no longer those of the start."""
    torch.manual_seed(seed)
    model = FloatNet(given.network, (INPUTS,), 1).eval()
    with torch.no_grad():
        for block in model.layers:
            for logit in block.neurons.decays.values():
                logit += 0.4 * torch.randn_like(logit)
            if block.neurons.bias.requires_grad:
                block.neurons.bias.copy_(torch.linspace(-0.4, 0.4, len(block.neurons.bias)))
            if hasattr(block.norm, "running_var"):
                norm: Any = block.norm
                norm.running_var.fill_(3.0)
                norm.weight.copy_(torch.linspace(-2.5, 3.5, len(norm.weight)))
                norm.bias.copy_(torch.linspace(-0.2, 0.4, len(norm.bias)))
    return model, convert(model, given, (INPUTS,), "spikes")


def images(seed: int = 1) -> Images:
    rng = np.random.default_rng(seed)
    return (rng.random((9, STEPS, INPUTS)) < 0.5).astype(np.uint8)


def require_exact(net: Network, latents: Any, x: Images, folder: Path) -> None:
    """The definition, the twin, the fast engine, C and ONNX agree on every spike and membrane."""
    expected = simulate(net, x, trace=net.neurons)
    assert flows(net, expected), expected.rates
    assert all(0 < rate < 1 for rate in expected.rates.values())
    compare(expected.trace, trace(Twin(net, latents=latents), x)).require_equal("twin")
    compare(expected.trace, engine.simulate(net, x, trace=net.neurons).trace).require_equal("fast")
    require_equal_in_c(folder / "c", net, x)
    assert not Onnx().check(net)
    Onnx().plan(net, {}).with_manifest({}).write(folder / "onnx")
    compare(expected.trace, OnnxRuntime().run(folder / "onnx", x)).require_equal("onnx")
    changed = simulate(changed_weight(net), x, trace=net.neurons).trace
    assert compare(expected.trace, changed).first is not None


@pytest.mark.parametrize("name", LAYERS)
def test_every_engine_agrees(name: str, tmp_path: Path) -> None:
    given = recipe(LAYERS[name], {"features": 4})
    _, folded = converted(given)
    net = finished(folded.twin, given)
    x = images()
    require_exact(net, folded.twin.latents(), x, tmp_path)
    widths = analyse(net)
    widths.require_float32()
    # no register can leave the width that it is given
    assert not any(simulate(net, x, trace=net.neurons).saturations.values())
    nirfile.write(net, tmp_path / "net.nir", approximate=net.neurons)
    assert nirfile.read(tmp_path / "net.nir") == net


@pytest.mark.parametrize("name", LAYERS)
def test_with_many_fraction_bits_the_integers_are_the_floats(name: str) -> None:
    """Conversion keeps the meaning: what is left are the roundings of decays."""
    given = recipe({**LAYERS[name], "fraction_bits": 12})
    model, folded = converted(given)
    x = images(2)
    with torch.no_grad():
        spikes = model.run(torch.from_numpy(x).float())[0][0].transpose(0, 1).numpy()
    integers = simulate(folded.twin.network(), x, trace=["lif1"]).trace.spikes["lif1"]
    assert 0.02 < spikes.mean() < 0.9
    # decays of few bits may move a spike
    assert (spikes != integers).mean() < (0.03 if "by channel" in name else 0.01)
