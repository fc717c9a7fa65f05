"""The fast engine's kernels, and those that a network takes."""

from __future__ import annotations

from typing import Any

import pytest
from strategies import Images

from lehr.network import Network
from lehr.simulate.fast import calls, engine

KERNELS = [each for each in vars(calls).values() if isinstance(each, calls.Kernel)]


def needed(net: Network, x: Images) -> list[tuple[calls.Kernel, calls.Kinds]]:
    """Return the kernels, with the types of their arguments, that a run takes."""
    asked: dict[tuple[calls.Kernel, calls.Kinds], None] = {}
    with pytest.MonkeyPatch.context() as patch:
        on = calls.Kernel.on

        def noted(kernel: calls.Kernel, arguments: tuple[Any, ...]) -> calls.Call:
            asked[kernel, calls.kinds_of(arguments)] = None
            return on(kernel, arguments)

        patch.setattr(calls.Kernel, "on", noted)
        engine.simulate(net, x)
    return list(asked)
