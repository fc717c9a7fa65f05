"""Inputs as the runners of artefacts take them: step by step, of the artefact's own shape."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lehr.errors import FileRefused


def stepped(
    x: npt.NDArray[np.uint8], shape: tuple[int, ...], steps: int, highest: int = 255
) -> npt.NDArray[np.uint8]:
    """Return inputs `[N, T, *shape]`; held ones, `[N, *shape]`, are repeated for all steps.

    Args:
        x: inputs.
        shape: of the artefact's input.
        steps: of the artefact.
        highest: the greatest value that its input takes: 1 for spikes.

    Raises:
        FileRefused: when `x` is neither, is not uint8, or holds more than `highest`.
    """
    if x.shape[1:] == shape:
        x = np.repeat(x[:, None], steps, axis=1)
    if (
        x.dtype != np.uint8
        or x.ndim != len(shape) + 2
        or x.shape[2:] != shape
        or x.max(initial=0) > highest
    ):
        wanted = ", ".join(map(str, shape))
        values = {1: " of 0 and 1", 255: ""}.get(highest, f" of 0 to {highest}")
        takes = f"the artefact takes uint8 [N, {wanted}] or [N, T, {wanted}]{values}"
        most = f", up to {x.max()}" if x.size and x.max() > highest else ""
        raise FileRefused(
            f"input is {x.dtype} {list(x.shape)}{most}, {takes}; reshape or convert it"
        )
    return x
