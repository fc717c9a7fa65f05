"""Faults in the C of a handful of networks: how many of them proofs see.

    python benchmarks/mutants.py              every operator and number of every update, changed

A fault is one operator exchanged or one number one too high, in the update of an artefact's
lehr_model.c (lehr/prove/cfaults.py). CBMC is asked about each as `lehr prove` asks about the
artefact. What it does not refute is printed; docs/results.md says why that is so.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import typer

import lehr
from lehr.arithmetic import Arithmetic
from lehr.network import Network
from lehr.prove.arithmetic_c import refuted
from lehr.prove.cbmc import Asked
from lehr.prove.cfaults import faults, with_fault
from lehr.prove.cfiles import read_c
from lehr.prove.cuses import uses
from lehr.prove.subject import read_subject
from lehr.targets.conformance.machines import machine_network
from lehr.targets.conformance.networks import small_network

SMALL = Arithmetic(decay_numerator=7, decay_shift=3, fraction_bits=2, state_bits=10)
SECONDS = 120.0


def networks() -> Iterator[tuple[str, Network]]:
    """Yield networks by name, each with another update."""
    for name in ("akida", "hiaer", "tinyodin", "dynapcnn_by_event"):
        yield name, machine_network(name)[0]
    by_event = replace(SMALL, update="event", reset_timing="same_step")
    yield "event", small_network(by_event)[0]


def main() -> None:
    """Print how many faults are seen, and those that are not."""
    total: Counter[bool] = Counter()
    typer.echo(f"{'network':20}{'faults':>8}{'seen':>6}{'seconds':>9}")
    for name, net in networks():
        asked, seen, missed = Asked(SECONDS), Counter[bool](), []
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "out"
            lehr.build(net, "c", folder)
            subject, files = read_subject(folder), read_c(folder)
            for use in uses(subject, files):
                for fault in faults(files, use.update):
                    killed = refuted(with_fault(files, use.update, fault), use, asked)
                    seen[killed] += 1
                    missed += [] if killed else [f"  {use.name}: {fault.what}"]
        total += seen
        typer.echo(f"{name:20}{seen.total():8}{seen[True]:6}{asked.seconds:9.0f}")
        for line in missed:
            typer.echo(line)
    typer.echo(f"{total[True]} of {total.total()} faults are seen")


if __name__ == "__main__":
    typer.run(main)
