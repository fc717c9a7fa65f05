"""Run an artefact in its vendor's simulator.

Every spike and membrane goes to the caller, every synapse is checked here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lehr.arithmetic import Int64
from lehr.artifact import AGAIN
from lehr.errors import FileRefused, NotBitExact
from lehr.reading import read_json
from lehr.simulate import Trace
from lehr.targets.environments import Environment
from lehr.targets.stepped import stepped
from lehr.targets.wiring import late
from lehr.targets.xylo.files import CONFIGURATION, LARGEST, PLACES, SCRIPTS
from lehr.targets.xylo.form import STATE

XYLOSIM = Environment(
    "xylosim", "xylosim", (("xylosim==0.1.3", "numpy==2.4.6", "pyyaml==6.0.4"),), "3.11"
)
MOST_COUNT = 15
"""The most events of an input in a step."""
Arrays = Mapping[str, npt.NDArray[Any]]


class Xylosim:
    """Runs artefacts of target `xylo` in SynSense's bit-exact simulator."""

    def missing(self) -> str | None:
        """Return how to install the simulator, where it is not installed; else None."""
        return XYLOSIM.missing()

    def run(self, folder: Path, x: npt.NDArray[np.uint8]) -> Trace:
        """Spikes and membranes of every neuron layer for inputs `[N, *shape]` or `[N, T, *shape]`.

        Raises:
            ToolMissing: when the simulator is not installed.
            FileRefused: when the artefact lacks a file, or `x` does not fit it.
            NotBitExact: when the simulator fails, or a synapse's current is not what the spikes
                make it.
        """
        places, chip = (
            read_json(folder / PLACES, AGAIN),
            read_json(folder / CONFIGURATION, AGAIN, LARGEST),
        )
        try:
            shape, steps, lag = tuple(places["input"]), int(places["steps"]), int(places["lag"])
            layers = [
                (
                    str(t["layer"]),
                    tuple(t["shape"]),
                    int(t["first"]),
                    int(t["lag"]),
                    bool(t["output"]),
                )
                for t in places["layers"]
            ]
            chip = chip["value0"]
        except (KeyError, TypeError, ValueError) as error:
            raise FileRefused(
                f"{folder / PLACES} describes no network ({error}); {AGAIN}"
            ) from None
        inputs = _inputs(x, shape, steps)
        longest = max(lag, *(each[3] for each in layers))
        fed = late(inputs, lag, inputs.shape[1] + longest)
        outputs = XYLOSIM.run(
            SCRIPTS / "xylosim_run.py",
            {"x": fed},
            "does not run the artefact",
            [(folder / CONFIGURATION).absolute()],
        )
        _require_currents(outputs, chip, fed)
        spikes, membranes = {}, {}
        for name, form, first, behind, output in layers:
            steps_run = slice(behind, behind + inputs.shape[1])
            at = (slice(None), steps_run, slice(first, first + int(np.prod(form))))
            population = "output" if output else "hidden"
            wanted = (*inputs.shape[:2], *form)
            spikes[name] = outputs[f"spikes.{population}"][at].reshape(wanted)
            membranes[name] = outputs[f"membrane.{population}"][at].reshape(wanted).astype(np.int32)
        return Trace(spikes, membranes)


def _inputs(x: npt.NDArray[np.uint8], shape: tuple[int, ...], steps: int) -> npt.NDArray[np.uint8]:
    """Return inputs as the chip takes them, `[N, T, inputs]`."""
    x = stepped(x, shape, steps)
    if x.size and int(x.max()) > MOST_COUNT:
        raise FileRefused(
            f"input holds {x.max()} events of one step, the chip takes {MOST_COUNT}; give fewer, "
            "or shorter steps"
        )
    return x.reshape(*x.shape[:2], -1)


def _require_currents(outputs: Arrays, chip: Mapping[str, Any], x: npt.NDArray[np.uint8]) -> None:
    """Raise NotBitExact unless every synapse's current is what the spikes that came to it make.

    The definition says what they make.
    """
    before = np.zeros_like(outputs["spikes.hidden"])
    before[:, 1:] = outputs["spikes.hidden"][:, :-1]
    reservoir, readout = chip["reservoir"], chip["readout"]
    for name, arrives, neurons in (
        (
            "hidden",
            _arriving(chip["input"], x) + _arriving(reservoir, before),
            reservoir["neurons"],
        ),
        ("output", _arriving(readout, before), readout["neurons"]),
    ):
        dash = np.array([neuron["i_syn_decay"] for neuron in neurons])
        current = np.zeros_like(arrives[:, 0])
        for t in range(arrives.shape[1]):
            current = np.clip(current + arrives[:, t], *STATE)
            taken = current >> dash
            current = current - np.where(taken == 0, np.sign(current), taken)
            wrong = current != outputs[f"current.{name}"][:, t]
            if wrong.any():
                sample, neuron = (
                    int(at) for at in np.unravel_index(int(wrong.argmax()), wrong.shape)
                )
                got = int(outputs[f"current.{name}"][sample, t, neuron])
                where = (
                    f"{name} neuron {neuron} at step {t} of sample {sample} is {got}, expected "
                    f"{current[sample, neuron]}"
                )
                raise NotBitExact(
                    f"xylosim: the synapse's current of {where}; report it as a bug of lehr"
                )


def _arriving(part: Mapping[str, Any], events: npt.NDArray[np.uint8]) -> Int64:
    size = part["weights"]["dimensions"]
    matrix = np.array(part["weights"]["values"], np.int64).reshape(size["value0"], size["value1"])
    sums: Int64 = events.astype(np.int64) @ (matrix << part["weight_bit_shift"])
    return sums
