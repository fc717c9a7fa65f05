"""Models of other libraries than snnTorch, and their spikes as those libraries compute them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch_models import require_machines_agree, result_of

from lehr.export import from_torch
from lehr.network import Network
from lehr.nodes import Linear
from lehr.simulate import simulate

Spikes = npt.NDArray[np.uint8]
STEPS = 6


def recorded(
    model: nn.Module, layers: Mapping[str, str], run: Callable[[nn.Module], object]
) -> dict[str, list[Tensor]]:
    """Return what modules of a model give in each of their calls, without lehr.

    Args:
        model: is copied, and runs in double precision.
        layers: qualified names of the modules, by the names to return them under.
        run: calls the model as its user does.
    """
    model = copy.deepcopy(model).double().eval()
    given: dict[str, list[Tensor]] = {name: [] for name in layers}
    for name, path in layers.items():

        def keep(_m: nn.Module, _i: Any, out: Any, kept: list[Tensor] = given[name]) -> None:
            kept.append((out[0] if isinstance(out, tuple) else out).double())

        model.get_submodule(path).register_forward_hook(keep)
    for module in model.modules():
        module.register_forward_hook(_in_double)
    with torch.no_grad():
        run(model)
    return given


def _in_double(_: nn.Module, __: Any, out: Any) -> Any:
    """Return what a module gives in double precision: sinabs' spikes are float32."""
    return out.double() if isinstance(out, Tensor) else out


def frames(x: Spikes) -> Tensor:
    """Return inputs in double precision, with the steps first."""
    return torch.from_numpy(x).double().transpose(0, 1)


def by_step(given: Mapping[str, list[Tensor]]) -> dict[str, Spikes]:
    """Return the spikes `[N, T, *shape]` of layers that were called once a step."""
    return {name: torch.stack(each, 1).numpy().astype(np.uint8) for name, each in given.items()}


def require_equal(
    model: nn.Module,
    x: Spikes,
    right: Mapping[str, Spikes],
    folder: Path | None = None,
    *,
    exact: bool = True,
    **options: Any,
) -> Network:
    """Assert that the integer network has the right spikes, and that one unit more is noticed.

    Args:
        model: the model.
        x: its inputs.
        right: the spikes of all layers that fire, by node name.
        folder: where C and ONNX are built and compared; None for not at all.
        exact: whether nothing may be rounded.
        options: of `from_torch`.
    """
    converted = from_torch(model, x, **options)
    network = converted.network
    assert converted.exact or not exact, [layer.notes for layer in converted.layers.values()]
    spikes, own = result_of(converted).trace.spikes, converted.spikes()
    assert right.keys() <= own.keys()
    for name, raster in right.items():
        np.testing.assert_array_equal(spikes[name], raster)
        np.testing.assert_array_equal(own[name], raster)
        assert raster.any()
    assert any(
        (simulate(changed, x, trace=right).trace.spikes[name] != raster).any()
        for changed in _one_unit_more(network)
        for name, raster in right.items()
    )
    if folder is not None:
        require_machines_agree(network, x, folder)
    return network


def _one_unit_more(network: Network) -> Iterator[Network]:
    """Yield networks with one unit more in a weight of each output of the last weights."""
    name = [each for each, node in network.nodes.items() if isinstance(node, Linear)][-1]
    node: Any = network.nodes[name]
    for column in range(node.weight.shape[1]):
        weight = node.weight.copy()
        weight[:, column] += 1
        changed = replace(node, weight=weight, kind="int8")
        yield replace(network, nodes={**network.nodes, name: changed})
