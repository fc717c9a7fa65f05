"""A file of a sequence as a network's input: the option `--frames`, and the one sample it makes."""

from __future__ import annotations

import math
import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from lehr.errors import FileRefused, UsageError
from lehr.mistakes import mistakes
from lehr.network import Input
from lehr.recordings import RUN
from lehr.samples import Samples
from lehr.sequences.encoding import Encoding
from lehr.sequences.files import Sequence, read_sequence
from lehr.sequences.keys import Coding
from lehr.strict import Count

_OPTION = "--frames: "


class Framing(Coding):
    """What `--frames` says of a sequence.

    Attributes:
        steps: how many there are; as many as the sequence has if None.
        most: up to which the events of a step and channel are counted; as far as the network's
            input goes if None, which is 1 in spikes and 255 in bytes.
    """

    steps: Count | None = None
    most: Annotated[int, Field(ge=1, le=255)] | None = None


class SequenceSample(Samples):
    """One sample: spikes or counts `[1, T, *shape]`, two for each channel that is coded.

    Args:
        path: of the file.
        entry: the network's input, of 2 * channels places.
        framing: `run=RUN`, to encode as a run's data was, or the keys of `Framing`.

    Raises:
        UsageError: when the text of `framing` says nothing, or the run is none.
        FileRefused: when the file or the run is damaged, or does not fit the network.
    """

    def __init__(self, path: Path, entry: Input, framing: str) -> None:
        self.path, self.labels = path, None
        sequence = read_sequence(path)
        encoding = _encoding(framing, sequence, entry)
        if encoding.most > entry.highest:
            raise UsageError(
                f"{_OPTION}events are counted up to {encoding.most}, but the input is spikes, 0 "
                "and 1; give most=1, or a network that takes bytes"
            )
        places = 2 * len(encoding.thresholds)
        if entry.shape not in ((places,), (1, 1, places)):
            raise FileRefused(
                f"{path} becomes {places} channels, up and down of {places // 2}, but the network "
                f"takes {list(entry.shape)}; code it as the network's data was, as by --frames "
                "run=RUN"
            )
        steps = encoding.encode(sequence)
        self._whole = steps.reshape(1, len(steps), *entry.shape)
        self.shape, self._limit = self._whole.shape, math.prod(self._whole.shape)


def _encoding(framing: str, sequence: Sequence, entry: Input) -> Encoding:
    """Return what `--frames` says, of a sequence like this one."""
    if framing.startswith(RUN):
        return Encoding.of_run(Path(framing.removeprefix(RUN)))
    keys = _framing(framing)
    return Encoding.of(keys, sequence, keys.steps, keys.most or entry.highest, _OPTION)


def _framing(text: str) -> Framing:
    """Read the keys of a text as `code=delta,threshold=0.5`."""
    values: dict[str, Any] = {}
    for part in text.split(","):
        key, equals, value = part.strip().partition("=")
        if not equals or key in values:
            raise UsageError(
                f"{_OPTION}{part.strip()!r} tells nothing; give KEY=VALUE, once each, of "
                f"{', '.join(Framing.model_fields)}"
            )
        values[key] = _value(value)
    try:
        keys = Framing.model_validate(values)
    except ValidationError as error:
        raise UsageError(*(f"{_OPTION}{each}" for each in mistakes(error, Framing))) from None
    if keys.threshold is None:
        raise UsageError(f"{_OPTION}no threshold; add threshold=0.5 or whatever changes count")
    if keys.threshold_in == "spread":
        raise UsageError(
            f"{_OPTION}threshold_in is 'spread', which is of samples trained on; give the run that "
            "holds them, as run=RUN"
        )
    if wrong := [*keys.edges_without_bands(_OPTION)]:
        raise UsageError(*wrong)
    return keys


def _value(text: str) -> Any:
    """Return a number, or the text itself."""
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, ValueError, RecursionError):
        return text
    return value if isinstance(value, int | float) else text
