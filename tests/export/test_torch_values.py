"""Exported weights are those that the next call computes with.

The right ones come from snnTorch, stepped in float64.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest
import snntorch as snn
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations, parametrize, prune, spectral_norm, weight_norm
from torch_models import differing, dyadic, events, result_of, stepped

from lehr.errors import NotMappable
from lehr.export import from_torch

X = events(8, 12, 16)
THRESHOLD = 0.375
NAN = float("nan")


def neuron(**options: Any) -> Any:
    return snn.Leaky(**{"beta": 0.5, "threshold": THRESHOLD, "init_hidden": True, **options})


def hadamard() -> Tensor:
    """Return a matrix of signs, 16x16, whose rows are orthogonal.

    Its spectral norm is 4, as each row is of norm 4.
    """
    two = torch.tensor([[1.0, 1.0], [1.0, -1.0]])
    return torch.kron(torch.kron(two, two), torch.kron(two, two))


def pruned(linear: Any) -> Any:
    return prune.random_unstructured(linear, "weight", 0.3)


def pruned_twice(linear: Any) -> Any:
    return prune.ln_structured(
        prune.random_unstructured(linear, "weight", 0.3), "weight", 2, n=1, dim=1
    )


def pruned_bias(linear: Any) -> Any:
    return prune.random_unstructured(linear, "bias", 5)


def normed(linear: Any) -> Any:
    """Each row is of norm 1: 1/4 and -1/4."""
    linear = weight_norm(linear)
    linear.weight_g.data.fill_(1.0)
    return linear


def normed_anew(linear: Any) -> Any:
    linear = parametrizations.weight_norm(linear)
    linear.parametrizations.weight.original0.data.fill_(1.0)
    return linear


def spectral(linear: Any) -> Any:
    """Give the layer the right singular vectors, by which the norm is 4."""
    linear = spectral_norm(linear)
    linear.weight_u.copy_(nn.functional.one_hot(torch.tensor(0), 16))
    linear.weight_v.copy_(linear.weight_orig[0] / 4)
    return linear


def spectral_anew(linear: Any) -> Any:
    linear = parametrizations.spectral_norm(linear)
    norm = linear.parametrizations.weight[0]
    norm._u.copy_(nn.functional.one_hot(torch.tensor(0), 16))
    norm._v.copy_(linear.parametrizations.weight.original[0] / 4)
    return linear


def linear(signs: Tensor) -> Any:
    layer = dyadic(nn.Linear(16, 16))
    with torch.no_grad():
        layer.weight.copy_(signs)
    return layer


@pytest.mark.few(4)
@pytest.mark.filterwarnings("ignore:.*weight_norm.*deprecated:FutureWarning")
@pytest.mark.parametrize(
    "rule", [pruned, pruned_twice, pruned_bias, normed, normed_anew, spectral, spectral_anew]
)
def test_loaded_weights_are_exported_not_those_of_the_start(rule: Callable[[Any], Any]) -> None:
    """Build the model and load its state, as a factory does."""
    torch.manual_seed(1)
    trained = rule(linear(hadamard()))
    layer = rule(linear(-hadamard().roll(1, 0)))
    stale = layer.weight.detach().clone()
    layer.load_state_dict(trained.state_dict())
    given = copy.deepcopy(layer.state_dict())

    converted = from_torch(nn.Sequential(layer, neuron()), X)
    assert converted.exact
    fired = result_of(converted).trace.spikes["layer1"]
    assert all(torch.equal(layer.state_dict()[key], value) for key, value in given.items())
    plain = nn.Linear(16, 16)
    plain.bias.data.copy_(layer.bias.detach())
    if rule is not pruned_bias:  # whose weights are no other
        plain.weight.data.copy_(stale)
        assert (
            fired != stepped(copy.deepcopy(plain), neuron(init_hidden=False), X, 1)[0].numpy()
        ).any()
    right = stepped(layer.eval(), neuron(init_hidden=False), X, 1)[0].numpy()
    np.testing.assert_array_equal(fired, right)
    plain.weight.data.copy_(layer.weight.detach())
    plain.bias.data.copy_(layer.bias.detach())
    np.testing.assert_array_equal(
        stepped(copy.deepcopy(plain), neuron(init_hidden=False), X, 1)[0].numpy(), right
    )
    plain.weight.data[3, 3] = -plain.weight[3, 3] if plain.weight[3, 3] else 1.0
    assert (stepped(plain, neuron(init_hidden=False), X, 1)[0].numpy() != right).any()


def test_recurrent_weights_and_convolutions_that_hooks_compute() -> None:
    torch.manual_seed(2)
    conv = dyadic(nn.Conv2d(1, 3, 3))
    recurrent: Any = snn.RLeaky(
        beta=0.5, threshold=0.25, conv2d_channels=3, kernel_size=3, init_hidden=True
    )
    dyadic(recurrent.recurrent)
    state = nn.Sequential(
        prune.random_unstructured(copy.deepcopy(conv), "weight", 0.3), copy.deepcopy(recurrent)
    ).state_dict()
    prune.identity(conv, "weight")
    conv.load_state_dict(
        {key.removeprefix("0."): value for key, value in state.items() if key.startswith("0.")}
    )
    prune.identity(recurrent.recurrent, "weight")
    with torch.no_grad():
        recurrent.recurrent.weight_mask[1] = 0
    converted = from_torch(nn.Sequential(conv, recurrent), events(6, 7, 1, 6, 6))
    assert converted.exact
    assert differing(converted) == 0
    expected = (conv.weight_orig * conv.weight_mask * 4).detach().numpy()
    np.testing.assert_array_equal(converted.network.weighted["layer0"].weight, expected)
    assert not converted.network.weighted["layer1.recurrent"].weight[1].any()


def test_weights_that_two_layers_share() -> None:
    torch.manual_seed(4)
    first, second = dyadic(nn.Linear(16, 16)), dyadic(nn.Linear(16, 16))
    second.weight = first.weight
    converted = from_torch(nn.Sequential(first, neuron(), second, neuron()), X)
    assert converted.exact
    assert differing(converted) == 0
    np.testing.assert_array_equal(
        converted.network.weighted["layer0"].weight, converted.network.weighted["layer2"].weight
    )


def test_a_model_in_training_mode_is_read_as_in_evaluation() -> None:
    class Halved(nn.Module):
        def forward(self, weight: Tensor) -> Tensor:
            return functional.dropout(weight, 0.5, self.training) / 2

    layer = linear(hadamard())
    parametrize.register_parametrization(layer, "weight", Halved())
    converted = from_torch(nn.Sequential(layer.train(), neuron(threshold=1.0)), X)
    np.testing.assert_array_equal(converted.network.weighted["layer0"].weight, hadamard().numpy())
    assert differing(converted) == 0


class Noisy(nn.Module):
    """A parametrization that never computes the same."""

    def forward(self, weight: Tensor) -> Tensor:
        """Add noise."""
        return weight + torch.rand_like(weight)


class AlwaysTraining(nn.Sequential):
    """Keeps its layers in training mode."""

    def train(self, mode: bool = True) -> Any:
        """Set the mode of itself alone."""
        self.training = mode
        return self


class SetsWeights(nn.Module):
    """Computes its layer's weights as it runs, from real ones of which torch.fx sees nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.lif = linear(hadamard()), neuron()
        self.register_buffer("real", torch.randn(16, 16))

    def forward(self, x: Tensor) -> Any:
        """Spikes."""
        self.fc.weight.data = torch.sign(self.get_buffer("real"))
        return self.lif(self.fc(x))


