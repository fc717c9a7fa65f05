"""Compiles the artefact with its own Makefile, in a folder of its own, and runs it."""

from __future__ import annotations

import shlex
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lehr.errors import FileRefused, NotBitExact
from lehr.reading import read_bytes, read_json
from lehr.simulate import Trace
from lehr.targets.c.compiler import call, compiler, missing, require
from lehr.targets.c.render import DESCRIPTION, SOURCES
from lehr.targets.stepped import stepped

_WAY_OUT = "give a whole artefact of target c, or build it again"
_LARGEST = 1 << 31
"""Bytes of a source: more than of any network that fits in memory."""


class CRunner:
    """Runs a built artefact of target `c`; the compiler is `$CC`, or `cc`."""

    def missing(self) -> str | None:
        """Return which tool this machine lacks and how to install it, or None."""
        return missing("make")

    def run(self, folder: Path, x: npt.NDArray[np.uint8]) -> Trace:
        """Spikes and membranes of every neuron layer for inputs `[N, *shape]` or `[N, T, *shape]`.

        Raises:
            ToolMissing: when there is no compiler or no make.
            FileRefused: when the artefact lacks a file, or `x` does not fit it.
            NotBitExact: when it does not compile or run.
        """
        require("make")
        sources = {name: read_bytes(folder / name, _LARGEST, _WAY_OUT) for name in SOURCES}
        facts = read_json(folder / DESCRIPTION, _WAY_OUT)
        try:
            shape, steps = tuple(facts["input"]), int(facts["steps"])
            names = [str(layer["layer"]) for layer in facts["layers"]]
            # One record a step: for each layer its spikes, then its membranes.
            fields = [
                (f"{kind}.{i}", kind, tuple(t["shape"]))
                for i, t in enumerate(facts["layers"])
                for kind in ("u1", "<i4")
            ]
            record = np.dtype(fields)
        except (ValueError, KeyError, TypeError, OverflowError) as error:
            raise FileRefused(
                f"{folder / DESCRIPTION} describes no network ({error}); {_WAY_OUT}"
            ) from None
        x = stepped(x, shape, steps)
        with tempfile.TemporaryDirectory(prefix="lehr-c-") as scratch:
            work = Path(scratch)
            for name, content in sources.items():
                (work / name).write_bytes(content)
            call(["make", "-s", f"CC={shlex.join(compiler())}"], work, "does not compile")
            x.tofile(work / "input.u8")
            call(
                ["./lehr_main", "--run", "input.u8", "output", str(x.shape[1])],
                work,
                "does not run",
            )
            output = work / "output"
            size, due = (
                output.stat().st_size if output.is_file() else 0,
                record.itemsize * x.shape[0] * x.shape[1],
            )
            if size != due:
                raise NotBitExact(
                    f"the C code writes {size:,} bytes of results, not {due:,}; build the artefact "
                    "again"
                )
            steps_run = np.fromfile(output, record).reshape(x.shape[:2])
        return Trace(
            {name: np.ascontiguousarray(steps_run[f"u1.{i}"]) for i, name in enumerate(names)},
            {name: steps_run[f"<i4.{i}"].astype(np.int32) for i, name in enumerate(names)},
        )
