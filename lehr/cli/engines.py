"""The one list of what can simulate a network: engines of lehr, and targets whose tool runs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import import_module
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lehr.network import Network
    from lehr.simulate import Result

    Run = Callable[[npt.NDArray[np.uint8], tuple[str, ...]], Result]
    Feed = Callable[[npt.NDArray[np.uint8]], Result]

DEFAULT = "fast"


def _fast(net: Network, threads: int) -> Run:
    from lehr.simulate.fast.engine import Engine

    made = Engine(net, threads)
    return lambda x, trace: made.run(x, trace=trace)


def import_ahead(name: str) -> None:
    """Import what a run by the default engine takes, beside whatever follows: another process opens the network's file meanwhile."""

    def load() -> None:
        with suppress(Exception):  # who imports it next is told
            for module in ("lehr.simulate.fast.engine", "rich.progress", "rich.table"):
                import_module(module)

    if name == DEFAULT:
        Thread(target=load).start()


def _reference(net: Network, _: int) -> Run:
    from lehr.simulate import simulate

    return lambda x, trace: simulate(net, x, trace=trace)


def _torch(net: Network, _: int) -> Run:
    from lehr.simulate.torch_engine import simulate

    return lambda x, trace: simulate(net, x, trace=trace)


ENGINES: Mapping[str, Callable[[Network, int], Run]] = {"fast": _fast, "reference": _reference, "torch": _torch}
"""lehr's own, by name: each takes a network and a number of threads, which only the fast one uses."""


def _fast_stream(net: Network, trace: tuple[str, ...]) -> Feed:
    from lehr.simulate.fast.stream import Stream

    return Stream(net, 1, trace).feed


def _reference_stream(net: Network, trace: tuple[str, ...]) -> Feed:
    from lehr.simulate.reference import stream

    return stream(net, 1, trace)


def _torch_stream(net: Network, trace: tuple[str, ...]) -> Feed:
    from lehr.simulate.torch_engine import stream

    return stream(net, 1, trace)


STREAMS: Mapping[str, Callable[[Network, tuple[str, ...]], Feed]] = {
    "fast": _fast_stream,
    "reference": _reference_stream,
    "torch": _torch_stream,
}
"""How each of them runs a sample that does not fit memory: some steps at a time, from one state to the next."""
HELP = f"{', '.join(map(repr, ENGINES))}, or a target whose tool runs the network: 'onnx', 'c', 'fpga'."


def engine(name: str, net: Network, threads: int = 1) -> Run:
    """What runs `net` on uint8 samples and traces the layers named.

    Raises:
        UsageError: when no engine and no target is called `name`, or the target has no tool.
    """
    if name in ENGINES:
        return ENGINES[name](net, threads)
    from lehr.errors import UsageError
    from lehr.spelling import one_of
    from lehr.targets import registry
    from lehr.targets.engine import run

    known = [entry.name for entry in registry.entries()]
    if name not in known:
        raise UsageError(f"no engine and no target is called {name!r}; {one_of(name, (*ENGINES, *known))}")
    target = registry.get(name)
    return lambda x, trace: run(target, net, x, trace)
