"""The command line. Only this package may import everything; nothing imports it.

torch is imported inside commands.
"""

from __future__ import annotations

import gc
import os
import sys

__all__ = ["main"]

_COLLECT_AFTER = 100_000
"""New objects after which Python looks for those that nothing holds.

Those of a command's imports stay, so that looking among them every 700 costs a tenth of its start.
"""


def main() -> None:
    """Run the command `lehr`."""
    gc.set_threshold(_COLLECT_AFTER)
    # numpy's threads of linear algebra cost a tenth of a second to start, and only the reference
    # engine multiplies by it.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from lehr.cli.commands import COMMANDS, GROUPS, application

    word = sys.argv[1] if len(sys.argv) > 1 else ""
    application(word if word in COMMANDS or word in GROUPS else "")()
