"""Tables of a built artefact: the build's estimate, and what the target's tools measured since."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lehr.artifact import AGAIN, PROOF, changed_files, read_manifest
from lehr.errors import FileRefused
from lehr.reading import JSON_BYTES, parse_json, read_bytes, sha256_of
from lehr.targets.contract import Figure, Table
from lehr.targets.golden import FOLDER as GOLDEN
from lehr.targets.replanned import listed, target_of

FOLDER = "report"


def tables(folder: Path) -> list[Table]:
    """Return all tables of the artefact in `folder`.

    Raises:
        UsageError: when `folder` is no artefact.
        FileRefused: when its target is not registered, or a file of its report was changed since
            the build or does not parse.
    """
    manifest = read_manifest(folder)
    target = target_of(manifest, folder)
    try:
        widths = _read(folder / FOLDER / "widths.json")
        result = [
            _figures("estimate", folder / FOLDER / "estimate.json"),
            Table(
                "widths",
                ("layer", "membrane", "bits"),
                tuple((name, _span(w["membrane"]), int(w["bits"])) for name, w in widths.items()),
            ),
        ]
        measured = folder / FOLDER / "measured.json"
        if measured.exists():
            result.append(_figures("measured at the build", measured))
        result += [table for table in target.report(folder) if table.rows]
        if (folder / PROOF).exists():
            result.append(_proofs(_read(folder / PROOF), folder))
    except (OSError, ValueError, ArithmeticError, LookupError, TypeError, AttributeError) as error:
        raise FileRefused(
            f"the report in {folder / FOLDER} cannot be read ({error}); {AGAIN}"
        ) from None
    reports = {
        name: digest for name, digest in manifest["files"].items() if name.startswith(f"{FOLDER}/")
    }
    if changed := changed_files(folder, reports):
        raise FileRefused(
            f"{listed(changed)} in {folder} changed since the artefact was built; {AGAIN}"
        )
    return result


def digests(folder: Path) -> dict[str, str]:
    """Return the sha256 of every file of an artefact as it is now, but golden vectors and reports.

    Raises:
        FileRefused: when one is missing.
    """
    names = [
        name
        for name in read_manifest(folder)["files"]
        if not name.startswith((f"{FOLDER}/", f"{GOLDEN}/"))
    ]
    return {name: sha256_of(folder / name, AGAIN) for name in names}


def _proofs(proof: dict[str, Any], folder: Path) -> Table:
    """Return the claims of a proof; one line where it is of other files than these."""
    columns = ("part", "of", "claim", "state", "seconds", "by")
    if proof["files"] != digests(folder):
        stale = "it is of other files: give 'lehr prove' again"
        return Table("proofs", columns, (("", "", stale, "", "", ""),))
    rows = tuple(
        (
            *(str(each[x]) for x in ("part", "name", "claim", "state")),
            f"{float(each['seconds']):.1f}",
            str(each["tool"]),
        )
        for each in proof["obligations"]
    )
    return Table("proofs", columns, rows)


def _read(path: Path) -> Any:
    try:
        return parse_json(read_bytes(path, JSON_BYTES, AGAIN))
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from None


def figures_of(path: Path) -> tuple[Figure, ...]:
    """Return the figures in a file of a report.

    Raises:
        ValueError, LookupError, TypeError: when they are none.
    """
    return tuple(map(_figure, _read(path)))


def _figures(title: str, path: Path) -> Table:
    rows = tuple((f.name, number(f.value), f.unit, f.source) for f in figures_of(path))
    return Table(title, ("figure", "value", "unit", "source"), rows)


def _figure(figure: dict[str, Any]) -> Figure:
    value = figure["value"]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{value!r} is no number")
    return Figure(str(figure["name"]), float(value), str(figure["unit"]), str(figure["source"]))


def _span(bounds: list[int]) -> str:
    low, high = bounds
    return f"{low:,}..{high:,}"


def number(value: float) -> str:
    """Return a number as people read it."""
    return f"{value:,.0f}" if value == int(value) or abs(value) >= 100 else f"{value:.4g}"
