"""Classes derived from known layers, and layers of other libraries.

They are read as their base, or named with the way out.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import snntorch as snn
import torch
from torch import Tensor, nn
from torch_models import differing, dyadic, events

from lehr.errors import NotMappable
from lehr.export import from_torch

X = events(8, 12, 7)


def neuron() -> Any:
    return snn.Leaky(beta=0.5, threshold=0.75, init_hidden=True)


class OwnLinear(nn.Linear):
    """Differs only in how it is built."""

    def __init__(self) -> None:
        super().__init__(7, 5)
        self.named = "mine"

    def reset_parameters(self) -> None:
        """Half a level everywhere."""
        dyadic(super().reset_parameters() or self, 0.5)


class OwnLeaky(snn.Leaky):  # type: ignore[misc]
    """Differs only in how it is built."""

    def __init__(self) -> None:
        super().__init__(beta=0.5, threshold=0.75, init_hidden=True)


class OwnPool(nn.AvgPool2d):
    """Computes something else."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        """Pool magnitudes."""
        return super().forward(input.abs())


class EagerLeaky(snn.Leaky):  # type: ignore[misc]
    """Fires earlier than it says."""

    def fire(self, mem: Tensor) -> Tensor:
        """Fire at half of the threshold."""
        return torch.gt(mem, self.threshold / 2).to(mem.dtype)


def test_classes_that_only_build_otherwise_compute_the_same() -> None:
    converted = from_torch(nn.Sequential(OwnLinear(), OwnLeaky()), X)
    assert converted.exact
    assert differing(converted) == 0


def foreign(package: str, base: type[nn.Module]) -> type[nn.Module]:
    """Make a layer as a library has them, derived from torch's and with a forward of its own."""
    return type(
        "QuantLinear",
        (base,),
        {"__module__": f"{package}.nn.quant_linear", "forward": lambda _self, x: x.round()},
    )


READ = (
    "of which QuantLinear, QuantConv1d, QuantConv2d, QuantIdentity and QuantReLU are read; build the "
    "model of those"
)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (lambda: OwnPool(2), "0 (OwnPool): it is derived from AvgPool2d and replaces forward, so that it may compute anything; use nn.AvgPool2d"),
        (lambda: EagerLeaky(beta=0.5), "0 (EagerLeaky): no integer neuron computes it; use Leaky, Lapicque, RLeaky, Synaptic, RSynaptic of snntorch"),
        (lambda: foreign("brevitas", nn.Linear)(7, 5), "0 (QuantLinear): its forward calls round on what it takes; compute its weights from parameters alone"),
        (lambda: foreign("brevitas", nn.ConvTranspose1d)(7, 5, 1), f"0 (QuantLinear): it is a layer of brevitas, {READ}"),
        (foreign("sinabs", nn.Module), "0 (QuantLinear): it is a layer of sinabs, of which IAF, IAFSqueeze, LIF, LIFSqueeze, ExpLeak, ExpLeakSqueeze are read; use those, or have sinabs.nir.to_nir write the network as a NIR graph, if it can, and `lehr quantize` read that"),
        (lambda: torch.ao.nn.quantized.Linear(7, 5), "0 (Linear): it is a layer of torch.ao, which quantizes as it runs; build the model"),
        (lambda: torch.jit.script(nn.ReLU()), "0 (RecursiveScriptModule): it is TorchScript, which cannot be followed; give the Python model"),
        (lambda: nn.LazyLinear(5), "0 (LazyLinear): it has no weights yet; run the model once before"),
    ],
    ids=["derived layer", "derived neuron", "brevitas's linear", "brevitas", "sinabs", "torch.ao", "TorchScript", "lazy"],
)  # fmt: skip
@pytest.mark.filterwarnings(
    "ignore:.*deprecated:DeprecationWarning", "ignore:.*deprecated:UserWarning"
)
def test_layers_of_others_are_named(layer: Callable[[], nn.Module], message: str) -> None:
    with pytest.raises(NotMappable, match=f"^{re.escape(message)}"):
        from_torch(nn.Sequential(layer(), neuron()), X, weights="int8")


def test_layers_behind_one_that_does_not_run_are_named_too() -> None:
    """A layer of another library, which gives no shape to go on from."""
    layers = [foreign("brevitas", nn.Linear)(7, 5), nn.Linear(5, 4), nn.GELU(), neuron()]
    layers[0].forward = layers[0].get_submodule
    with pytest.raises(NotMappable) as error:
        from_torch(nn.Sequential(*layers), X, weights="int8")
    _, replaced, first, second = str(error.value).split("\n  ")
    assert replaced.startswith("0 (QuantLinear): its forward was replaced on this one object")
    assert first.startswith("0 (QuantLinear): its forward")
    assert second.startswith("2 (GELU): the integer network has no such layer")
