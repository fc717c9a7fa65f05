"""Results as the arrays of an `out.npz`: of a whole run, or of one that can be gone on with.

    parts = [read_partial(path, net, samples, what)]
    parts.extend(pieces(run, net, samples, what, len(parts[0].counts)))
    write_npz(path, arrays_of(joined(parts), what.samples))

What an interrupted run leaves is a valid result of the samples so far, and what is needed to go on.
"""

from __future__ import annotations

import hashlib
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lehr.errors import FileRefused, UsageError
from lehr.network import Network
from lehr.npz import Archive, blocks_of
from lehr.samples import Samples
from lehr.simulate.pieces import Traced, result_bytes, steps_of
from lehr.simulate.result import Layer, Result, Trace
from lehr.simulate.traces import read_trace

Arrays = dict[str, npt.NDArray[Any]]
SAMPLES = "trace.samples"
"""The samples that the traces are of, where they are not of all."""
MARK = "resume"
SUM = f"{MARK}.sha256"
"""The digest of all other arrays.

An archive's own check sums miss names, types, shapes and some numbers.
"""


def arrays_of(result: Result, traced: tuple[int, ...] | None = None) -> Arrays:
    """Make the arrays of an `out.npz`.

    Args:
        result: of a run.
        traced: the samples that its traces are of; all if None.

    Returns:
        `counts` int32 `[N, classes]`, `prediction` int64 `[N]`, for each layer traced
        `spikes.LAYER` uint8 and `membrane.LAYER` int32, `[samples, T, *shape]`, and `trace.samples`
        int64 where these are not all.
    """
    arrays: Arrays = {"counts": result.counts, "prediction": result.prediction}
    if traced is not None:
        arrays[SAMPLES] = np.array(
            [sample for sample in traced if sample < len(result.counts)], np.int64
        )
    arrays |= {f"spikes.{name}": array for name, array in result.trace.spikes.items()}
    arrays |= {f"membrane.{name}": array for name, array in result.trace.membranes.items()}
    return arrays


def partial_arrays(net: Network, result: Result, samples: Samples, traced: Traced) -> Arrays:
    """Make the arrays of an unfinished run: those of its result, and what `read_partial` needs.

    Args:
        net: the network.
        result: of the first samples, one at least.
        samples: all inputs of the run.
        traced: what is traced on them.
    """
    arrays = {**arrays_of(result, traced.samples), **_rest(result)}
    arrays[MARK] = np.frombuffer(_mark(net, samples, traced).encode(), np.uint8)
    return {**arrays, SUM: _sum(arrays)}


def whole_arrays(result: Result) -> Arrays:
    """Make the arrays from which `result_of` makes the same result again."""
    return {**arrays_of(result), **_rest(result)}


def _rest(result: Result) -> Arrays:
    """Return the arrays of a result that are not in a finished `out.npz`."""
    arrays: Arrays = {f"{MARK}.scores": result.scores, f"{MARK}.events": result.events}
    for name, layer in result.layers.items():
        arrays[f"{MARK}.spikes.{name}"] = layer.spikes
        arrays[f"{MARK}.numbers.{name}"] = np.array(
            (layer.lowest, layer.highest, layer.saturations, layer.instants)
        )
    return arrays


def result_of(net: Network, arrays: Mapping[str, npt.NDArray[Any]]) -> Result:
    """Make a result of its arrays.

    Raises:
        LookupError, ValueError, TypeError: when they are none.
    """
    layers = {}
    for name in net.neurons:
        lowest, highest, saturations, instants = (
            int(number) for number in arrays[f"{MARK}.numbers.{name}"]
        )
        layers[name] = Layer(
            arrays[f"{MARK}.spikes.{name}"], lowest, highest, saturations, instants
        )
    # none where no chosen sample was reached
    kept = [name for name in net.neurons if f"spikes.{name}" in arrays]
    trace = Trace(
        {name: arrays[f"spikes.{name}"] for name in kept},
        {name: arrays[f"membrane.{name}"] for name in kept},
    )
    return Result(
        arrays["counts"],
        arrays[f"{MARK}.scores"],
        arrays["prediction"],
        layers,
        arrays[f"{MARK}.events"],
        trace,
    )