def plain_tensor() -> Any:
    layer = linear(hadamard())
    weight = layer.weight.detach()
    del layer._parameters["weight"]
    layer.weight = weight
    return layer


def noisy() -> Any:
    layer = linear(hadamard())
    parametrize.register_parametrization(layer, "weight", Noisy())
    return layer


class Tagged(torch.Tensor):
    """A tensor class of one's own."""


def of_tensor(weight: Tensor) -> Any:
    layer = linear(hadamard())
    layer.weight = nn.Parameter(weight, requires_grad=False)
    return layer


def reset_later(**options: Any) -> nn.Sequential:
    changed, loaded = neuron(), neuron(**options)
    changed.reset_mechanism = "zero"
    loaded.load_state_dict(changed.state_dict())
    return nn.Sequential(linear(hadamard()), loaded)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Sequential(plain_tensor(), neuron()), "0 (Linear): its weight is no parameter, and what computes it cannot be seen; make it an nn.P"),
        (nn.Sequential(noisy(), neuron()), "0 (Linear): its weight is another each time it is read; use a parametrization that computes the same"),
        (AlwaysTraining(linear(hadamard()), neuron()), "0 (Linear), 1 (Leaky): it stays in training mode when the model's eval() is called; let"),
        (SetsWeights(), "fc (Linear): its weight is another after a call of the model than before, so that forward sets it; keep what it"),
        (nn.Sequential(of_tensor(hadamard().as_subclass(Tagged)), neuron()), "0 (Linear): its weight is of the class Tagged, whose operations may"),
        (nn.Sequential(of_tensor(hadamard().to_sparse()), neuron()), "0 (Linear): its weight is torch.float32 in the layout torch.sparse_coo; ma"),
        (nn.Sequential(nn.Linear(16, 16, device="meta"), neuron()), "0 (Linear): its weight, bias are without values, on the device 'meta'; load"),
        (nn.Sequential(nn.Linear(16, 16, dtype=torch.complex64), neuron()), "0 (Linear): its weight, bias are torch.complex64 in the layout torch"),
        (reset_later(), "1 (Leaky): it was built with reset_mechanism='subtract', but holds 'zero', set or loaded since; build it with that"),
    ],
)  # fmt: skip
def test_weights_that_cannot_be_relied_on_are_refused(model: nn.Module, message: str) -> None:
    with pytest.raises(NotMappable, match=f"^{re.escape(message)}"):
        from_torch(model, X, weights="int8")


