"""Event files by the packages that decode them.

It runs in a process apart (lehr/cameras/nursery.py). A reader yields the camera's rows and columns,
or None, and then times in microseconds, columns, rows and polarities, some at a time. It opens all
that it needs before it yields the first.

Sources: Gehrig et al. 2021, "DSEC" (layout of its HDF5 files); Prophesee, "HDF5 Event File Format";
See et al. 2020, "ST-MNIST".
"""

from __future__ import annotations

import math
import os
import resource
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from lehr.cameras.events import BLOCK, Size
from lehr.cameras.header import size_of
from lehr.cameras.records import microseconds
from lehr.cameras.rosbag import Bag
from lehr.errors import FileRefused
from lehr.hdf5walk import lower_limit

Columns = tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]
Reader = Callable[[int], Iterator[Any]]
INPUTS = "h5py, of inputs"
"""A reader of inputs in HDF5, not of events.

It yields the shape of `input` and whether there are `labels`, then these, then that.
"""
SLAB = 1 << 25
"""Bytes of inputs that are read at once, and of a chunk."""
WHERE = "{where}"
"""Stands in a refusal for how many events came before; who asked has counted them."""
_RECORDS = "save its events as records t, x, y, p by numpy.save, in a file .npy"


def _no_more_files() -> None:
    """Let this process open no other file, whatever the one it reads names."""
    lower_limit(resource.RLIMIT_NOFILE, 0)


def _place(file: int) -> str:
    return f"/dev/fd/{file}"


def _aedat4() -> Reader:
    import aedat

    def read(file: int) -> Iterator[Size | Columns]:
        decoder = aedat.Decoder(_place(file))
        _no_more_files()
        streams = {
            number: stream
            for number, stream in decoder.id_to_stream().items()
            if stream["type"] == "events"
        }
        if len(streams) != 1:
            raise FileRefused(
                f"has {len(streams)} streams of events, not one; export the one you mean by DV"
            )
        ((number, stream),) = streams.items()
        yield stream["height"], stream["width"]
        for packet in decoder:
            if packet["stream_id"] == number:
                found = packet["events"]
                yield found["t"], found["x"], found["y"], found["on"]

    return read


def _matlab() -> Reader:
    from scipy import io

    side = 10  # taxels of the sensor, across and down

    def read(file: int) -> Iterator[Size | Columns]:
        stream = os.fdopen(file, "rb")
        _no_more_files()
        if stream.read(128)[124:128] in (b"\x00\x02IM", b"\x02\x00MI"):
            raise FileRefused("is of MATLAB 7.3; save it there as version 7, save(..., '-v7')")
        stream.seek(0)
        names = {name: shape for name, shape, _ in io.whosmat(stream)}
        if names.get("spiketrain", (0,))[0] != side * side + 1 or len(names["spiketrain"]) != 2:
            raise FileRefused(
                f"holds {', '.join(f'{name} {list(size)}' for name, size in names.items())}, not "
                f"ST-MNIST's spiketrain [{side * side + 1}, times]; {_RECORDS}"
            )
        stream.seek(0)
        train = io.loadmat(stream, variable_names=["spiketrain"])["spiketrain"]
        yield side, side
        if train.dtype.kind not in "iuf" or not np.isin(train[:-1], (-1, 0, 1)).all():
            raise FileRefused(f"has spikes that are not -1, 0 or 1; {_RECORDS}")
        time = np.asarray(train[-1], np.float64)
        if not (np.abs(time) < 2**32).all():
            raise FileRefused(f"has a time that is no number of seconds; {_RECORDS}")
        when, taxel = np.nonzero(train[:-1].T)
        polarity = train[taxel, when] > 0
        yield microseconds(time, "s")[when], taxel % side, taxel // side, polarity

    return read


def _rosbag() -> Reader:
    import_module("rosbags.rosbag1")
    import_module("rosbags.rosbag2")

    def read(file: int) -> Iterator[Size | Columns | None]:
        bag = Bag(file)
        _no_more_files()
        yield from bag.events()

    return read


def _hdf5() -> Reader:
    import h5py

    with suppress(ImportError):
        import_module("hdf5plugin")  # it brings filters along

    def read(file: int) -> Iterator[Size | Columns | None]:
        with h5py.File(_place(file), "r", locking=False) as tree:  # others may write it anew
            _no_more_files()
            geometry = tree.attrs.get("geometry", b"")
            text = geometry.decode() if isinstance(geometry, bytes) else str(geometry)
            width, _, height = text.partition("x")
            columns, offset = _hdf5_columns(tree, h5py)
            yield size_of(width, height)
            for first in range(0, len(columns[0]), BLOCK):
                yield _hdf5_block(columns, first, offset)

    return read


def _inputs() -> Reader:
    import h5py

    with suppress(ImportError):
        import_module("hdf5plugin")

    def read(file: int) -> Iterator[dict[str, Any] | npt.NDArray[Any]]:
        with h5py.File(_place(file), "r", locking=False) as tree:  # others may write it anew
            _no_more_files()
            x: Any = tree.get("input")
            labels: Any = tree.get("labels")
            _require_inputs(tree, x, labels, h5py)
            yield {"input": list(x.shape), "labels": labels is not None}
            if labels is not None:
                yield from (labels[n : n + BLOCK].astype("<i8") for n in range(0, len(x), BLOCK))
            for chosen in _rows(x.shape, (x.chunks or (1,))[0]):
                yield x[chosen]

    return read


