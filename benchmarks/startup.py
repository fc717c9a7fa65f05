"""How long `lehr --help` takes, against the imports that it needs and those that it leaves to the commands.

    python benchmarks/startup.py [--repeats 10]

The processes take turns; each line is the least time of one, and its ratio to `lehr --help`.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import typer

COMMANDS = {
    "lehr --help": [str(Path(sys.executable).parent / "lehr"), "--help"],
    "python -c pass": [sys.executable, "-c", "pass"],
    "python -c 'import typer'": [sys.executable, "-c", "import typer"],
    "python -c 'import torch'": [sys.executable, "-c", "import torch"],
}


def main(repeats: int = 10) -> None:
    """Time processes from start to end."""
    best = dict.fromkeys(COMMANDS, float("inf"))
    for _ in range(repeats):
        for name, command in COMMANDS.items():
            start = time.perf_counter()
            subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
            best[name] = min(best[name], time.perf_counter() - start)
    for name, seconds in best.items():
        typer.echo(f"{name:<26}{seconds * 1e3:6.0f} ms {seconds / best['lehr --help']:6.2f}")


if __name__ == "__main__":
    typer.run(main)
