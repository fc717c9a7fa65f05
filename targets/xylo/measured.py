"""Measurements by samna of an artefact, where it is installed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from lehr.artifact import AGAIN
from lehr.errors import NotBitExact
from lehr.reading import read_json
from lehr.targets.contract import Figure
from lehr.targets.samna import SAMNA
from lehr.targets.xylo.files import CONFIGURATION, LARGEST, SCRIPTS, WRITES


def validated(folder: Path) -> dict[str, npt.NDArray[np.int64]]:
    """Return what samna writes for the artefact's configuration.

    It is `address` and `value` of memory, and how many `registers`.

    Raises:
        ToolMissing: when samna is not installed.
        NotBitExact: when it does not take the configuration, or writes something else to memory
            than the artefact says.
    """
    outputs = SAMNA.run(
        SCRIPTS / "samna_check.py",
        {},
        "does not take the configuration",
        [(folder / CONFIGURATION).absolute()],
    )
    lines = (folder / WRITES).read_text("utf-8").splitlines()[1:]
    expected = {
        (int(address, 16), int(value)) for address, value in (line.split(",") for line in lines)
    }
    written = set(zip(outputs["address"].tolist(), outputs["value"].tolist(), strict=True))
    if expected != written:
        differ = sorted(expected ^ written)[0]
        raise NotBitExact(
            f"samna writes {len(expected ^ written):,} words otherwise than {WRITES}, first at "
            f"0x{differ[0]:05x}; build it again"
        )
    return outputs


def measure(folder: Path) -> tuple[Figure, ...]:
    """Return how much configuration samna writes.

    It is nothing where samna is not installed, or knows no core that the network is for. Of the
    first core it asks that outputs 2i and 2i + 1 have one threshold. Of the second neither Rockpool
    nor xylosim asks that.
    """
    configuration = read_json(folder / CONFIGURATION, AGAIN, LARGEST)["value0"]
    thresholds = [neuron["threshold"] for neuron in configuration["readout"]["neurons"]]
    if SAMNA.missing() or any(
        a != b for a, b in zip(thresholds[::2], thresholds[1::2], strict=False)
    ):
        return ()
    written = validated(folder)
    source = f"samna {SAMNA.version()}, which validated it as the first core's, without biases"
    return (
        Figure("memory writes of samna", written["address"].size, "words", source),
        Figure("register writes of samna", int(written["registers"]), "words", source),
    )
