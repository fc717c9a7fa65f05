"""`lehr simulate --compare`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lehr.cli.console import Output, samples_progress

if TYPE_CHECKING:
    from lehr.network import Network
    from lehr.samples import Samples
    from lehr.simulate.engines import Run


def compare_with(out: Output, net: Network, samples: Samples, run: Run, other: str) -> None:
    """Compare every sample with another engine, or with the arrays of an `out.npz`, and tell of it.

    Raises:
        NotBitExact: when a value differs.
    """
    from lehr.simulate.comparing import compare_samples, simulated, stored
    from lehr.targets.engines import engine

    with samples_progress() as bar:
        advance = partial(bar.advance, bar.add_task("samples", total=samples.shape[0]))
        expected = (
            stored(net, samples, Path(other))
            if other.endswith(".npz")
            else simulated(net, engine(other, net))
        )
        found = compare_samples(net, samples, run, expected, advance)
    count = samples.shape[0]
    out.say(
        f"against {other}: {found}; counts of {count:,} samples are equal"
        if found.equal
        else f"against {other}: {found}"
    )
    out.facts.update(
        compared=other,
        values=found.values,
        membranes=found.membranes,
        spikes=found.spikes,
        samples=count,
    )
    out.checked = True
    found.require_equal(other)
