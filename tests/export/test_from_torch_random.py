"""Random models of the language that is taken: every spike is that of the model in float64."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import numpy.typing as npt
import snntorch as snn
import torch
from budgets import budget
from hypothesis import event, given, note, reject
from hypothesis import strategies as st
from random_torch_models import Model, draw_model
from torch_models import events

from lehr.errors import NotMappable
from lehr.export import from_torch
from lehr.simulate import simulate

STEPS = 5


def right_spikes(model: Model, x: npt.NDArray[np.uint8]) -> dict[str, Any]:
    """Return what each layer of neurons gives, `[N, T, *shape]`: step after step, without lehr."""
    model = copy.deepcopy(model).double().eval()
    kept: dict[str, list[torch.Tensor]] = {}
    neurons: dict[str, Any] = {
        name: each for name, each in model.named_children() if isinstance(each, snn.SpikingNeuron)
    }
    for name, each in neurons.items():
        vars(each)["spike_grad"] = lambda above: (above > 0).double()
        kept[name] = []
        each.register_forward_hook(
            lambda _m, _i, out, kept=kept[name]: kept.append(
                out[0] if isinstance(out, tuple) else out
            )
        )
    mem = {name: each.reset_mem() for name, each in neurons.items()}
    with torch.no_grad():
        for step in range(STEPS):
            now = x if model.style == "loop, input held" else x[:, step]
            model.step(torch.from_numpy(now).double(), {"mem": mem})
    return {name: torch.stack(spikes, 1).numpy() for name, spikes in kept.items()}


def last_of(model: Model) -> str:
    """Return the name of the last neurons."""
    return f"m{len([*model.named_children()]) - 1}"


@budget(12, 120)
@given(st.data())
def test_spikes_of_random_models_are_the_models_own(data: st.DataObject) -> None:
    model, shape = draw_model(data.draw, STEPS)
    note("\n".join([str(shape), model.style, *model.words]))
    held = model.style == "loop, input held"
    x = events(6, *([] if held else [STEPS]), *shape, seed=2)
    right = right_spikes(model, x)
    try:
        converted = from_torch(model, x, steps=STEPS if held else None, read_from=last_of(model))
    except NotMappable as error:  # RLeaky behind maxima, which keep weights before them as they are
        if "there are no weights before it that could share a step" not in str(error):
            raise
        reject()
    note(str({name: layer.notes for name, layer in converted.layers.items()}))
    assert converted.exact
    trace = simulate(converted.network, converted.sample, trace=converted.network.neurons).trace
    for name, spikes in right.items():
        np.testing.assert_array_equal(trace.spikes[name].reshape(spikes.shape), spikes)
    flows = all(0 < spikes.mean() < 1 for spikes in right.values())
    event(f"spikes flow in every layer: {flows}")
    if flows:
        _require_a_change_is_seen(model, x, right)


def _require_a_change_is_seen(
    model: Model, x: npt.NDArray[np.uint8], right: dict[str, Any]
) -> None:
    """Assert that the last neurons fire otherwise with a threshold of 64 times as much."""
    last: Any = model.get_submodule(last_of(model))
    last.threshold = last.threshold * 64
    given = right_spikes(model, x)[last_of(model)]
    assert (given != right[last_of(model)]).any()
