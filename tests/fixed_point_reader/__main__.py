"""Compare every spike and membrane with those that `lehr conformance -o DIR` wrote.

`PYTHONPATH=tests python -m fixed_point_reader DIR`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from fixed_point_reader.machine import Machine


def differences(path: Path) -> list[str]:
    """Where a network differs from what stands beside it, in sentences."""
    expected = np.load(path.with_suffix(".npz"))
    inputs = expected["input"]
    shape = Machine(path).shapes["input"]
    held = inputs.shape[1:] == shape
    lines = []
    for sample in range(len(inputs)):
        machine = Machine(path)
        for t in range(machine.steps if held else inputs.shape[1]):
            x = inputs[sample] if held else inputs[sample, t]
            machine.step([int(v) for v in x.reshape(-1)])
            for name, layer in machine.layers.items():
                spikes, membranes = (
                    expected[f"{what}.{name}"][sample, t].reshape(-1).tolist()
                    for what in ("spikes", "membrane")
                )
                if (
                    machine.value[name] != spikes
                    or [r[layer.membrane] for r in layer.registers] != membranes
                ):
                    lines.append(f"{path.name}: {name} differs in sample {sample}, step {t}")
    return lines


def main(folder: Path, report: Callable[[str], object] = print) -> int:
    """Check all networks of a folder; 0 if every one is equal."""
    networks = sorted(folder.glob("*.nir"))
    wrong = 0
    for path in networks:
        lines = differences(path)
        wrong += bool(lines)
        report(lines[0] if lines else f"{path.name}: equal")
    report(f"{len(networks) - wrong} of {len(networks)} networks are equal")
    return int(wrong > 0 or not networks)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
