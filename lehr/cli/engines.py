"""The option `--engine`, which a command states before anything of the simulator is imported."""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from threading import Thread

NAMES = ("fast", "reference", "torch")
"""The names in `lehr.simulate.engines.ENGINES`."""
DEFAULT = "fast"
HELP = (
    f"{', '.join(map(repr, NAMES))}, or a target whose tool runs the network: 'onnx', 'c', 'fpga'."
)


def import_ahead(name: str) -> None:
    """Import what a run by the default engine takes, in a thread beside whatever follows.

    Another process opens the network's file meanwhile.
    """

    def load() -> None:
        with suppress(Exception):  # the next import raises it again
            for module in ("lehr.simulate.fast.engine", "rich.progress", "rich.table"):
                import_module(module)

    if name == DEFAULT:
        Thread(target=load).start()
