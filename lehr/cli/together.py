"""A command that several processes run together, started by a launcher such as torchrun."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from lehr.launched import launched

if TYPE_CHECKING:
    from lehr.cli.console import Output


@contextmanager
def together(out: Output) -> Iterator[Callable[[str], None]]:
    """Let one process print, and yield what lets this one meet the others.

    That is called with the device that a recipe trains on, once what needs no torch is done.
    """
    out.process = launched()
    with ExitStack() as joining:

        def join(device: str) -> None:
            from lehr.train.processes import joined

            joining.enter_context(joined(out.process, device))

        yield join
