"""The report of a run, a network or a built folder."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lehr.api.given import Inputs, Place, pixels
from lehr.report.inputs import Asked, Given
from lehr.report.making import Report, make, require_place


def report(
    source: Place,
    x: Inputs | None = None,
    out: Place | None = "report.html",
    *,
    labels: npt.ArrayLike | None = None,
    beside: Iterable[Place] = (),
    frames: str | None = None,
    markdown: bool = False,
    verify: bool = True,
) -> Report:
    """Show a run, a network or a built folder on one page, with every number in a table.

    A built folder is verified first, as `lehr.verify` does it. What the source cannot tell is left
    out, with a sentence that says what to give to know it.

    Args:
        source: a run's folder, a `.nir` file, or a folder that `build` wrote.
        x: samples, or a file of them; the run's own test samples, or the golden ones, if None.
        out: of the page, which is written whole or not at all; nothing is written if None.
        labels: of samples that are an array, `[N]`.
        beside: other runs and built folders, whose accuracies stand beside.
        frames: how a recording is cut into steps, as "step_us=1000".
        markdown: whether MODEL_CARD.md is written beside the page, too.
        verify: whether built folders are run in their own tools.

    Raises:
        UsageError: when there is no such source or file, or `out` lies in a folder of lehr's.
        FileRefused: when a file is damaged, or the page cannot be written.
        ToolMissing: when matplotlib is not installed.

    >>> import lehr
    >>> page = lehr.report("model.nir", "in.npz", out="report.html")
    >>> page.facts.verdict.word
    'PASS'
    """
    if out is not None:
        require_place(Path(out), markdown=markdown)
    given: Asked | Given | None = None
    if isinstance(x, (str, os.PathLike)):
        given = Asked(Path(x), frames)
    elif x is not None:
        known = None if labels is None else np.asarray(labels).astype(np.int64)
        given = Given(pixels(x), known, "", "samples given as an array")
    made = make(Path(source), given, [Path(other) for other in beside], verify=verify)
    if out is not None:
        made.save(Path(out), markdown=markdown)
    return made
