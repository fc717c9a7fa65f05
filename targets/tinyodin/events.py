"""Events for tinyODIN's input bus, and what comes out of its simulation."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lehr.errors import NotBitExact

TIME_REFERENCE = 0x1FF
"""The event by which all neurons leak."""
STEP, SAMPLE = 0x4000, 0x8000
"""In a file of events: the end of a step, the begin of a sample."""
_SIGN = 0x800


def events(x: npt.NDArray[np.uint8], leaks: bool) -> list[int]:
    """Return the words of inputs `[N, T, rows]`: by step, addresses in ascending order.

    A count of c is c events. Then comes the leak, where there is one.
    """
    words = list[int]()
    for sample in x:
        words.append(SAMPLE)
        for step in sample:
            words += np.repeat(np.arange(len(step)), step).tolist()
            words += [TIME_REFERENCE, STEP] if leaks else [STEP]
    return words


def read_output(
    text: str, samples: int, steps: int, neurons: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]:
    """Spikes and membranes, `[N, T, neurons]`, of the lines that the testbench wrote.

    Raises:
        NotBitExact: when they are no such lines, or too few, or a neuron fires more than 255 times
            in a step.
    """
    spikes = np.zeros((samples * steps, neurons), np.int64)
    membranes = np.zeros((samples * steps, neurons), np.int32)
    at = 0
    try:
        for line in text.splitlines():
            if line[0] == "=":
                membranes[at] = [int(word, 16) for word in line[1:].split()]
                at += 1
            else:
                spikes[at, int(line, 16)] += 1
    except (IndexError, ValueError):
        at = -1
    if at != samples * steps or spikes.max(initial=0) > np.iinfo(np.uint8).max:
        raise NotBitExact(
            "the Verilog of tinyODIN sends what no run of this artefact is; build the artefact "
            "again"
        )
    signed = np.where(membranes & _SIGN, membranes - 2 * _SIGN, membranes)
    shape = (samples, steps, neurons)
    return spikes.astype(np.uint8).reshape(shape), signed.astype(np.int32).reshape(shape)
