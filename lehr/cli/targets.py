"""`lehr targets`: the registered targets, what each computes, which operators it takes."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

from lehr.cli import completing
from lehr.cli.console import Json, session
from lehr.cli.options import WorkersOption

if TYPE_CHECKING:
    from lehr.workers.work import Workers

app = typer.Typer(help="List the targets and show what each of them computes.")


@app.command("list")
def list_targets(
    run: Annotated[
        bool,
        typer.Option(
            "--run",
            help="Run the conformance networks of every target whose tool is here, and count the "
            "exact ones.",
        ),
    ] = False,
    workers: WorkersOption = "1",
    as_json: Json = False,
) -> None:
    """List all targets: what each computes and holds, and its judge.

    The version of the judge on this machine is shown, too.
    """
    with session(as_json) as out:
        from lehr.errors import NotBitExact
        from lehr.targets import registry
        from lehr.workers.asked import workers_of

        team = workers_of(workers)
        counts = _exact(team) if run else {}
        facts, rows = list[dict[str, object]](), []
        for entry in registry.entries():
            chip = entry.target
            if chip is None:
                facts.append({"name": entry.name, "state": "broken", "summary": entry.reason})
                rows.append((entry.name, f"broken: {entry.reason}", "", "", "", ""))
                continue
            runner = chip.runner()
            tool = (
                "only checks"
                if chip.no_artefact
                else "no tool"
                if runner is None
                else runner.missing() or f"found {chip.version()}".strip()
            )
            exact, ran = counts.get(chip.name, (0, 0))
            if exact < ran:
                out.fail(NotBitExact.exit_code)
            out.checked |= ran > 0
            rows.append(
                (
                    chip.name,
                    chip.summary,
                    chip.holds,
                    chip.judge,
                    tool,
                    f"{exact} of {ran}" if ran else "not run",
                )
            )
            keys = ("name", "summary", "holds", "judge", "tool", "conformance")
            facts.append(
                {
                    **dict(zip(keys, rows[-1], strict=True)),
                    "state": "ok",
                    "exact": exact,
                    "run": ran,
                }
            )
        out.table(("target", "what it is", "what it holds", "judge", "tool", "exact"), rows)
        out.facts["targets"] = facts
        out.then("check", "MODEL.nir")


def _exact(team: Workers | None) -> dict[str, tuple[int, int]]:
    """Return on how many conformance networks targets are exact, and of how many, by their names.

    They are those whose tools are here.
    """
    from lehr.cli.console import progress
    from lehr.targets import registry
    from lehr.targets.conformance.tally import tallies

    known = [entry.target for entry in registry.entries() if entry.target is not None]
    chips = [
        chip for chip in known if (runner := chip.runner()) is not None and not runner.missing()
    ]
    with progress() as bar, nullcontext() if team is None else team:
        tasks = {chip.name: bar.add_task(chip.name, total=None) for chip in chips}
        done = tallies(chips, team, lambda name: bar.advance(tasks[name]))
        return {name: (sum(outcomes), len(outcomes)) for name, outcomes in done}


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", autocompletion=completing.targets)],
    as_json: Json = False,
) -> None:
    """Show the arithmetics and options of one target."""
    with session(as_json) as out:
        from dataclasses import asdict

        from lehr.targets import registry

        target = registry.get(name)
        fields = asdict(target.arithmetics)
        out.say(f"{target.name}: {target.summary}")
        for title, text in (("holds", target.holds), ("judged by", target.judge)):
            if text:
                out.say(f"{title}: {text}")
        out.table(
            ("field", "values"),
            [
                (key, ", ".join(v) if isinstance(v, (tuple, list)) else v)
                for key, v in fields.items()
            ],
        )
        out.table(("option", "meaning"), list(target.options.items()))
        out.facts.update(
            name=target.name,
            summary=target.summary,
            holds=target.holds,
            judge=target.judge,
            arithmetics=fields,
            options=dict(target.options),
        )
        out.then("check", "MODEL.nir", "--target", target.name)


@app.command()
def ops(as_json: Json = False) -> None:
    """Show which operators and arithmetic each target takes.

    The answers are those of each target's own check.
    """
    with session(as_json) as out:
        from lehr.targets import registry
        from lehr.targets.operators import support, with_artefacts

        table = support(registry.targets())
        built = [target.name for target in with_artefacts(registry.targets())]
        rows = [(op, ", ".join(name for name in built if row[name])) for op, row in table.items()]
        out.table(("operator", "taken by"), [(op, takers or "no target") for op, takers in rows])
        out.facts["operators"] = table
        out.then("check", "MODEL.nir")
