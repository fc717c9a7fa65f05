"""Faults in the C of a handful of networks: how many of them proofs see.

    python benchmarks/mutants.py [NETWORK ...]   every operator and number of every update, changed

A fault is one operator exchanged or one number one too high, in the update of an artefact's
lehr_model.c (lehr/prove/c/faults.py). CBMC is asked about each as `lehr prove` asks about the
artefact. What it does not refute is printed with what CBMC says of it: that it changes nothing, for
numbers beyond the bounds too, or nothing within them, with an example from beyond.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

import lehr
from lehr.arithmetic import Arithmetic
from lehr.network import Network
from lehr.prove.c.cbmc import Asked
from lehr.prove.c.faults import faults
from lehr.prove.c.files import read_c
from lehr.prove.c.survivors import said_of
from lehr.prove.c.uses import uses
from lehr.prove.subject import read_subject
from lehr.targets.conformance.machines import machine_network
from lehr.targets.conformance.networks import small_network

SMALL = Arithmetic(decay_numerator=7, decay_shift=3, fraction_bits=2, state_bits=10)
USUAL = "digits"
"""A trained network, of whose updates that of its last layer is asked about."""
SECONDS = 120.0


def networks() -> Iterator[tuple[str, Network]]:
    """Yield networks by name, each with another update."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "digits"
        yield USUAL, lehr.read(lehr.zoo.get(USUAL, folder) / "model.nir")
    for name in ("akida", "hiaer", "tinyodin", "dynapcnn_by_event"):
        yield name, machine_network(name)[0]
    by_event = replace(SMALL, update="event", reset_timing="same_step")
    yield "event", small_network(by_event)[0]


def main(only: Annotated[list[str] | None, typer.Argument(metavar="NETWORK")] = None) -> None:
    """Print how many faults are seen, and why others are not."""
    total, why = Counter[bool](), Counter[str]()
    typer.echo(f"{'network':20}{'faults':>8}{'seen':>6}{'seconds':>9}")
    for name, net in networks():
        if only and name not in only:
            continue
        asked, seen, missed = Asked(SECONDS), Counter[bool](), []
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "out"
            lehr.build(net, "c", folder)
            subject, files = read_subject(folder), read_c(folder)
            for use in uses(subject, files):
                if name == USUAL and use.layers != (net.output,):  # the others differ in bits alone
                    continue
                for fault in faults(files, use.update):
                    said = said_of(files, use, fault, asked)
                    seen[not said] += 1
                    if said:
                        why[said.partition(":")[0]] += 1
                        missed.append(f"  {use.name}: {fault.what}: {said}")
        total += seen
        typer.echo(f"{name:20}{seen.total():8}{seen[True]:6}{asked.seconds:9.0f}")
        for line in missed:
            typer.echo(line)
    typer.echo(f"{total[True]} of {total.total()} faults are seen")
    for said, count in why.items():
        typer.echo(f"{count} others: {said}")


if __name__ == "__main__":
    typer.run(main)
