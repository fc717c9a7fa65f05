"""What a record of forward computes of the model's tensors alone: weights, biases, factors."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.node import map_arg
from torch.utils._pytree import tree_leaves

from lehr.errors import NotMappable
from lehr.export.torchmodels.functions import called
from lehr.export.torchmodels.tracer import InDouble, held_tensor

_COMPUTES = ("get_attr", "call_function", "call_method", "call_module")


class Numbers:
    """Computer of what no input is in.

    Args:
        model: a settled copy, of which the record was made.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._known: dict[fx.Node, Any] = {}
        self._are: dict[fx.Node, bool] = {}

    def are(self, node: fx.Node) -> bool:
        """Return whether an operation is computed of the model's tensors alone."""
        if node not in self._are:
            taken = node.all_input_nodes
            self._are[node] = node.op == "get_attr" or (
                node.op in _COMPUTES and bool(taken) and all(map(self.are, taken))
            )
            if node.op == "call_module":
                module = self._model.get_submodule(str(node.target))
                self._are[node] &= not hasattr(module, "reset_mem")  # which has a state
        return self._are[node]

    def of(self, argument: Any) -> Any:
        """Return what an argument has been computed to be; None of a signal, and of no tensor.

        Raises:
            NotMappable: when it cannot be computed, or is another each time.
        """
        if not isinstance(argument, fx.Node) or not self.are(argument):
            return None
        if argument not in self._known:
            first, second = self._computed(argument, {}), self._computed(argument, {})
            pairs = zip(tree_leaves(first), tree_leaves(second), strict=True)
            if not all(torch.equal(a, b) for a, b in pairs if isinstance(a, Tensor)):
                raise NotMappable(
                    f"{argument.name}: {called(argument)} gives something else each time "
                    f"({argument.meta['line']}); let it compute the same in evaluation mode"
                )
            self._known[argument] = first
        return self._known[argument]

    def _computed(self, node: fx.Node, known: dict[fx.Node, Any]) -> Any:
        """Compute an operation, and before it what it takes."""
        if node in known:
            return known[node]
        if node.op == "get_attr":
            known[node] = held_tensor(self._model, str(node.target))
            return known[node]
        args, kwargs = map_arg((node.args, node.kwargs), lambda each: self._computed(each, known))
        try:
            with torch.no_grad(), InDouble():
                if node.op == "call_module":
                    known[node] = self._model.get_submodule(str(node.target))(*args, **kwargs)
                elif node.op == "call_method":
                    known[node] = getattr(args[0], str(node.target))(*args[1:], **kwargs)
                else:
                    known[node] = node.target(*args, **kwargs)  # type: ignore[operator]
        except Exception as error:  # whatever layers and functions raise
            raise NotMappable(
                f"{node.name}: {called(node)} cannot be computed ({type(error).__name__}: "
                f"{str(error).partition(chr(10))[0]}; {node.meta['line']})"
            ) from error
        return known[node]
