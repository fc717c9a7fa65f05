"""Figures that compilers and QEMU give of a built artefact.

They are the bytes of the library on each machine, and instructions and stack of an inference.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

from lehr.targets.c.compiler import call, compiler
from lehr.targets.contract import Figure

TOOLS = {
    "arm-none-eabi-gcc": (
        "install the compiler for Cortex-M (Debian: apt install gcc-arm-none-eabi)"
    ),
    "qemu-system-arm": "install QEMU for Arm (Debian: apt install qemu-system-arm)",
    "riscv64-unknown-elf-gcc": (
        "install the compiler for RISC-V (Debian: apt install gcc-riscv64-unknown-elf)"
    ),
}
"""Tools beside the compiler of this machine, and how to install them."""
COMPILERS = {
    "cortex-m0": "arm-none-eabi-gcc",
    "cortex-m4": "arm-none-eabi-gcc",
    "rv32imac": "riscv64-unknown-elf-gcc",
}


def missing(*tools: str) -> str | None:
    """Return which of `tools` this machine lacks and how to install it, or None."""
    return next(
        (
            f"{tool} is not on this machine; {TOOLS[tool]}"
            for tool in tools
            if shutil.which(tool) is None
        ),
        None,
    )


def measure(folder: Path) -> tuple[Figure, ...]:
    """Measure flash by every compiler that is installed, and a Cortex-M in QEMU where there is one.

    Of the latter come instructions and stack.

    Args:
        folder: a built artefact with golden vectors, which is not written to.

    Raises:
        NotBitExact: when the code does not compile, or differs from the golden vectors on the
            Cortex-M.
    """
    if shutil.which("make") is None:
        return ()
    with tempfile.TemporaryDirectory(prefix="lehr-c-") as scratch:
        work = Path(scratch) / "artefact"
        shutil.copytree(folder, work)
        figures = [
            _flash(work, line)
            for line in call(["make", "-s", "sizes"], work, "does not compile").splitlines()
        ]
        if missing("arm-none-eabi-gcc", "qemu-system-arm") is None:
            printed = call(["make", "-s", "check-cortex-m"], work, "does not run on a Cortex-M4")
            counted = re.search(
                r"^(\d+) instructions per inference\n(\d+) bytes of stack in a step$",
                printed,
                re.MULTILINE,
            )
            assert counted is not None, printed
            tools = (
                f"{_version('arm-none-eabi-gcc', work)} -O2; {_version('qemu-system-arm', work)}"
            )
            figures.append(
                Figure(
                    "instructions on cortex-m4",
                    int(counted[1]),
                    "per inference",
                    f"{tools}: mean of the golden samples",
                )
            )
            figures.append(
                Figure(
                    "stack on cortex-m4",
                    int(counted[2]),
                    "bytes",
                    f"{tools}: the most of a step, the caller's left out",
                )
            )
    return tuple(figures)


def _flash(work: Path, line: str) -> Figure:
    """Return the figure of one line of `make sizes`."""
    machine, text, data, _ = line.split()
    tool = COMPILERS.get(machine, compiler()[0])
    return Figure(
        f"flash on {machine}",
        int(text) + int(data),
        "bytes",
        f"{_version(tool, work)} -O2: code and tables of lehr_model.o",
    )


def _version(tool: str, work: Path) -> str:
    """Return the name and version of a tool, as it tells them."""
    return call([tool, "--version"], work, "cannot be measured").splitlines()[0]
