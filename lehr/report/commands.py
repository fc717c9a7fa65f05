"""The commands that make a report's source, and the report, again."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from pathlib import Path

from lehr.artifact import sha256
from lehr.report.artefacts import Artefact
from lehr.report.inputs import Given
from lehr.report.runs import Training
from lehr.targets.build import synthetic_input
from lehr.targets.golden import per_step

INPUT = "golden/input.u8"
UNNAMED = (
    "The golden inputs came from samples that the folder does not name; they are in golden/. The "
    "build below has others, so that files in golden/ and report/ will differ; give the file that "
    "they came from by -i to have it named."
)


def commands(
    name: str,
    training: Training | None,
    artefact: Artefact | None,
    given: Given | None,
    beside: Sequence[Path],
) -> tuple[tuple[str, ...], str]:
    """Return the commands, and what they do not make again; empty where there is nothing.

    Args:
        name: of what is reported on.
        training: of a run.
        artefact: of a built folder.
        given: samples that were given.
        beside: other sources.
    """
    word, lines, lacking = shlex.quote(name), list[str](), ""
    if training is not None:
        lines += [f"lehr train {shlex.quote(f'{name}/recipe.toml')} -o {word}"]
        if training.network is not None:
            lines += [f"lehr export {word} -o model.nir"]
    if artefact is not None:
        golden = golden_of(artefact, given)
        lacking = "" if golden else UNNAMED
        options = artefact.manifest.get("options", {})
        chosen = "".join(
            f" --option {shlex.quote(f'{key}={value}')}" for key, value in sorted(options.items())
        )
        measured = any(each.origin == "measured" for each in artefact.costs)
        chosen += " --measure" * measured
        lines += [
            f"lehr build model.nir --target {artefact.target}{golden}{chosen} -o {word}",
            f"lehr verify {word}",
        ]
    others = "".join(f" --beside {shlex.quote(other.name)}" for other in beside)
    return (*lines, f"lehr report {word}{_file(given)}{others} -o report.html"), lacking


def golden_of(artefact: Artefact, given: Given | None) -> str:
    """Return the options that give an artefact its golden inputs again.

    They are known where the inputs are the first of a file that is given, or those that lehr makes
    where none are given; otherwise nothing is returned.
    """
    net, golden = artefact.network, artefact.golden
    stated = artefact.manifest["files"].get(INPUT)
    size = (artefact.folder / INPUT).stat().st_size
    count = size // math.prod(golden.shape[1:])
    candidates = {"": synthetic_input(net, count)}
    if given is not None and given.name:
        candidates[_file(given)] = given.first(count)
    for options, x in candidates.items():
        if len(x) == count and sha256(per_step(net, x).tobytes()) == stated:
            return f"{options} -n {count}"
    return ""


def _file(given: Given | None) -> str:
    """Return the options that name a file of samples, and cut a recording as it was."""
    if given is None or not given.name:
        return ""
    cut = "" if given.frames is None else f" --frames {shlex.quote(given.frames)}"
    return f" -i {shlex.quote(given.name)}{cut}"
