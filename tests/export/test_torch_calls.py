"""Code that runs besides the forward pass of a layer's class.

It is refused by name, or, where it only runs the model inside, taken off.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import snntorch as snn
import torch
from torch import Tensor, nn
from torch.nn.modules import module as everywhere
from torch_models import differing, dyadic, events, result_of, stepped

from lehr.errors import NotMappable
from lehr.export import from_torch

X = events(8, 12, 7)


def neuron(**options: Any) -> Any:
    return snn.Leaky(**{"beta": 0.5, "threshold": 0.75, "init_hidden": True, **options})


def model() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(dyadic(nn.Linear(7, 5)), neuron())


def tripled(_module: nn.Module, _given: Any, output: Tensor) -> Tensor:
    """Triple what a module gives: a forward hook."""
    return output * 3


def tripled_too(_module: nn.Module, _given: Any, _named: Any, output: Tensor) -> Tensor:
    """Triple what a module gives: a forward hook that takes arguments by name."""
    return output * 3


def inverted(_module: nn.Module, given: Any) -> Any:
    """Invert what a module takes: a forward pre-hook."""
    return (1 - given[0],)


def on_layer(net: Any) -> Any:
    net[0].register_forward_hook(tripled)
    return net


def on_layer_always(net: Any) -> Any:
    net[0].register_forward_hook(tripled_too, with_kwargs=True, always_call=True)
    return net


def on_model(net: Any) -> Any:
    net.register_forward_pre_hook(inverted)
    return net


def on_wrapper(net: Any) -> Any:
    wrapper = nn.DataParallel(net)
    wrapper.register_forward_hook(tripled)
    return wrapper


def on_recurrence(_: Any) -> Any:
    recurrent: Any = snn.RLeaky(beta=0.5, linear_features=5, init_hidden=True)
    dyadic(recurrent.recurrent).register_forward_hook(tripled)
    return nn.Sequential(dyadic(nn.Linear(7, 5)), recurrent)


def on_weight(net: Any) -> Any:
    nn.utils.parametrizations.weight_norm(net[0])
    net[0].parametrizations.weight.register_forward_hook(tripled)
    return net


def other_forward(net: Any) -> Any:
    net[0].forward = tripled
    return net


def other_forward_of_all(net: Any) -> Any:
    net.forward = tripled
    return net


def other_reset(net: Any) -> Any:
    net[1].mem_reset = tripled
    return net


def other_state(net: Any) -> Any:
    net[1].state_function = torch.zeros_like
    return net


class Called(nn.Sequential):
    """Does something around forward."""

    def __call__(self, x: Tensor) -> Any:
        """Call the layer with the inverted input."""
        return super().__call__(1 - x)


PRE = "which may change what it takes or computes with; remove it: handle.remove()"
POST = "which may change what it gives; remove it: handle.remove()"


@pytest.mark.few(2)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (on_layer, f"0 (Linear): it has a forward hook (tripled), {POST}"),
        (on_layer_always, f"0 (Linear): it has a forward hook (tripled_too), {POST}"),
        (on_model, f"model (Sequential): it has a forward pre-hook (inverted), {PRE}"),
        (on_wrapper, f"model (DataParallel): it has a forward hook (tripled), {POST}"),
        (on_recurrence, f"1.recurrent (Linear): it has a forward hook (tripled), {POST}"),
        (
            on_weight,
            "0.parametrizations.weight (ParametrizationList): it has a forward hook (tripled), "
            f"{POST}",
        ),
        (
            other_forward,
            "0 (Linear): its forward was replaced on this one object (by tripled);"
            " write a class of its own, or bring it back: del module.forward",
        ),
        (
            other_forward_of_all,
            "model (Sequential): its forward was replaced on this one object (by tripled);"
            " write a class of its own, or bring it back: del module.forward",
        ),
        (
            other_reset,
            "1 (Leaky): its mem_reset was replaced on this one object (by tripled);"
            " write a class of its own, or bring it back: del module.mem_reset",
        ),
        (other_state, "1 (Leaky): its state_function was replaced; build it anew"),
        (
            lambda net: Called(*net),
            "model (Called): its class replaces __call__, which is run around forward; do in "
            "forward what that does",
        ),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_what_is_run_besides_is_refused(change: Callable[[Any], Any], message: str) -> None:
    assert from_torch(model(), X).exact
    with pytest.raises(NotMappable, match=f"^{re.escape(message)}$"):
        from_torch(change(model()), X, weights="int8")


def test_replaced_functions_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Functions that layers call: what they compute is no layer's to say."""

    def tripling(*given: Any) -> Any:
        return given[0] @ given[1].T * 3

    with monkeypatch.context() as patched:
        patched.setattr(nn.functional, "linear", tripling)
        with pytest.raises(
            NotMappable,
            match=r"^torch: its nn.functional.linear was replaced \(by .*tripling\); export in a process that",
        ):
            from_torch(model(), X)
    assert from_torch(model(), X).exact


