"""The description of a memristive crossbar: a TOML file, or the same keys in Python.

    seeds = 20
    levels = 2
    g_min = 2e-6
    g_max = 1e-4
    variation = { deviation = 0.2 }

Every key but the conductances may be left out: what is not said is ideal.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, model_validator

from lehr.errors import FileRefused, UsageError
from lehr.mistakes import Mistakes, mistakes
from lehr.reading import read_text
from lehr.strict import LIST, Count, Strict
from lehr.toml import table_of

DEVICE_BYTES = 1 << 16
LEAST_RATIO = 1.01
"""Of g_max to g_min: with less, a weight would be lost among the digits of float64."""

Share = Annotated[float, Field(ge=0, le=1)]
Deviation = Annotated[float, Field(ge=0, le=10)]
Siemens = Annotated[float, Field(gt=0)]


class Variation(Strict):
    """How far conductances are from what they were programmed to.

    Attributes:
        deviation: relative standard deviation of a cell's conductance, drawn once for each cell.
        distribution: `lognormal`, whose mean is what was programmed; or `normal`, cut off at 0.
        read: relative standard deviation of each cell in each read, normal and independent of every
            other cell, step and sample.
    """

    deviation: Deviation = 0.0
    distribution: Literal["lognormal", "normal"] = "lognormal"
    read: Deviation = 0.0


class Stuck(Strict):
    """Shares of the cells that cannot be programmed.

    Attributes:
        low, high: those that are at g_min and at g_max, whatever was written; they vary and drift
            no more.
    """

    low: Share = 0.0
    high: Share = 0.0


class Drift(Strict):
    """The power law by which conductances fall from the `reference` to the `time`.

    g(time) = g(reference) * (time / reference)^-exponent.

    Attributes:
        exponent: nu, mean of all cells.
        deviation: standard deviation of nu from cell to cell, normal, in the same unit as nu.
        time, reference: when the network runs, and when the conductances were those programmed, in
            the same unit.
    """

    exponent: Annotated[float, Field(ge=0, le=10)]
    deviation: Deviation = 0.0
    time: Annotated[float, Field(gt=0)]
    reference: Annotated[float, Field(gt=0)] = 1.0


class Converter(Strict):
    """What reads the difference of two bit lines, as a whole number of weights.

    Attributes:
        bits: of its code, which saturates at both ends; as many as any sum needs if None.
        step: how many weights one code is; if None, the least with which no sum that the exact
            network can make saturates, 1 where there is no limit of bits.
    """

    bits: Annotated[int, Field(ge=2, le=32)] | None = None
    step: Count | None = None


class Device(Strict):
    """A crossbar of differential pairs.

    Attributes:
        seeds: how many devices are drawn.
        seed: of the first one; the others count on from it.
        levels: conductances to which a cell can be programmed, equally spaced from g_min to g_max,
            both among them.
        g_min, g_max: in siemens, or in any other unit.
        nodes: names of the nodes whose weights are in crossbars, all that have weights if None.
    """

    seeds: Annotated[int, Field(ge=1, le=10_000)] = 20
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    levels: Annotated[int, Field(ge=2, le=1 << 16)] = 2
    g_min: Siemens
    g_max: Siemens
    nodes: Annotated[tuple[str, ...], LIST] | None = None
    variation: Variation = Variation()
    stuck: Stuck = Stuck()
    drift: Drift | None = None
    converter: Converter = Converter()

    @model_validator(mode="after")
    def _consistent(self) -> Device:
        wrong = []
        if self.g_max < LEAST_RATIO * self.g_min:
            wrong.append(
                f"'g_max' is {self.g_max}, but g_min is {self.g_min}; give at least {LEAST_RATIO} "
                "times g_min"
            )
        if self.stuck.low + self.stuck.high > 1:
            wrong.append(
                f"'stuck.low' is {self.stuck.low} and stuck.high {self.stuck.high}, together more "
                "than all cells; give shares of at most 1 in all"
            )
        if self.drift and self.drift.time < self.drift.reference:
            wrong.append(
                f"'drift.time' is {self.drift.time}, but drift.reference is "
                f"{self.drift.reference}; give a time from then on"
            )
        if wrong:
            raise Mistakes(*wrong)
        return self


def read_device(path: Path) -> Device:
    """Read a description of a crossbar.

    Raises:
        UsageError: when there is no such file, or with one sentence for each key that is wrong.
    """
    if not path.exists():
        raise UsageError(f"device {path} does not exist; give a TOML file that describes one")
    try:
        text = read_text(path, DEVICE_BYTES, "give a device, a TOML file in UTF-8")
    except FileRefused as error:
        raise UsageError(f"device {error}") from None
    table = table_of(text, f"device {path}")
    try:
        return Device.model_validate(table)
    except ValidationError as error:
        sentences = mistakes(error, Device, "device")
        raise UsageError(*(f"device {path}: {sentence}" for sentence in sentences)) from None