def read_partial(path: Path, net: Network, samples: Samples, traced: Traced) -> Result:
    """Read the result of the samples so far.

    Args:
        path: of a file of `partial_arrays`.
        net: the network.
        samples: all inputs of the run.
        traced: what is traced on them.

    Raises:
        UsageError: when there is none, or it is of another network, input or trace.
        FileRefused: when the file is damaged.
    """
    if not path.is_file():
        raise UsageError(
            f"{path} does not exist, so that there is nothing to resume; leave --resume out"
        )
    mark, limit = _mark(net, samples, traced), result_bytes(net, samples)
    try:
        with Archive(path) as archive:
            if MARK not in archive:
                raise UsageError(f"{path} is a finished result; leave --resume out to run again")
            if archive.read(MARK).tobytes().decode() != mark:
                raise UsageError(
                    f"{path} is of another network, input or trace; resume it with its own, or "
                    "leave --resume out"
                )
            arrays: Arrays = {name: read_trace(archive, name, limit) for name in archive.names}
        stated = arrays.pop(SUM)
        if not np.array_equal(stated, _sum(arrays)):
            raise ValueError(f"{SUM} is another")
        _require_shapes(arrays, net, samples, traced)
        return result_of(net, arrays)
    except UsageError:
        raise
    except FileRefused as error:
        raise FileRefused(
            f"{str(error).partition(';')[0]}; leave --resume out to run again"
        ) from None
    except Exception as error:  # numpy and zipfile raise a dozen kinds for a damaged archive
        raise FileRefused(
            f"{path} is damaged ({type(error).__name__}); leave --resume out to run again"
        ) from None


def _require_shapes(arrays: Arrays, net: Network, samples: Samples, traced: Traced) -> None:
    """Refuse, by a ValueError, arrays that are none of a result of the first samples."""
    done, classes = len(np.atleast_1d(arrays["counts"])), math.prod(net.shapes[net.output])
    due: dict[str, tuple[int, ...]] = {"counts": (done, classes), "prediction": (done,)}
    due |= {f"{MARK}.scores": (done, classes), f"{MARK}.events": net.input.shape}
    due |= {f"{MARK}.spikes.{name}": net.shapes[name] for name in net.neurons}
    if reached := len(traced.of(0, done)):
        lead = (reached, steps_of(net, samples))
        due |= {
            f"{kind}.{name}": (*lead, *net.shapes[name])
            for kind in ("spikes", "membrane")
            for name in traced.layers
        }
    wrong = [
        name
        for name, shape in due.items()
        if arrays[name].shape != shape or arrays[name].dtype.kind not in "iu"
    ]
    if wrong or not 0 < done <= samples.shape[0]:
        raise ValueError(f"{wrong or 'counts'} are of another shape")


def _mark(net: Network, samples: Samples, traced: Traced) -> str:
    sums, layers = " ".join(map(_check_sums, samples.files)), " ".join(traced.layers)
    return f"{net.digest} {list(samples.shape)} {sums} {layers} {traced.samples}"


def _sum(arrays: Arrays) -> npt.NDArray[np.uint8]:
    """Return the sha256 of arrays, their names, types and shapes."""
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape} ".encode())
        for block in blocks_of(array):
            digest.update(block)
    return np.frombuffer(digest.digest(), np.uint8)


def _check_sums(path: Path) -> str:
    """Return the check sums that an archive keeps of its arrays, so that none of them is read.

    Other files have none: they are known by name, size and when they were written.
    """
    if not zipfile.is_zipfile(path):
        status = path.stat()
        return f"{path.name} {status.st_size} {status.st_mtime_ns}"
    with zipfile.ZipFile(path) as archive:
        return " ".join(
            f"{part.filename} {part.CRC:08x}"
            for part in sorted(archive.infolist(), key=lambda part: part.filename)
        )