def with_value(module: Any, name: str, value: float) -> Any:
    """Change one number of a module."""
    with torch.no_grad():
        getattr(module, name).view(-1)[-1] = value
    return module


def hidden_nan() -> nn.Module:
    """Parametrize a layer by signs that hide NaN, as code that knows no NaN makes them."""

    class Signs(nn.Module):
        def forward(self, weight: Tensor) -> Tensor:
            return torch.where(weight >= 0, 1.0, -1.0).to(weight.dtype)

    layer = with_value(nn.Linear(16, 4), "weight", NAN)
    parametrize.register_parametrization(layer, "weight", Signs())
    return nn.Sequential(layer, neuron())


def net(*layers: nn.Module) -> nn.Module:
    return nn.Sequential(dyadic(nn.Linear(16, 4)), *layers)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Sequential(with_value(dyadic(nn.Linear(16, 4)), "weight", NAN), neuron()), "0 (Linear): its weight is not finite (NaN); train it again"),
        (nn.Sequential(with_value(dyadic(nn.Linear(16, 4)), "bias", NAN), neuron()), "0 (Linear): its bias is not finite (NaN); train it again"),
        (nn.Sequential(with_value(dyadic(nn.Linear(16, 4)), "bias", np.inf), neuron()), "0 (Linear): its bias is not finite (infinite); train it"),
        (hidden_nan(), "0 (Linear): its parametrizations.weight.original is not finite (NaN); train it again"),
        (net(with_value(nn.BatchNorm1d(4), "weight", NAN), neuron()), "1 (BatchNorm1d): its weight is not finite (NaN); train it again"),
        (net(with_value(nn.BatchNorm1d(4), "running_mean", NAN), neuron()), "1 (BatchNorm1d): its running_mean is not finite (NaN); train it"),
        (net(with_value(nn.BatchNorm1d(4), "running_var", np.inf), neuron()), "1 (BatchNorm1d): its running_var is not finite (infinite); tr"),
        (
            net(with_value(nn.BatchNorm1d(4, eps=0.0), "running_var", 0.0), neuron()),
            "1 (BatchNorm1d): its running_var is 0 in channel 3 and its eps 0, so that what it "
            "gives is not finite; set eps to 1e-5, or train",
        ),
        (net(nn.BatchNorm1d(4, eps=NAN), neuron()), "1 (BatchNorm1d): its running_var is 1 in channel 0 and its eps nan, so that what it gives is not finite"),
        (net(with_value(nn.BatchNorm1d(4), "running_var", -1.0), neuron()), "1 (BatchNorm1d): its running_var is -1 in channel 3 and its eps"),
        (net(neuron(threshold=NAN)), "1 (Leaky): its threshold is not finite (NaN); train it again"),
        (net(neuron(threshold=torch.tensor([1.0, 1.0, 1.0, np.inf]))), "1 (Leaky): its threshold is not finite (infinite); train it again"),
        (net(neuron(beta=NAN)), "1 (Leaky): its beta is not finite (NaN); train it again"),
        (net(snn.Synaptic(alpha=NAN, beta=0.5, init_hidden=True)), "1 (Synaptic): its alpha is not finite (NaN); train it again"),
        (
            net(snn.RLeaky(beta=0.5, all_to_all=False, V=cast(Any, torch.tensor([NAN] * 4)), learn_recurrent=False, init_hidden=True)),
            "1 (RLeaky): its V, recurrent.V are not finite (NaN); train it again",
        ),
    ],
)  # fmt: skip
def test_numbers_that_are_none_are_named(model: nn.Module, message: str) -> None:
    with pytest.raises(NotMappable, match=f"^{re.escape(message)}"):
        from_torch(model, X)
