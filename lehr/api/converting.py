"""Conversion of an artificial neural network to an integer spiking one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lehr.api.exporting import Kind, written
from lehr.api.given import Inputs, Place, pixels, whole
from lehr.errors import UsageError
from lehr.extras import needed_by
from lehr.samples import read_samples

if TYPE_CHECKING:
    from torch import nn

    from lehr.export.ann.converting import ConvertedAnn


def convert(
    model: nn.Module,
    x: Inputs,
    output: Place | None = None,
    *,
    labels: npt.ArrayLike | None = None,
    calibrate: Inputs | None = None,
    steps: int = 64,
    full_scale: float | None = None,
    weights: Kind | None = "int8",
    percentile: float = 99.9,
    shift: bool = True,
) -> ConvertedAnn:
    """Convert an artificial neural network with ReLUs to an integer spiking one.

    Integrate-and-fire neurons stand in place of the ReLUs, with thresholds that are balanced on
    calibration data. What comes back shows accuracy by the number of steps beside the network's
    own, can be given wherever a network can, and holds it as `.network`.

    Args:
        model: a trained chain of Linear, Conv2d, BatchNorm, AvgPool2d, Flatten and ReLU.
        x: samples on which accuracy is measured: whole numbers, `[N, *shape]`, or their `.npz`
            file. They are held for all steps.
        output: the `.nir` file to write; none if None.
        labels: of the samples, `[N]`; if None, those of their file.
        calibrate: samples on which activations are measured, better those of the training than `x`;
            `x` if None.
        steps: T of the network that is written; accuracy is measured at the powers of two below it,
            too.
        full_scale: what the model takes inputs divided by: 255 for pixels; None for 0 and 1.
        weights: what weights that are no levels are rounded to; None refuses them.
        percentile: of a layer's activations above 0, which a spike in every step stands for.
        shift: whether half a threshold is added over all steps, so that rates are rounded to
            nearest, not down.

    Raises:
        NotMappable: naming the layers of which no neurons can be made, and the way out.
        UsageError: when an option is out of range, or labels are not as many as samples.
        FileRefused: when the samples are not whole numbers from 0 to 255.
        ToolMissing: when torch is not installed.

    >>> import lehr, torch
    >>> model = torch.nn.Sequential(
    ...     torch.nn.Linear(16, 32), torch.nn.ReLU(), torch.nn.Linear(32, 4)
    ... )
    >>> x = torch.randint(0, 256, (64, 16), generator=torch.manual_seed(0)).numpy()
    >>> converted = lehr.convert(model, x, steps=16, full_scale=255)
    >>> [row.steps for row in converted.by_steps]
    [1, 2, 4, 8, 16]
    """
    with needed_by("lehr.convert"):
        from lehr.export.ann.converting import Conversion, convert_ann

    wanted = None if labels is None else np.asarray(labels, np.int64)
    if isinstance(x, (str, os.PathLike)):
        samples, own = read_samples(Path(x))
        wanted = own if wanted is None else wanted
    else:
        samples = pixels(x)
    if wanted is not None and wanted.shape != samples.shape[:1]:
        raise UsageError(
            f"labels have shape {list(wanted.shape)} for {len(samples)} samples; give one each"
        )
    choices = Conversion(steps, full_scale, weights, percentile, shift)
    with written(output) as path:
        return convert_ann(
            model,
            samples,
            path,
            choices,
            labels=wanted,
            calibration=None if calibrate is None else whole(calibrate, full_scale),
            source=type(model).__name__,
        )
