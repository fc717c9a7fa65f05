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
    """Compare every sample with another engine, or with an `out.npz`, and print the result.

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
        comparison = compare_samples(net, samples, run, expected, advance)
    count = samples.shape[0]
    if not comparison.equal:
        out.say(f"against {other}: {comparison}")
    else:
        traced = comparison if comparison.values else "no trace was kept, none was compared"
        out.say(f"against {other}: {traced}; counts of {count:,} samples are equal")
    out.facts.update(
        compared=other,
        values=comparison.values,
        membranes=comparison.membranes,
        spikes=comparison.spikes,
        samples=count,
    )
    out.checked = True
    comparison.require_equal(other)
