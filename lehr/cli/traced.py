"""The options `--trace` and `--trace-samples`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lehr.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lehr.network import Network
    from lehr.simulate.pieces import Traced


def traced(net: Network, layers: list[str], samples: str | None, total: int) -> Traced:
    """Read the two options, for a run on `total` samples.

    Raises:
        UsageError: when they name what there is not.
    """
    from lehr.simulate.layers import named_layers
    from lehr.simulate.pieces import Traced

    named = named_layers(net, layers)
    if samples is None:
        return Traced(named)
    if not named:
        raise UsageError(
            "--trace-samples chooses samples of a trace; name a layer with --trace, or 'all'"
        )
    return Traced(named, tuple(sorted(set(_numbers(samples, total)))))


def _numbers(text: str, total: int) -> Iterator[int]:
    """Yield the numbers that a text such as `0,7,100-199` lists."""
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        if (
            not first.isdecimal()
            or not (last or first).isdecimal()
            or not int(first) <= int(last or first) < total
        ):
            raise UsageError(
                f"--trace-samples: {part!r} of {total:,} samples; give numbers from 0 on and "
                "ranges, as in 0,7,100-199"
            )
        yield from range(int(first), int(last or first) + 1)
