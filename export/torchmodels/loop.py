"""A loop over time in forward, cut into steps that are proven to be one and the same step.

The record of a whole call is read in order. Calls of neurons number the steps; everything else has
the number of the latest thing that it is computed of. Written relative to its number, what each
neuron takes must read the same in every step, and states must be what the same neuron gave in the
step before. Then the record of one step says all.
"""

from __future__ import annotations

import operator
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.node import map_arg

from lehr.errors import NotMappable, together
from lehr.export.torchmodels.classes import (
    NEURONS,
    STATES,
    HoldsBack,
    count_returned,
    neuron_class,
)
from lehr.export.torchmodels.functions import bare_name, called
from lehr.export.torchmodels.tracer import Tracer

_ZEROS = frozenset({"zeros_like", "new_zeros"})
_STACKS = (torch.stack, torch.cat, torch.concat)
_ADDS = frozenset({"add", "iadd", "radd"})
_SUMS = frozenset({"sum", "mean"})
_TURNS = frozenset({"permute", "transpose", "swapaxes", "movedim"})


def most_calls(graph: fx.Graph, root: nn.Module) -> int:
    """Return how many times the neurons run in the record of a call that run the most."""
    calls = Counter(node.target for node in graph.nodes if keeps_state(node, root))
    return max(calls.values(), default=0)


def keeps_state(node: fx.Node, root: nn.Module) -> bool:
    """Return whether an operation is a call of a module that has a state."""
    return node.op == "call_module" and isinstance(
        root.get_submodule(str(node.target)), (HoldsBack, *NEURONS)
    )


