"""`lehr build` and `lehr verify`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lehr.cli import completing
from lehr.cli.console import Json, Output, session
from lehr.cli.models import read_model
from lehr.cli.options import FramesOption, Model, Recorded, Target, WorkersOption

if TYPE_CHECKING:
    from lehr.network import Network

SECONDS_TO_PROVE = 10.0
"""For a question of a build about widths; `lehr prove` gives more."""


def build(
    model: Model,
    target: Target,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="OUT", help="Folder to write.")],
    inputs: Recorded = None,
    frames: FramesOption = None,
    samples: Annotated[
        int, typer.Option("-n", min=1, help="How many samples become golden vectors.")
    ] = 16,
    options: Annotated[
        list[str] | None,
        typer.Option(
            "--option",
            metavar="KEY=VALUE",
            help="An option of the target.",
            autocompletion=completing.target_options,
        ),
    ] = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="Let the tools of this machine measure it, too.")
    ] = False,
    archive: Annotated[
        Path | None,
        typer.Option("--archive", metavar="X.zip", help="Write everything into a zip file, too."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Build a network for a target, and write its folder.

    The folder holds the files of the target, golden vectors, report and manifest.
    """
    with session(as_json) as out:
        from dataclasses import asdict

        from lehr.errors import UsageError
        from lehr.recordings import open_inputs
        from lehr.targets import registry
        from lehr.targets.build import build as make

        wrong = [option for option in options or () if "=" not in option]
        if wrong:
            raise UsageError(f"--option {wrong[0]!r} is no assignment; write it as KEY=VALUE")
        net, chip = read_model(out, model), registry.get(target)
        x = None if inputs is None else open_inputs(inputs, net.input, frames).first(samples)
        built = make(
            net,
            chip,
            x,
            dict(option.split("=", 1) for option in options or ()),
            samples=samples,
            measure=measure,
        )
        out.checked = True  # that the network maps
        _certify(out, net)
        built.plan.write(output)
        if archive is not None:
            built.plan.archive(archive)
        rows = [
            (name, f"{len(data):,}")
            for name, data in built.plan.files.items()
            if not name.startswith("golden/")
        ]
        out.table(("file", "bytes"), rows)
        if built.measured:
            out.table(
                ("measured", "value", "unit"),
                [(figure.name, f"{figure.value:,}", figure.unit) for figure in built.measured],
            )
        where = (
            "on the synthetic inputs (give real ones with -i)"
            if x is None
            else f"on the inputs of {inputs}"
        )
        for name, state in built.constant.items():
            out.note(f"{where}, {name} {state}; {_lost(net, name)}")
        out.say(f"wrote {output} ({len(built.plan.files)} files)")
        out.then("report" if chip.runner() is None else "verify", output)
        out.facts.update(
            output=str(output),
            target=chip.name,
            digest=built.plan.digest,
            files=list(built.plan.files),
            rates=dict(built.rates),
            measured=[asdict(figure) for figure in built.measured],
        )


def _certify(out: Output, net: Network) -> None:
    """Have the bounds of all registers proven, where z3 is here.

    Raises:
        NotBitExact: when one is refuted; nothing is built on it.
    """
    from importlib.util import find_spec

    if find_spec("z3") is None:
        return
    from lehr.errors import NotBitExact
    from lehr.prove.subject import Subject
    from lehr.prove.widths.certificates import prove

    states = {}
    for each in prove(Subject(net), SECONDS_TO_PROVE):
        states[each.name] = each.state
        if each.state == "refuted":
            values = ", ".join(f"{name} {value}" for name, value in each.counterexample.items())
            raise NotBitExact(
                f"{each.name}: z3 refutes the bounds of its registers by {values}; report it as a "
                "bug of lehr"
            )
    left = [name for name, state in states.items() if state != "proven"]
    undecided = f"; undecided: {', '.join(left)}" if left else ""
    out.say(f"z3 proves the bounds of {len(states) - len(left)} of {len(states)} layers{undecided}")
    out.facts.update(widths=states)


def _lost(net: Network, name: str) -> str:
    """Say what a build does not show of a layer that always does the same."""
    counted = name == net.output and net.readout == "count_argmax_lowest"
    return (
        f"{'every sample gets the same answer, and ' if counted else ''}the golden vectors say "
        "nothing of it"
    )


def verify(
    folder: Annotated[Path, typer.Argument(metavar="OUT", help="Folder that `lehr build` wrote.")],
    samples: Annotated[
        int | None,
        typer.Option("-n", min=1, help="How many golden samples to run; all if not given."),
    ] = None,
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout",
            metavar="SECONDS",
            help="End it, with all that it started, if it takes longer.",
        ),
    ] = 3600.0,
    workers: WorkersOption = "1",
    as_json: Json = False,
) -> None:
    """Run a built artefact in its own tool and compare each spike.

    Each is compared with the simulator's.

    OUT may be anybody's: nothing in it is run. lehr makes the target's files again, from the
    network and the options in OUT. Where OUT has others, it is refused, and they are named; where
    it has the same, they are run, in a temporary folder.
    """
    with session(as_json) as out:
        from dataclasses import asdict

        from lehr.targets.build import verify as run
        from lehr.targets.spread_verify import verify_by
        from lehr.workers.asked import workers_of

        if (team := workers_of(workers)) is None:
            verified = run(folder, samples, timeout)
        else:
            with team:
                verified = verify_by(team, folder, samples, timeout)
        out.checked = True
        compared = verified.comparison
        out.say(f"{verified.target}, {verified.samples} samples: {compared}")
        if compared.quantities == ("spike",):
            out.say("membranes are not compared: the tool does not show them")
        if verified.decided:
            out.say(
                f"{len(verified.misjudged)} of {verified.decided} decisions of the machine itself "
                "differ"
            )
        if verified.figures:
            out.table(
                ("of the run", "value", "unit", "source"),
                [(f.name, f"{f.value:,.6g}", f.unit, f.source) for f in verified.figures],
            )
        out.facts.update(
            target=verified.target,
            samples=verified.samples,
            values=compared.values,
            compared=list(compared.quantities),
            decided=verified.decided,
            misjudged=list(verified.misjudged),
            figures=[asdict(figure) for figure in verified.figures],
            membranes_differ=compared.membranes,
            spikes_differ=compared.spikes,
            first=None if compared.first is None else asdict(compared.first),
            changed=list(verified.changed),
        )
        verified.require()
        out.then("report", folder, "-o", "report.html")
