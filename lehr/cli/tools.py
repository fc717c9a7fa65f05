"""Programs beside Python that lehr can use: their versions here, and how to get the missing."""

from __future__ import annotations

import shutil
import subprocess
from importlib import metadata

from lehr.cli.machine import MISSING
from lehr.prove.c.cbmc import CBMC
from lehr.prove.c.cbmc import INSTALL as OF_CBMC
from lehr.targets.c.figures import TOOLS as OF_C
from lehr.targets.verilog import INSTALL, NAMES, search_path

INSTALLING = {
    "cc": "install a C compiler (Debian: apt install gcc)",
    "c++": "install a C++ compiler (Debian: apt install g++)",
    "make": "install make (Debian: apt install make)",
    **OF_C,
    **INSTALL,
    CBMC: OF_CBMC,
}
"""By name, the way to get each of them."""
_ASKED = {"iverilog": "-V"}
"""Programs that say their version by another option than --version."""
_PATIENCE = 20
"""Seconds that a program may take to say its version."""


def version(tool: str) -> str:
    """Return the first line in which a program states its version.

    "missing" if it is not here, "" if it does not say.
    """
    named = (
        (name, path)
        for name in NAMES.get(tool, (tool,))
        if (path := shutil.which(name, path=search_path()))
    )
    name, path = next(named, ("", None))
    if path is None:
        return MISSING
    try:
        return metadata.version(name.removesuffix("-cli"))  # of PyPI: it takes seconds to ask it
    except metadata.PackageNotFoundError:
        pass
    try:
        said = subprocess.run(
            [path, _ASKED.get(tool, "--version")],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE,
            check=False,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return next((line.strip() for line in said.splitlines() if line.strip()), "")
