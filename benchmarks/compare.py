"""Compare two runs of the benchmarks, and name what has become slower.

    make bench                                          # writes build/bench.json
    python benchmarks/compare.py OLD.json NEW.json [--over 5]

Compared is how many times as fast as each other side of the same run the fast engine was, so that
a machine that was slower on one day than on the other counts for nothing. What lost more than
`--over` percent of that is named, and the exit status is 1.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

Ratios = Mapping[str, Mapping[str, float]]


def facts(path: Path) -> Mapping[str, Any]:
    """Return what conftest.py has added to the JSON of a run."""
    try:
        whole = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"{path} cannot be read: {error}") from None
    if not isinstance(whole, dict) or "lehr" not in whole:
        raise typer.BadParameter(f"{path} is no run of these benchmarks; make bench writes one")
    added: Mapping[str, Any] = whole["lehr"]
    return added


def slower(old: Ratios, new: Ratios, over: float) -> list[tuple[str, str]]:
    """Return networks, and sides of which the fast engine has lost more than `over` percent."""
    return [
        (name, side)
        for name, sides in old.items()
        for side, ratio in sides.items()
        if side in new.get(name, {}) and new[name][side] < ratio * (1 - over / 100)
    ]


def main(
    old: Annotated[Path, typer.Argument(metavar="OLD.json")],
    new: Annotated[Path, typer.Argument(metavar="NEW.json")],
    over: Annotated[float, typer.Option(help="Percent that may be lost.")] = 5.0,
) -> None:
    """Compare two runs of the benchmarks."""
    before, after = facts(old), facts(new)
    for key in ("processor", "python", "versions", "digest"):
        if before[key] != after[key]:
            typer.echo(f"{key}: {before[key]} -> {after[key]}")
    lost = slower(before["ratios"], after["ratios"], over)
    typer.echo("| network | times as fast as | old | new | |\n| --- | --- | ---: | ---: | --- |")
    for name, sides in before["ratios"].items():
        for side, ratio in sides.items():
            now = after["ratios"].get(name, {}).get(side)
            mark = "**slower**" if (name, side) in lost else "" if now else "not run"
            shown = f"{now:.1f}" if now else ""
            typer.echo(f"| {name} | {side} | {ratio:.1f} | {shown} | {mark} |")
    for name, side in lost:
        typer.echo(f"{name}: more than {over:g} % slower beside {side}")
    raise typer.Exit(1 if lost else 0)


if __name__ == "__main__":
    typer.run(main)
