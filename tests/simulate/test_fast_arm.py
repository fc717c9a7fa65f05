"""Shipped kernels as code of 64-bit ARM, run by QEMU: every array as this processor leaves it."""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numpy as np
import numpy.typing as npt
import pytest
from hard_networks import HARD

from lehr.simulate.fast import calls, engine, machine

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (shutil.which("qemu-aarch64") and shutil.which("aarch64-linux-gnu-gcc")),
        reason="no QEMU for ARM or no compiler: apt install qemu-user gcc-aarch64-linux-gnu "
        "libc6-dev-arm64-cross",
    ),
]
Arrays = list[npt.NDArray[Any]]
PROGRAM = """
#include <stdio.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void KERNEL(void *words);

enum { AROUND = 1 << 16 };  /* what lies beyond an array's ends may be read */

int main(void)
{
    int64_t count, words[64], bytes[32];
    if (fread(&count, 8, 1, stdin) != 1) return 1;
    for (int64_t i = 0; i < count; i++) {
        int64_t sizes[2];
        if (fread(sizes, 8, 2, stdin) != 2) return 1;
        char *memory = aligned_alloc(64, (2 * AROUND + sizes[1] + 63) / 64 * 64);
        memset(memory, 0, 2 * AROUND + sizes[1]);
        if (fread(memory + AROUND, 1, sizes[1], stdin) != (size_t)sizes[1]) return 1;
        words[2 * i] = (int64_t)(memory + AROUND);
        words[2 * i + 1] = sizes[0];
        bytes[i] = sizes[1];
    }
    KERNEL(words);
    for (int64_t i = 0; i < count; i++) fwrite((void *)words[2 * i], 1, bytes[i], stdout);
    return 0;
}
"""
NETWORKS = ("small", *list(HARD)[::4])


def recorded() -> dict[tuple[calls.Kernel, calls.Kinds], tuple[Arrays, Arrays]]:
    """Return, for each kernel, the arrays of the call that changed most, before and after it."""
    most: dict[tuple[calls.Kernel, calls.Kinds], tuple[int, Arrays, Arrays]] = {}
    owners: dict[int, tuple[calls.Kernel, calls.Kinds]] = {}
    on, call = calls.Kernel.on, calls.Call.__call__

    def noted(kernel: calls.Kernel, arguments: tuple[Any, ...]) -> calls.Call:
        made_ready = on(kernel, arguments)
        owners[id(made_ready)] = kernel, calls.kinds_of(arguments)
        kept.append(made_ready)
        return made_ready

    def run(self: calls.Call) -> None:
        arrays = [each for each in self._arguments if isinstance(each, np.ndarray)]
        before = [each.copy() for each in arrays]
        call(self)
        after = [each.copy() for each in arrays]
        changes = sum(
            int(np.count_nonzero(old != new)) for old, new in zip(before, after, strict=True)
        )
        key = owners[id(self)]
        if key not in most or changes > most[key][0]:
            most[key] = changes, before, after

    kept: list[calls.Call] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calls.Kernel, "on", noted)
        patch.setattr(calls.Call, "__call__", run)
        patch.setattr(calls.Chain, "__call__", lambda chain: [call() for call in chain.calls])
        for name in NETWORKS:
            engine.simulate(*HARD[name]())
    return {key: (before, after) for key, (_, before, after) in most.items()}


@pytest.fixture(scope="module")
def on_arm(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Arrays]:
    """Return what runs a kernel as code of ARM on arrays, and returns them as it leaves them."""
    folder = tmp_path_factory.mktemp("arm")
    (folder / "main.c").write_text(PROGRAM)
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    target = llvm.Target.from_triple("aarch64-unknown-linux-gnu").create_target_machine(
        cpu="cortex-a53", opt=3, codemodel="small"
    )

    def run(kernel: calls.Kernel, kinds: calls.Kinds, arrays: Arrays) -> Arrays:
        label = machine.label_of(kinds)
        code = machine.module(kernel.file, kernel.name, kinds, label).as_bitcode()
        (folder / "kernel.o").write_bytes(machine.emitted(code, target))
        build(folder, kernel.name)
        given = struct.pack("<q", len(arrays)) + b"".join(
            struct.pack("<qq", each.size, each.nbytes) + each.tobytes() for each in arrays
        )
        ran = subprocess.run(
            ["qemu-aarch64", folder / "program"], input=given, capture_output=True, check=True
        )
        left, at = [], 0
        for each in arrays:
            left.append(np.frombuffer(ran.stdout, each.dtype, each.size, at))
            at += each.nbytes
        assert at == len(ran.stdout)
        return left

    return run


def build(folder: Path, name: str) -> None:
    """Link the kernel of a folder with the program that calls it."""
    command = ["aarch64-linux-gnu-gcc", "-O1", "-static", f"-DKERNEL={name}", "-o", "program"]
    subprocess.run([*command, "main.c", "kernel.o"], cwd=folder, check=True)


def test_every_kernel_that_hard_networks_take_leaves_the_same_on_arm(
    on_arm: Callable[..., Arrays],
) -> None:
    calls_of = recorded()
    assert {kernel.name for kernel, _ in calls_of} >= {"gather", "neurons", "programs", "pack"}
    for (kernel, kinds), (before, after) in calls_of.items():
        assert any(not np.array_equal(*pair) for pair in zip(before, after, strict=True))
        left = on_arm(kernel, kinds, before)
        for index, (expected, got) in enumerate(zip(after, left, strict=True)):
            assert np.array_equal(expected, got), (kernel.name, kinds, index)
