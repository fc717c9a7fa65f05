"""Runs the artefact in Intel's Lava, or else in brian2-loihi; neither is a chip."""

from __future__ import annotations

import os
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from lehr.errors import FileRefused, NotBitExact, ToolMissing, UsageError
from lehr.reading import read_json
from lehr.simulate import Trace
from lehr.spelling import one_of
from lehr.targets.loihi.netx import AGAIN, read_net
from lehr.targets.loihi.tools import BRIAN, LAVA
from lehr.targets.stepped import stepped

Tool = Literal["lava", "brian2-loihi"]
NETWORK, DESCRIPTION = "network.net", "loihi.json"
CHOICE = "LEHR_LOIHI_TOOL"
"""In the environment: which tool runs artefacts where it is not said otherwise."""


class LoihiRunner:
    """Runs a built artefact of target `loihi`.

    Args:
        tool: which one; `$LEHR_LOIHI_TOOL`, or else Lava where it is installed, and brian2-loihi
            where it is not, if None.
    """

    def __init__(self, tool: Tool | None = None) -> None:
        self.tool: Tool | None = tool

    def _choose(self) -> Tool:
        choice = (
            self.tool
            or os.environ.get(CHOICE)
            or ("brian2-loihi" if LAVA.missing() and not BRIAN.missing() else "lava")
        )
        for tool in get_args(Tool):
            if tool == choice:
                chosen: Tool = tool
                return chosen
        raise UsageError(f"{CHOICE} is {choice!r}; {one_of(choice, get_args(Tool))}")

    def missing(self) -> str | None:
        """Return which tool this machine lacks and how to install it, or None."""
        return (LAVA if self._choose() == "lava" else BRIAN).missing()

    def run(self, folder: Path, x: npt.NDArray[np.uint8]) -> Trace:
        """Spikes and membranes of every neuron layer for inputs `[N, *shape]` or `[N, T, *shape]`.

        Raises:
            ToolMissing: when the tool is not there, or the network needs Lava and it is not.
            FileRefused: when the artefact lacks a file, or `x` does not fit it.
            NotBitExact: when it does not run.
        """
        description = read_json(folder / DESCRIPTION, AGAIN)
        try:
            shape, steps = tuple(map(int, description["input"])), int(description["steps"])
            layers = {
                str(layer["layer"]): tuple(map(int, layer["shape"]))
                for layer in description["layers"]
            }
            lava_alone = str(description["lava_alone"])
        except (ValueError, KeyError, TypeError, OverflowError) as error:
            raise FileRefused(
                f"{folder / DESCRIPTION} describes no network ({error}); {AGAIN}"
            ) from None
        x = stepped(x, shape, steps, 1)
        tool, network = self._choose(), read_net(folder / NETWORK)
        if tool == "brian2-loihi" and lava_alone:
            raise ToolMissing(
                f"brian2-loihi has no {lava_alone}; run it in Lava: "
                f"{LAVA.missing() or f'{CHOICE}=lava'}"
            )
        given = {"x": np.ascontiguousarray(x), **(network if tool == "brian2-loihi" else {})}
        got = _run(tool, given, (folder / NETWORK).resolve())
        return _trace(got, layers, x.shape[:2])


def _run(
    tool: Tool, arrays: dict[str, npt.NDArray[Any]], network: Path
) -> dict[str, npt.NDArray[Any]]:
    failure = "does not run the artefact"
    with as_file(files("lehr.targets.loihi").joinpath("scripts")) as scripts:
        if tool == "lava":
            return LAVA.run(scripts / "lava_run.py", arrays, failure, [network])
        return BRIAN.run(scripts / "brian_run.py", arrays, failure)


def _trace(
    got: dict[str, npt.NDArray[Any]], layers: dict[str, tuple[int, ...]], lead: tuple[int, ...]
) -> Trace:
    spikes: dict[str, npt.NDArray[np.uint8]] = {}
    membranes: dict[str, npt.NDArray[np.int32]] = {}
    for k, (name, shape) in enumerate(layers.items()):
        try:
            spikes[name] = got[f"s{k}"].astype(np.uint8).reshape(*lead, *shape)
            membranes[name] = got[f"v{k}"].astype(np.int32).reshape(*lead, *shape)
        except (KeyError, ValueError):
            raise NotBitExact(
                f"the tool gives back another {name} than the artefact has; build it again"
            ) from None
    return Trace(spikes, membranes)