def _rows(shape: tuple[int, ...], together: int) -> Iterator[tuple[slice, ...]]:
    """Yield slices of samples that are read at once, or, of large ones, of the steps of one.

    Args:
        shape: of all.
        together: samples that are packed together.
    """
    count, length, *rest = shape
    each = length * math.prod(rest)
    if each > SLAB and rest:
        steps = max(1, SLAB // math.prod(rest))
        for n in range(count):
            yield from (np.s_[n : n + 1, t : t + steps] for t in range(0, length, steps))
        return
    samples = max(1, SLAB // max(1, each) // together * together)
    yield from (np.s_[n : n + samples,] for n in range(0, count, samples))


def _require_inputs(tree: Any, x: Any, labels: Any, h5py: Any) -> None:
    """Refuse a file without inputs, and inputs that cannot be read some at a time."""
    if not isinstance(x, h5py.Dataset):
        raise FileRefused(
            f"holds {', '.join(sorted(tree)) or 'nothing'}, but no data set 'input'; save one, or, "
            "if it holds events, say how long a step is, as --frames step_us=1000"
        )
    if x.dtype != np.uint8 or len(x.shape or ()) < 2:
        raise FileRefused(
            f"has an input of {x.dtype} {list(x.shape or ())}; save it as uint8 with the samples "
            "on the first axis"
        )
    if labels is not None and (
        not isinstance(labels, h5py.Dataset)
        or labels.dtype.kind not in "iu"
        or labels.shape != x.shape[:1]
    ):
        raise FileRefused("has labels that are not one integer per sample; give such, or none")
    for each in (x,) if labels is None else (x, labels):
        _require_readable(each, h5py)
        if each.chunks and (size := math.prod(each.chunks) * each.dtype.itemsize) > SLAB:
            raise FileRefused(
                f"has {each.name} in chunks of {size:,} bytes, more than {SLAB:,} at once; save it "
                "with smaller ones, as create_dataset(..., chunks=True) does"
            )


def _hdf5_columns(tree: Any, h5py: Any) -> tuple[list[Any], int]:
    """Return the data sets of t, x, y and p (or one of records for all), and where time begins."""
    if isinstance(tree.get("CD/events"), h5py.Dataset):
        columns, offset = [tree["CD/events"]], 0
    elif all(isinstance(tree.get(f"events/{name}"), h5py.Dataset) for name in "txyp"):
        columns = [tree[f"events/{name}"] for name in "txyp"]
        offset = int(tree["t_offset"][()]) if "t_offset" in tree else 0
    else:
        raise FileRefused(
            f"holds {', '.join(sorted(tree)) or 'nothing'}, neither Prophesee's CD/events nor "
            f"DSEC's events/t, x, y, p; {_RECORDS}"
        )
    for column in columns:
        _require_readable(column, h5py)
    lengths = {column.shape for column in columns}
    fields = columns[0].dtype.names or "txyp"
    if len(lengths) != 1 or len(next(iter(lengths))) != 1 or not set("txyp") <= set(fields):
        raise FileRefused(f"has events of the shapes {sorted(lengths)}, no lists of one length")
    return columns, offset


def _require_readable(column: Any, h5py: Any) -> None:
    """Refuse a data set that lies in another file, or is packed by a filter that is not here."""
    if column.is_virtual or column.external:
        raise FileRefused(f"has {column.name} in another file; {_RECORDS}")
    packed = column.id.get_create_plist()
    for number in range(packed.get_nfilters()):
        code = packed.get_filter(number)[0]
        if not h5py.h5z.filter_avail(code):
            way = _FILTERS.get(code, f"repack it by h5repack without filter {code}")
            raise FileRefused(f"has {column.name} packed by a filter that is not here: {way}")


_FILTERS: Mapping[int, str] = {
    0x8ECF: "Prophesee's ECF; convert it by Metavision's metavision_file_to_dat, or repack it by "
    "h5repack where the codec is installed",
    32001: "Blosc; pip install hdf5plugin",
}


def _hdf5_block(columns: list[Any], first: int, offset: int) -> Columns:
    """Return some events from the number `first` on."""
    parts = [column[first : first + BLOCK] for column in columns]
    time, x, y, polarity = (parts[0][n] for n in "txyp") if len(parts) == 1 else parts
    if any(part.dtype.kind not in "iub" for part in (time, x, y, polarity)):
        raise FileRefused(f"has events that are no integers; {_RECORDS}")
    return time.astype(np.int64) + offset, x, y, polarity


READERS: Mapping[str, Callable[[], Reader]] = {
    "aedat": _aedat4,
    "scipy": _matlab,
    "rosbags": _rosbag,
    "h5py": _hdf5,
    INPUTS: _inputs,
}
"""By package: what loads it, and returns the reader of an open file."""
