"""`lehr export --for READER`: a network in float units for another tool's NIR importer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lehr.cli import completing
from lehr.cli.models import read_model
from lehr.errors import UsageError

if TYPE_CHECKING:
    from lehr.cli.console import Output
    from lehr.export.readers.check import ReaderCheck
    from lehr.network import Network

ForReader = Annotated[
    str | None,
    typer.Option(
        "--for",
        metavar="READER",
        help="Write float units for another tool's NIR importer in place of the exact file: "
        "norse, rockpool, sc-neurocore, sinabs, snntorch, spikingjelly, or nir for any other. "
        "What they cannot say of the network is told.",
        autocompletion=completing.readers,
    ),
]


def from_network(out: Output, source: Path, reader: str, sample: Path | None, output: Path) -> None:
    """Write the network in a file of lehr's for an importer.

    Raises:
        UsageError: when the exact file would be overwritten.
    """
    from lehr.export.readers import for_reader
    from lehr.export.readers.check import write_for_reader
    from lehr.samples import read_samples

    net = read_model(out, source)
    if output.exists() and output.samefile(source):
        raise UsageError(
            f"{output}: is the exact network, which float units cannot stand in for; write them to "
            "another file"
        )
    file = for_reader(net, reader)
    out.facts.update(model=str(output), network=net.digest)
    x = None if sample is None else read_samples(sample, net.input.highest)[0]
    print_reader_check(out, net, write_for_reader(net, file, output, x))
    out.say(f"wrote {output}")


def print_reader_check(out: Output, net: Network, check: ReaderCheck) -> None:
    """Say what a float graph leaves out of a network.

    If it was run on samples, say how many spikes that costs.
    """
    file = check.file
    rows = []
    for name, kind in file.kinds.items():
        low, high = file.thresholds.get(name, (0.0, 0.0))
        exact = sorted({int(value) for value in net.neurons[name].threshold})
        rows.append(
            (
                name,
                kind,
                _range(exact[0], exact[-1]),
                _range(round(low, 3), round(high, 3)) if high else "none",
            )
        )
    out.table(("layer", f"in the file for {file.title}", "threshold", "stands at"), rows)
    for note in file.notes:
        out.say(note)
    if check.values:
        stepped = f"in double precision, stepped as {file.title} does"
        out.say(
            f"{check.differ:,} of {check.values:,} spikes differ on {check.samples} samples, "
            f"{stepped}"
        )
    if file.proven:
        out.say(
            f"nothing is left out: stepped in double precision, every spike of {net.steps} steps "
            "is the network's"
        )
    out.checked = file.proven or check.values > 0
    unsaid = f"the input ({net.input.kind}), the {net.steps} steps and the readout ({net.readout})"
    out.say(f"NIR has no words for {unsaid}; they stand in the graph's metadata")
    out.facts["reader"] = {
        "name": file.title,
        "types": dict(file.kinds),
        "notes": list(file.notes),
        "proven": file.proven,
        **({"spikes_differ": check.differ, "values": check.values} if check.values else {}),
    }


def _range(low: float, high: float) -> str:
    return f"{low:,}" if low == high else f"{low:,}..{high:,}"
