"""Functions and methods in forward, against the torch model itself and against its modules."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import snntorch as snn
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch_models import differing, dyadic, events, result_of

from lehr.errors import NotMappable
from lehr.export import from_torch
from lehr.nodes import SumPool2d

X = events(6, 7, 1, 8, 8)


def neuron(threshold: Any = 0.75) -> Any:
    return snn.Leaky(beta=0.5, threshold=threshold, init_hidden=True)


class Net(nn.Module):
    """A convolution, neurons, and two layers behind what a function makes of their spikes."""

    def __init__(
        self, between: Callable[[Any, Tensor], Tensor], features: int, pool: Any = None
    ) -> None:
        super().__init__()
        self.pool = pool
        torch.manual_seed(11)
        self.conv, self.lif = dyadic(nn.Conv2d(1, 3, 3, padding=1)), neuron()
        self.fc, self.out = dyadic(nn.Linear(features, 5)), neuron(0.25)
        self.between = between

    def forward(self, x: Tensor) -> Any:
        """Spikes."""
        return self.out(self.fc(self.between(self, self.lif(self.conv(x)))))


FLAT: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "view": lambda _, x: x.view(x.size(0), -1),
    "view by all sizes": lambda _, x: x.view(len(x), x.shape[1] * x.shape[2] * x.size(3)),
    "view of -1": lambda _, x: x.view(-1, 192),
    "reshape": lambda _, x: x.reshape(x.shape[0], -1),
    "reshape by a tuple": lambda _, x: torch.reshape(x, (x.shape[0], -1)),
    "flatten": lambda _, x: x.flatten(1),
    "torch.flatten": lambda _, x: torch.flatten(x, start_dim=1),
    "flatten twice": lambda _, x: x.flatten(2).flatten(1),
    "identities": lambda _, x: x.float().detach().contiguous().clone().to(x.device).data.flatten(1),
    "to a type": lambda _, x: x.to(torch.float32).to("cpu", dtype=torch.float32).flatten(1),
    "dropout": lambda net, x: functional.dropout(x, 0.5, net.training).flatten(1),
    "dropout by name": lambda net, x: functional.dropout2d(x, training=net.training).flatten(1),
    "relu": lambda _, x: functional.relu(x).flatten(1),
    "relu, a method": lambda _, x: torch.relu(x).relu().flatten(1),
}


@pytest.mark.parametrize("between", FLAT.values(), ids=FLAT)
def test_reshapes_and_what_changes_no_spike(between: Callable[[Any, Tensor], Tensor]) -> None:
    model = Net(between, 192)
    converted = from_torch(model, X)
    assert converted.exact
    assert differing(converted) == 0
    plain = from_torch(Net(lambda _, x: x.flatten(1), 192), X)
    result = result_of(converted)
    assert (result.counts == result_of(plain).counts).all()
    model.fc.weight.data[0] *= -1
    changed = from_torch(model, X)
    assert (result_of(changed).trace.spikes["out"] != result.trace.spikes["out"]).any()


POOLS: dict[str, tuple[Callable[[Any, Tensor], Tensor], Any, int]] = {
    "average": (lambda _, x: functional.avg_pool2d(x, 2).flatten(1), nn.AvgPool2d(2), 48),
    "average, all said": (
        lambda _, x: functional.avg_pool2d(x, (4, 2), stride=2, padding=(1, 0)).flatten(1),
        nn.AvgPool2d((4, 2), 2, (1, 0)),
        48,
    ),
    "of given size": (
        lambda _, x: functional.adaptive_avg_pool2d(x, (2, 4)).flatten(1),
        nn.AvgPool2d((4, 2)),
        24,
    ),
    "of the whole map": (
        lambda _, x: functional.adaptive_avg_pool2d(x, 1).squeeze(3).squeeze(2),
        nn.AvgPool2d(8),
        3,
    ),
    "maximum": (lambda _, x: functional.max_pool2d(x, 2).flatten(1), nn.MaxPool2d(2), 48),
    "maximum, all said": (
        lambda _, x: torch.max_pool2d(functional.dropout(x, 0.5, training=False), 3, 2, 1).flatten(
            1
        ),
        nn.MaxPool2d(3, 2, 1),
        48,
    ),
}


@pytest.mark.parametrize(("between", "module", "features"), POOLS.values(), ids=POOLS)
def test_pools(between: Callable[[Any, Tensor], Tensor], module: nn.Module, features: int) -> None:
    converted = from_torch(Net(between, features), X)
    plain = from_torch(Net(lambda net, x: net.pool(x).flatten(1), features, module), X)
    assert converted.exact
    assert differing(converted) == 0
    result = result_of(converted)
    assert (result.trace.spikes["out"] == result_of(plain).trace.spikes["out"]).all()
    assert sorted(type(node).__name__ for node in converted.network.nodes.values()) == sorted(
        type(node).__name__ for node in plain.network.nodes.values()
    )


def test_pools_of_the_input() -> None:
    class Pooled(Net):
        def forward(self, x: Tensor) -> Any:
            """Spikes."""
            x = functional.relu(functional.max_pool2d(x, 2, ceil_mode=True))
            return self.out(self.fc(self.lif(self.conv(x)).flatten(1)))

    converted = from_torch(Pooled(lambda _, x: x, 48), events(6, 7, 1, 8, 8, rate=0.1))
    assert converted.exact
    assert differing(converted) == 0
    assert next(iter(converted.spikes())) == "max_pool2d"


@pytest.mark.parametrize(
    ("between", "message"),
    [
        (
            lambda _, x: functional.dropout(x, 0.5).flatten(1),
            "dropout: dropout is called with training=True, as it is by default, and draws at "
            "random in evaluation, too; give it training=self.training",
        ),
        (
            lambda _, x: x.flatten(2),
            "flatten: .flatten() makes [N, 3, 64] of [N, 3, 8, 8]; flatten each sample wholly",
        ),
        (
            lambda _, x: x.reshape(-1, 64),
            "reshape: .reshape() makes [3N, 64] of [N, 3, 8, 8]; flatten each sample wholly",
        ),
        (
            lambda _, x: x.flatten(),
            "flatten: .flatten() makes [192N] of [N, 3, 8, 8]; flatten each sample wholly",
        ),
        (
            lambda _, x: x.to(torch.float16).flatten(1),
            "model: its forward calls .to() after lif, which is no layer that can be read",
        ),
        (
            lambda _, x: functional.adaptive_avg_pool2d(x, 3).flatten(1),
            "adaptive_avg_pool2d (AdaptiveAvgPool2d): its windows over (8, 8) are of several "
            "sizes, for (3, 3) of them; use an output size that divides",
        ),
    ],
)  # fmt: skip
def test_what_is_refused(between: Callable[[Any, Tensor], Tensor], message: str) -> None:
    with pytest.raises(NotMappable, match=re.escape(message)):
        from_torch(Net(between, 192), X)


def test_layers_that_change_nothing_in_evaluation_and_synchronized_norms() -> None:
    torch.manual_seed(11)
    norm = nn.SyncBatchNorm(3)
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([0.5, -0.5, 2.0]))
        norm.running_mean.copy_(torch.tensor([0.5, -0.5, 0.25]))  # type: ignore[union-attr]
        norm.running_var.fill_(4.0)  # type: ignore[union-attr]
    norm.eps = 0.0
    model = nn.Sequential(
        dyadic(nn.Conv2d(1, 3, 3)), norm, neuron(0.25),
        nn.ReLU(), nn.AdaptiveAvgPool2d((3, 6)), nn.ReLU(), nn.Dropout3d(), nn.Flatten(),
        nn.Dropout1d(), nn.AlphaDropout(), nn.FeatureAlphaDropout(), dyadic(nn.Linear(54, 5)),
        neuron(0.25),
    )  # fmt: skip
    converted = from_torch(model, X)
    assert converted.exact, [layer.notes for layer in converted.layers.values()]
    assert converted.network.nodes["layer4"] == SumPool2d((2, 1), (2, 1))
    assert differing(converted) == 0
