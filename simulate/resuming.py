"""Runs that are written to a file, and that go on where they were interrupted.

parts = pieces(ENGINES["fast"](net, 2), net, samples)
result = simulate_to(Path("out.npz"), parts, net, samples)
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from lehr.atomic import require_file_or_nothing
from lehr.errors import UsageError
from lehr.network import Network
from lehr.npz import write_npz
from lehr.samples import Samples
from lehr.simulate.partial import arrays_of, partial_arrays, read_partial
from lehr.simulate.parts import Joining
from lehr.simulate.pieces import NOTHING, Traced, traced_bytes
from lehr.simulate.result import Result
from lehr.simulate.traces import Traces


class Interrupted(KeyboardInterrupt):
    """An interrupted run whose finished samples were written.

    Attributes:
        result: of the samples that were finished.
    """

    def __init__(self, result: Result) -> None:
        super().__init__(f"{len(result.counts):,} samples were finished")
        self.result = result


def finished_samples(
    output: Path | None, net: Network, samples: Samples, traced: Traced = NOTHING
) -> Result:
    """Read what an interrupted run has finished.

    Args:
        output: the file that it wrote.
        net: the network.
        samples: all inputs of the run.
        traced: what it traces.

    Raises:
        UsageError: when there is no such file, or it is of another run.
        FileRefused: when the file is damaged.
    """
    if output is None:
        raise UsageError("--resume needs the result to go on with; name it with -o")
    return read_partial(output, net, samples, traced)


def simulate_to(
    output: Path | None,
    parts: Iterable[Result],
    net: Network,
    samples: Samples,
    traced: Traced = NOTHING,
    *,
    finished: Result | None = None,
) -> Result:
    """Run all samples and write the result, whole or not at all.

    Args:
        output: the `.npz` file to write (`lehr.simulate.partial.arrays_of`); none if None.
        parts: results of the samples that are not finished, in order, which run as they are asked
            for (`lehr.simulate.pieces.pieces`).
        net: the network.
        samples: inputs, `[N, T, *shape]`, or `[N, *shape]`, held.
        traced: what is traced.
        finished: from `finished_samples`, what need not be run again.

    Raises:
        Interrupted: when a KeyboardInterrupt comes after some samples; they are written, and
            `finished_samples` reads them.
        FileRefused: when the samples are not what the network takes, or the file cannot be written.
        NotMappable: when the engine does not compute the network.
    """
    if output is not None:
        require_file_or_nothing(output)
    total = samples.shape[0]
    expected = len(traced.of(0, total)) * traced_bytes(net, samples, traced.layers)
    whole = Joining(total, Traces(expected))
    if finished is not None:
        whole.add(finished)
    try:
        for part in parts:
            whole.add(part)
    except KeyboardInterrupt:
        if not whole.done or output is None:
            raise
        result = whole.result()
        write_npz(output, partial_arrays(net, result, samples, traced))
        raise Interrupted(result) from None
    result = whole.result()
    if output is not None:
        write_npz(output, arrays_of(result, traced.samples))
    return result
