"""Benchmarks of the simulator under pytest-benchmark.

make bench
pytest benchmarks --benchmark-enable    and any of its options
"""

from __future__ import annotations

import pytest
import torch
from networks import CASES, at_rate, inputs, network, sides
from pytest_benchmark.fixture import BenchmarkFixture

from lehr.simulate.fast.engine import Engine

PEERS = ("sinabs", "norse", "spikingjelly")


@pytest.mark.parametrize("side", ["plain", "tidy", "twin", "reference", "fast", *PEERS])
@pytest.mark.parametrize("name", CASES)
def test_one_thread_at_ten_percent(benchmark: BenchmarkFixture, name: str, side: str) -> None:
    """Measure each side on two samples."""
    if side in PEERS:
        pytest.importorskip(side)
    torch.set_num_threads(1)
    x = inputs(CASES[name], 2)
    net = at_rate(network(CASES[name]), x, 0.1)
    rates = Engine(net).run(x).rates
    assert all(0.05 < rate < 0.15 for rate in rates.values()), rates
    benchmark.group = name
    with torch.inference_mode():
        benchmark.pedantic(sides(net)[side], (x,), rounds=3, warmup_rounds=1)
