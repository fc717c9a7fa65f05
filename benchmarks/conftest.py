"""What a run of these benchmarks writes beside pytest-benchmark's own figures.

The modules of this folder are found by name, as they are when a script of it runs.
"""

import platform
import sys
from collections import defaultdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

PACKAGES = ("lehr", "llvmlite", "numba", "numpy", "snntorch", "torch")


def pytest_benchmark_update_json(output_json: Any) -> None:
    """Add `lehr` to the JSON: how many times as fast as each side the fast engine is, and where.

    `compare.py` compares these ratios of two files.
    """
    from lehr.simulate.fast import machine

    least: dict[str, dict[str, float]] = defaultdict(dict)
    for each in output_json["benchmarks"]:
        least[each["group"]][each["params"]["side"]] = each["stats"]["min"]
    output_json["lehr"] = {
        "processor": machine.processor()[0],
        "python": platform.python_version(),
        "versions": {package: version(package) for package in PACKAGES},
        "digest": machine.kernels_digest().hex(),
        "ratios": {
            name: {side: taken / sides["fast"] for side, taken in sides.items() if side != "fast"}
            for name, sides in least.items()
            if "fast" in sides
        },
    }
