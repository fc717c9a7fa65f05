"""Engines by name: one of lehr's own, or a target whose tool runs the network."""

from __future__ import annotations

from lehr.errors import UsageError
from lehr.network import Network
from lehr.simulate.engines import ENGINES, Run
from lehr.spelling import one_of


def engine(name: str, net: Network, threads: int = 1) -> Run:
    """Make what runs `net` on uint8 samples and traces the layers named.

    Args:
        name: a key of `lehr.simulate.engines.ENGINES`, or a registered target.
        net: the network.
        threads: over which the fast engine spreads samples; the others use one.

    Raises:
        UsageError: when no engine and no target is called `name`.
        NotMappable: when the engine does not compute the network. A target says so when it runs, as
            `lehr.targets.engine.run` does.
    """
    if name in ENGINES:
        return ENGINES[name](net, threads)
    from lehr.targets import registry
    from lehr.targets.engine import run

    known = [entry.name for entry in registry.entries()]
    if name not in known:
        raise UsageError(
            f"no engine and no target is called {name!r}; {one_of(name, (*ENGINES, *known))}"
        )
    target = registry.get(name)
    return lambda x, trace: run(target, net, x, trace)
