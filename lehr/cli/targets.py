"""`lehr targets`: what is registered, what each target computes, which operators it takes."""

from __future__ import annotations

from typing import Annotated

import typer

from lehr.cli.console import Json, session

app = typer.Typer(no_args_is_help=True, help="List the targets and show what each of them computes.")


@app.command("list")
def list_targets(as_json: Json = False) -> None:
    """List all registered targets, broken ones with their reason."""
    with session(as_json) as out:
        from lehr.targets import registry

        rows = []
        for entry in registry.entries():
            if entry.target is None:
                rows.append((entry.name, "broken", entry.reason, ""))
                continue
            runner = entry.target.runner()
            tool = "only checks" if entry.target.no_artefact else "no tool" if runner is None else runner.missing() or "tool found"
            rows.append((entry.name, "ok", entry.target.summary, tool))
        out.table(("target", "state", "what it is", "tool"), rows)
        out.facts["targets"] = [dict(zip(("name", "state", "summary", "tool"), row, strict=True)) for row in rows]


@app.command()
def show(name: Annotated[str, typer.Argument(metavar="NAME")], as_json: Json = False) -> None:
    """Show the arithmetics and options of one target."""
    with session(as_json) as out:
        from dataclasses import asdict

        from lehr.targets import registry

        target = registry.get(name)
        fields = asdict(target.arithmetics)
        out.say(f"{target.name}: {target.summary}")
        out.table(("field", "values"), [(key, ", ".join(v) if isinstance(v, (tuple, list)) else v) for key, v in fields.items()])
        out.table(("option", "meaning"), list(target.options.items()))
        out.facts.update(name=target.name, summary=target.summary, arithmetics=fields, options=dict(target.options))


@app.command()
def ops(as_json: Json = False) -> None:
    """Show which operators and arithmetic each target takes, found by asking each target's own check."""
    with session(as_json) as out:
        from lehr.targets import registry
        from lehr.targets.operators import support, with_artefacts

        table = support(registry.targets())
        names = [target.name for target in with_artefacts(registry.targets())]
        out.table(("operator", *names), [(op, *("yes" if row[n] else "no" for n in names)) for op, row in table.items()])
        out.facts["operators"] = table
