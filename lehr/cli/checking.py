"""`lehr check`: the targets that a network maps to, and what stands in the way of the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from lehr.cli import completing
from lehr.cli.console import Json, Output, session
from lehr.cli.models import read_model
from lehr.cli.options import Model

if TYPE_CHECKING:
    from pathlib import Path

    from lehr.network import Network


def check(
    model: Model,
    target: Annotated[
        str | None,
        typer.Option(
            "--target",
            metavar="NAME",
            help="One of `lehr targets list`; all if not given.",
            autocompletion=completing.targets,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check whether a network maps to a target, and if not, why.

    Everything that stands in the way is shown. Without --target, all targets are asked.
    """
    with session(as_json) as out:
        net = read_model(out, model)
        if target is None:
            _of_all(out, net, model)
        else:
            _of_one(out, net, model, target)


def _of_one(out: Output, net: Network, model: Path, target: str) -> None:
    from collections import Counter

    from lehr.errors import NotMappable
    from lehr.targets import registry

    chip = registry.get(target)
    problems = chip.check(net)
    out.checked = True
    blamed = {problem.node for problem in problems}
    kinds = Counter((type(node).__name__, name in blamed) for name, node in net.nodes.items())
    rows = [(kind, count, "no" if bad else "yes") for (kind, bad), count in sorted(kinds.items())]
    out.table(("operator", "count", "maps"), rows)
    out.table(("node", "reason", "hint"), [(p.node, p.reason, p.hint) for p in problems])
    out.facts.update(
        target=chip.name,
        operators=[
            {"operator": kind, "count": count, "maps": maps == "yes"} for kind, count, maps in rows
        ],
        problems=[{"node": p.node, "reason": p.reason, "hint": p.hint} for p in problems],
    )
    if problems:
        out.fail(NotMappable.exit_code)
    else:
        out.say(f"the network maps to {chip.name}")
        if not chip.no_artefact:
            out.then("build", model, "--target", chip.name, "-o", f"{chip.name}-{model.stem}")


def _of_all(out: Output, net: Network, model: Path) -> None:
    from lehr.errors import NotMappable
    from lehr.targets import registry
    from lehr.targets.changes import changes

    needed = {chip.name: changes(chip.check(net)) for chip in registry.targets()}
    out.checked = True
    maps = [name for name, wanted in needed.items() if not wanted]
    others = sorted(
        (name for name in needed if name not in maps), key=lambda name: (len(needed[name]), name)
    )
    if maps:
        out.say(f"the network maps to {', '.join(maps)}")
    else:
        out.say("the network maps to no target")
    for name in others:
        out.table(
            ("change", "where", "why"),
            [(c.hint, ", ".join(c.nodes), c.reason) for c in needed[name]],
            f"{name} needs",
        )
    facts: dict[str, Any] = {
        name: [{"hint": c.hint, "nodes": list(c.nodes), "reason": c.reason} for c in needed[name]]
        for name in others
    }
    out.facts.update(maps=maps, changes=facts)
    if not maps:
        out.fail(NotMappable.exit_code)
    built = [name for name in maps if not registry.get(name).no_artefact]
    if built:
        first = "c" if "c" in built else built[0]
        out.then("build", model, "--target", first, "-o", f"{first}-{model.stem}")