@pytest.mark.parametrize(
    ("register", "hook", "kind"),
    [
        (everywhere.register_module_forward_hook, tripled, "hook"),
        (everywhere.register_module_forward_pre_hook, inverted, "pre-hook"),
    ],
)
def test_hooks_for_all_modules_are_refused(
    register: Callable[[Any], Any], hook: Any, kind: str
) -> None:
    handle = register(hook)
    try:
        with pytest.raises(
            NotMappable,
            match=rf"^torch: it has a global forward {kind} \({hook.__name__}\), .* remove it: handle.remove",
        ):
            from_torch(model(), X)
    finally:
        handle.remove()
    assert from_torch(model(), X).exact


def test_a_class_that_was_changed_for_the_whole_process_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(nn.Linear, "forward", tripled)
    with pytest.raises(
        NotMappable,
        match=r"^0 \(Linear\): Linear.forward was replaced \(by tripled\); export in a process that leaves",
    ):
        from_torch(model(), X)


def test_hooks_that_change_no_value_of_a_run_are_let_be() -> None:
    net = model()
    net[0].register_full_backward_hook(lambda *_: None)
    net[0].register_forward_hook(tripled).remove()
    assert from_torch(net, X).exact


@pytest.mark.parametrize(
    "wrap",
    [
        nn.DataParallel,
        torch.optim.swa_utils.AveragedModel,
        lambda net: nn.DataParallel(nn.DataParallel(net)),
    ],
)
def test_wrappers_are_taken_off(wrap: Callable[[nn.Module], nn.Module]) -> None:
    converted = from_torch(wrap(model()), X)
    assert converted.exact
    layer: Any = model()[0]
    expected = stepped(layer, neuron(init_hidden=False), X, 1)[0].numpy()
    assert (result_of(converted).trace.spikes["layer1"] == expected).all()
    inner = from_torch(
        nn.Sequential(wrap(model()), dyadic(nn.Linear(5, 4)), neuron(threshold=0.25)), X
    )
    assert list(inner.network.neurons) == ["layer0.1", "layer2"]
    assert differing(inner) == 0


@pytest.mark.slow
def test_a_distributed_model_is_taken_off_its_wrapper(tmp_path: Path) -> None:
    distributed = torch.distributed
    distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1
    )
    try:
        converted = from_torch(nn.parallel.DistributedDataParallel(model()), X)
    finally:
        distributed.destroy_process_group()
    assert converted.network == from_torch(model(), X).network
    assert differing(converted) == 0


def compiled_in_place(net: Any) -> Any:
    net.compile()
    return net


def compiled_forward(net: Any) -> Any:
    net.forward = torch.compile(net.forward)
    return net


def compiled_class(_: Any) -> Any:
    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer0, self.layer1 = model()

        @torch.compile
        def forward(self, x: Tensor) -> Any:
            return self.layer1(self.layer0(x))

    return Whole()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning")
@pytest.mark.parametrize(
    "wrap", [torch.compile, compiled_in_place, compiled_forward, compiled_class]
)
def test_compiled_models_are_what_was_compiled(wrap: Callable[[Any], Any]) -> None:
    """The import of torch.compile alone takes seconds."""
    converted = from_torch(wrap(model()), X)
    assert converted.network == from_torch(model(), X).network
    assert differing(converted) == 0
    compiled = wrap(model())
    compiled.register_forward_hook(tripled)
    with pytest.raises(NotMappable, match=f"^model .* it has a forward hook .*{re.escape(POST)}$"):
        from_torch(compiled, X)
