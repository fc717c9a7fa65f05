"""The `.npz` files of the line: `in.npz` with inputs and labels, `out.npz` with what a simulation returned."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from lehr.artifact import zip_bytes
from lehr.errors import FileRefused, LehrError, UsageError
from lehr.leftovers import recover


def npz_bytes(arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """An `.npz` archive that numpy.load reads, with the same bytes for the same arrays (numpy.savez writes the time of day)."""
    files = {}
    for name, array in arrays.items():
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        files[f"{name}.npy"] = buffer.getvalue()
    return zip_bytes(files)


def npy_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, Any]:
    """Shape, whether columns come first, and dtype of the array whose `.npy` file `stream` is; it is left where the numbers begin."""
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read(stream)


@contextmanager
def damage_refused(path: Path) -> Iterator[None]:
    """Whatever numpy and zipfile raise inside, for a damaged archive, becomes one sentence."""
    try:
        yield
    except (LehrError, GeneratorExit):
        raise
    except Exception as error:  # they raise a dozen kinds
        raise FileRefused(f"{path} is not a whole .npz file ({type(error).__name__}); write it with numpy.savez") from None


def read_arrays(path: Path, names: Iterable[str]) -> dict[str, npt.NDArray[Any]]:
    """The arrays of an `.npz` file that have one of the names.

    Raises:
        UsageError: when there is no such file.
        FileRefused: when it is no .npz.
    """
    recover(path)
    if not path.is_file():
        raise UsageError(f"input {path} does not exist; give an .npz file with an array 'input'")
    with damage_refused(path), path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
        return {name: file[name] for name in names if name in file.files}


def check_samples(
    path: Path, arrays: Mapping[str, npt.NDArray[Any]], prefix: str = ""
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64] | None]:
    """The inputs and, if there, labels among the arrays of the file `path`, whose names begin with `prefix`.

    Raises:
        FileRefused: when the inputs are missing, or an array has not the type it should.
    """
    name = f"{prefix}input"
    if name not in arrays:
        raise FileRefused(f"{path} has no array '{name}'; save it as numpy.savez(path, {name}=..., {prefix}labels=...)")
    x, labels = arrays[name], arrays.get(f"{prefix}labels")
    if x.dtype != np.uint8 or x.ndim < 2:
        raise FileRefused(f"{path}: {name} is {x.dtype} {list(x.shape)}; save it as uint8 with the samples on the first axis")
    if labels is not None and (labels.dtype.kind not in "iu" or labels.shape != x.shape[:1]):
        told = f"{prefix}labels are {labels.dtype} {list(labels.shape)}"
        raise FileRefused(f"{path}: {told} for {len(x)} samples; give one integer per sample")
    return x, None if labels is None else labels.astype(np.int64)
