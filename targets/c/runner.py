"""Compiles the artefact with its own Makefile, in a folder of its own, and runs it."""

from __future__ import annotations

import json
import shlex
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lehr.errors import FileRefused
from lehr.simulate import Trace
from lehr.targets.c.compiler import call, compiler, missing, require
from lehr.targets.c.render import DESCRIPTION, SOURCES


def read_files(folder: Path, names: Iterable[str]) -> dict[str, bytes]:
    """Files of a built artefact.

    Raises:
        FileRefused: when one of them cannot be read.
    """
    try:
        return {name: (folder / name).read_bytes() for name in names}
    except OSError as error:
        raise FileRefused(f"{folder} is no whole artefact of target c ({error}); build it again") from None


class CRunner:
    """Runs a built artefact of target `c`; the compiler is `$CC`, or `cc`."""

    def missing(self) -> str | None:
        """Which tool this machine lacks and how to install it, or None."""
        return missing("make")

    def run(self, folder: Path, x: npt.NDArray[np.uint8]) -> Trace:
        """Spikes and membranes of every neuron layer for inputs `[N, *shape]` or `[N, T, *shape]`.

        Raises:
            ToolMissing: when there is no compiler or no make.
            FileRefused: when the artefact lacks a file, or `x` does not fit it.
            NotBitExact: when it does not compile or run.
        """
        require("make")
        sources = read_files(folder, SOURCES)
        try:
            told = json.loads(read_files(folder, (DESCRIPTION,))[DESCRIPTION])
            shape, steps, layers = tuple(told["input"]), int(told["steps"]), told["layers"]
        except (ValueError, KeyError, TypeError) as error:
            raise FileRefused(f"{folder} is no whole artefact of target c ({error}); build it again") from None
        with tempfile.TemporaryDirectory(prefix="lehr-c-") as made:
            work = Path(made)
            for name, content in sources.items():
                (work / name).write_bytes(content)
            if x.ndim == len(shape) + 1:
                x = np.repeat(x[:, None], steps, axis=1)
            if x.shape[2:] != shape:
                raise FileRefused(f"input has shape {list(x.shape)}, the artefact takes {list(shape)} at each step; reshape it")
            call(["make", "-s", f"CC={shlex.join(compiler())}"], work, "does not compile")
            x.tofile(work / "input.u8")
            call(["./lehr_main", "--run", "input.u8", "output", str(x.shape[1])], work, "does not run")
            # One record a step: for each layer its spikes, then its membranes.
            fields = [(f"{kind}.{i}", kind, tuple(t["shape"])) for i, t in enumerate(layers) for kind in ("u1", "<i4")]
            record = np.fromfile(work / "output", np.dtype(fields)).reshape(x.shape[:2])
        names = [told["layer"] for told in layers]
        return Trace(
            {name: np.ascontiguousarray(record[f"u1.{i}"]) for i, name in enumerate(names)},
            {name: record[f"<i4.{i}"].astype(np.int32) for i, name in enumerate(names)},
        )