class Cut:
    """The record of a call, cut into steps.

    Attributes:
        problems: what keeps the steps from being one, in sentences.
        steps: how many there are.
    """

    def __init__(self, graph: fx.Graph, tracer: Tracer, axis: int | None) -> None:
        self.problems: list[str] = []
        self._graph, self._tracer, self._axis = graph, tracer, axis
        self._root: nn.Module = tracer.root
        self._step: dict[fx.Node, int | None] = {}
        self._key: dict[fx.Node, int] = {}
        self._keys: dict[str, int] = {}
        self._calls: dict[str, list[fx.Node]] = defaultdict(list)
        self._input = next(iter(graph.nodes))
        # views of the input: of one step, whole or flattened, and of all of it
        self._now: dict[fx.Node, bool] = {}
        self._whole: set[fx.Node] = set()
        for node in graph.nodes:
            if node.op != "output":
                self._number(node)
        self.steps = max(map(len, self._calls.values()), default=0)

    @property
    def takes_steps(self) -> bool:
        """Whether all that is taken of the input is what it holds of one step."""
        return bool(self._now) and not self.problems

    def body(self) -> fx.Graph:
        """Return the record of one step, the last, with an argument for each state that it takes.

        It returns what forward returns of every step, and the new states.

        Raises:
            NotMappable: when steps are not all the same, or nothing is returned of all of them.
        """
        for name, calls in self._calls.items():
            if len(calls) != self.steps:
                most = next(each for each, all_ in self._calls.items() if len(all_) == self.steps)
                self.problems.append(
                    f"{name}: it runs {len(calls)} times in one call of forward, and {most} "
                    f"{self.steps} times ({calls[-1].meta['line']}); run every layer once in each "
                    "step"
                )
        if not self.problems:
            for name in self._calls:
                self._compare(name)
        returned = self._returned()
        if self.problems:
            raise NotMappable(*together(self.problems))
        return self._copied(returned)

    # ---------------------------------------------------------------- what is of which step
    def _number(self, node: fx.Node) -> None:
        """Give an operation the number of its step, and a key by which it is compared."""
        if node is self._input:
            self._whole |= {node} if self._axis is not None else set()
            self._set(node, None, "input")
        elif (
            self._whole.intersection(node.all_input_nodes)
            and bare_name(node) not in _ZEROS
            and not self._is_view(node)
        ):
            self.problems.append(
                f"model: its forward takes all steps of its input at once, in {called(node)} "
                f"({node.meta['line']}); let each step take its own, as x[step]"
            )
            self._set(node, None, f"of the whole input {node}")
        elif node.op == "get_attr":
            self._set(node, None, f"tensor {self._tensor(node)!r}")
        elif node not in self._step:
            own = [self._step[each] for each in node.all_input_nodes]
            step = max([number for number in own if number is not None], default=None)
            self._set(node, step, self._text(node, step))
        if keeps_state(node, self._root):
            self._set(node, len(self._calls[str(node.target)]), f"call of {node.target}")
            self._calls[str(node.target)].append(node)

    def _text(self, node: fx.Node, step: int | None) -> str:
        """Write an operation so that two which compute the same in their steps read the same."""
        args: Any = node.args
        if node.target is operator.getitem and keeps_state(args[0], self._root):
            args = (args[0], self._place(*args))
        return self._written(node.op, node.target, args, node.kwargs, step)

    def _written(self, op: str, target: Any, args: Any, kwargs: Any, step: int | None) -> str:
        # many functions of torch share one name
        name = target if isinstance(target, str) else id(target)
        given = map_arg((args, kwargs), lambda each: self._relative(each, step))
        return f"{op} {name} {given!r}"

    def _set(self, node: fx.Node, step: int | None, text: str) -> None:
        self._step[node] = step
        self._key[node] = self._keys.setdefault(text, len(self._keys))

    def _relative(self, node: fx.Node, step: int | None) -> str:
        """Write what is computed, and how many steps before."""
        own = self._step[node]
        before = "" if own is None or step is None else own - step
        return f"%{self._key[node]}@{before}"

    def _place(self, call: fx.Node, place: Any) -> Any:
        """Return which of a neuron's values is taken, counted from the first."""
        values = count_returned(self._root.get_submodule(str(call.target)))
        return place % values if isinstance(place, int) else place

    def _tensor(self, node: fx.Node) -> Any:
        """Return what a tensor of the model's is compared by: name, or numbers made on the way."""
        name = str(node.target)
        if not name.startswith("_tensor_constant"):
            return name
        value: Tensor = getattr(self._root, name)
        return tuple(value.shape), value.flatten().tolist()

    def _is_view(self, node: fx.Node) -> bool:
        """Take in a view of the input, of all steps or of one, whole or with samples flattened."""
        try:
            value = self._tracer.value(node)
        except NotMappable:
            return False
        if not isinstance(value, Tensor):  # views, as of unbind
            self._whole.add(node)
            self._set(node, None, f"views of the input {node}")
            return True
        given, axis = self._tracer.value(self._input), self._axis
        if axis is None or value.untyped_storage()._cdata != given.untyped_storage()._cdata:
            return False
        number = min(value.storage_offset() // given.stride(axis), given.shape[axis] - 1)
        one = given.select(axis, number)
        for flat, view in ((False, one), (True, one.flatten(1))):
            if _layout(view) == _layout(value):
                self._now[node] = flat
                self._set(node, number, f"input of the step, flat {flat}")
                return True
        self._whole.add(node)
        self._set(node, None, f"view of the input {node}")
        return True

    # ---------------------------------------------------------------- whether steps are the same
    def _compare(self, name: str) -> None:
        """Compare what a neuron takes in every step with what it takes in the last."""
        calls = self._calls[name]
        last = self._taken(calls[-1])
        for step, call in enumerate(calls):
            here = self._taken(call)
            if self._relative(here, step) != self._relative(last, self.steps - 1):
                one, other = self._differing(here, last)
                self.problems.append(
                    f"{name}: what it takes in step {step} is not computed as in step "
                    f"{self.steps - 1} ({one.meta['line']}, {other.meta['line']}); let every step "
                    "compute the same"
                )
                return
            if problem := self._wrong_state(name, step, call):
                self.problems.append(f"{name}: {problem} ({call.meta['line']})")
                return

    @staticmethod
    def _taken(call: fx.Node) -> fx.Node:
        return call.all_input_nodes[0]

    def _differing(self, one: fx.Node, other: fx.Node) -> tuple[fx.Node, fx.Node]:
        """Return the first operations, from the input on, in which two computations differ."""
        if one.target == other.target and not keeps_state(one, self._root):
            pairs = list(zip(one.all_input_nodes, other.all_input_nodes, strict=False))
            for a, b in pairs:
                if self._key[a] != self._key[b]:
                    return self._differing(a, b)
        return one, other

    def _states(self, call: fx.Node) -> Iterator[tuple[str, int, Any]]:
        """Yield the states that a known neuron is given, with the place of the new ones."""
        kind = neuron_class(self._root.get_submodule(str(call.target)))
        known = () if kind is None else STATES[kind]
        given = dict(zip([state for state, _ in known], call.args[1:], strict=False)) | call.kwargs
        for state, place in known:
            if state in given:
                yield state, place, given[state]

    def _wrong_state(self, name: str, step: int, call: fx.Node) -> str | None:
        """Say why a state is not zero in the first step, or not the one of the step before."""
        states = list(self._states(call))
        kind = neuron_class(self._root.get_submodule(name))
        kept = kind is not None and len(states) < len(STATES[kind])
        if kept and step and call.meta["anew"]:
            return f"its state is set anew before step {step}; set it before the loop, not in it"
        if step == 0:
            if call.meta.get("nonzero"):
                return "its state does not begin at zero; begin with reset_mem()"
            for state, _, value in states:
                if value is not None and not self._is_zero(value):
                    return (
                        f"its state {state} begins at {value}, not at zero; begin with reset_mem()"
                    )
            return None
        for state, place, value in states:
            before = self._calls[name][step - 1]
            text = self._written("call_function", operator.getitem, (before, place), {}, step - 1)
            same = isinstance(value, fx.Node) and self._key[value] == self._keys.get(text)
            if not same or self._step[value] != step - 1:
                return (
                    f"its state {state} in step {step} is not the one that it gave in the step "
                    f"before, but {value}; hand on what it returns"
                )
        return None

    def _is_zero(self, value: Any) -> bool:
        """Return whether a state that begins is zero; tensors made on the way are known by now."""
        if not isinstance(value, fx.Node):
            return False
        return value.op == "get_attr" or bare_name(value) in _ZEROS

    # ---------------------------------------------------------------- what is returned
    def _returned(self) -> list[fx.Node]:
        """Return the operations of the last step whose values of all steps forward returns."""
        groups: dict[int, dict[int, fx.Node]] = defaultdict(dict)
        output = next(iter(reversed(self._graph.nodes)))
        for node in self._collected(output.args[0]):
            step = self._step[node]
            if step is not None:
                groups[self._key[node]][step] = node
        whole = [each[self.steps - 1] for each in groups.values() if len(each) == self.steps]
        if not whole and not self.problems:
            self.problems.append(
                f"model: its forward returns nothing of all its {self.steps} steps; collect what "
                "each gives in a list, and return torch.stack of it"
            )
        return whole

    def _collected(self, value: Any) -> Iterator[fx.Node]:
        """Yield what is collected in lists, stacks, and sums over the steps."""
        pending: list[Any] = [value]
        while pending:
            each: Any = pending.pop(0)
            if isinstance(each, list | tuple):
                pending[:0] = each
            elif isinstance(each, dict):
                pending[:0] = each.values()
            elif not isinstance(each, fx.Node):
                continue
            elif each.target in _STACKS or bare_name(each) in _TURNS:
                pending.insert(0, each.args[0])
            elif self._is_sum_over_steps(each):
                stack: Any = each.args[0]
                pending.insert(0, stack.args[0])
            elif self._is_running_sum(each):
                pending[:0] = each.args
            else:
                yield each

    @staticmethod
    def _is_sum_over_steps(node: fx.Node) -> bool:
        """Return whether a stack of steps is summed, or averaged, along the axis of the stack."""
        stack: Any = node.args[0] if node.args else None
        if bare_name(node) not in _SUMS or not isinstance(stack, fx.Node):
            return False

        def axis(each: fx.Node, default: Any) -> Any:
            return each.kwargs.get("dim", each.args[1] if len(each.args) > 1 else default)

        over = axis(stack, 0)
        return stack.target is torch.stack and axis(node, None) in (over, [over], (over,))

    def _is_running_sum(self, node: fx.Node) -> bool:
        """Return whether what a step gives is added to the sum of those before."""
        if bare_name(node).strip("_") not in _ADDS or len(node.args) != 2:
            return False
        before, now = node.args[0], node.args[1]
        if not isinstance(now, fx.Node) or self._step[now] != self._step[node]:
            return False
        if not isinstance(before, fx.Node):
            return bool(before == 0)
        own, step = self._step[before], self._step[node]
        begins = own is None and step == 0 and self._is_zero(before) and not self._any(before)
        return begins or (own is not None and step is not None and own == step - 1)

    def _any(self, node: fx.Node) -> bool:
        return node.op == "get_attr" and bool(getattr(self._root, str(node.target)).any())

    # ---------------------------------------------------------------- one step
    def _copied(self, returned: list[fx.Node]) -> fx.Graph:
        """Copy the last step into a record of its own."""
        body = fx.Graph()
        taken = body.placeholder("x")
        taken.meta["shape"] = self._shape()
        copies: dict[fx.Node, fx.Node] = {}
        new: list[tuple[fx.Node, int]] = []
        last = [calls[-1] for calls in self._calls.values()]
        for call in last:
            for state, place, value in self._states(call):
                if isinstance(value, fx.Node):
                    name = f"{str(call.target).replace('.', '_')}_{state}"
                    copies[value] = body.placeholder(name)
                    new.append((call, place))
        wanted = self._cone([*last, *returned], copies)
        self._tracer.measure_reshapes(node for node in self._graph.nodes if node in wanted)
        for node in self._graph.nodes:
            if node not in wanted:
                continue
            if node is self._input or node in self._now:
                copies[node] = self._flat(body, taken) if self._now.get(node) else taken
                continue
            given = map_arg((node.args, node.kwargs), lambda each: copies.get(each, taken))
            copies[node] = body.create_node(node.op, node.target, *given)
            copies[node].meta = dict(node.meta)
            if not self._is_known(node):
                copies[node].args, copies[node].kwargs = copies[node].args[:1], {}
        states = [body.call_function(operator.getitem, (copies[call], at)) for call, at in new]
        body.output((*[copies[node] for node in returned], *states))
        return body

    def _shape(self) -> torch.Size:
        """Return the shape of what one step takes."""
        given: Tensor = self._tracer.value(self._input)
        return given.shape if self._axis is None else given.select(self._axis, 0).shape

    def _flat(self, body: fx.Graph, taken: fx.Node) -> fx.Node:
        flat = body.call_function(torch.flatten, (taken, 1))
        flat.meta["shape"] = torch.empty(self._shape(), device="meta").flatten(1).shape
        return flat

    def _is_known(self, node: fx.Node) -> bool:
        """Return whether it is known what states a call of neurons takes, if it is one."""
        if not keeps_state(node, self._root):
            return True
        return neuron_class(self._root.get_submodule(str(node.target))) is not None

    def _cone(self, roots: list[fx.Node], states: Iterable[fx.Node]) -> set[fx.Node]:
        """Return what the last step is computed of, without the states that it takes."""
        wanted: set[fx.Node] = set()
        pending = list(roots)
        while pending:
            node = pending.pop()
            if node in wanted or node in states:
                continue
            wanted.add(node)
            if self._step[node] not in (None, self.steps - 1):
                raise NotMappable(
                    f"{node}: what it gives in a step is taken in a later one "
                    f"({node.meta['line']}); only the states of neurons may be"
                )
            if node not in self._now:
                pending += node.all_input_nodes[: None if self._is_known(node) else 1]
        return wanted


def _layout(value: Tensor) -> tuple[Any, ...]:
    return value.storage_offset(), value.shape, value.stride()
