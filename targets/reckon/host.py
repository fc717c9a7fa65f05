"""Host of ReckOn: it sends the events, ticks and words of samples, and reads what comes out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lehr.network import INPUT
from lehr.targets.contract import Figure, MachineTrace
from lehr.targets.reckon.cells import KAPPA_ONE
from lehr.targets.reckon.layout import OUTPUTS
from lehr.targets.reckon.words import KAPPA, MEMORY_WORDS, Contents, contents, register

TICK, DECIDE, WORD, DUMP, LOAD = range(0x8000, 0x8005)
"""Words of a stimulus that are no event; lehr_reckon_tb.v has their meaning."""
DUMPED_REGISTERS = 23


@dataclass(frozen=True)
class Host:
    """Contents of an artefact's `map.json`.

    Attributes:
        shape: of the input.
        late: after how many of the machine's steps the input begins.
        lines: input lines that are fired in every step from one on: address and first step.
        steps: of a sample of the network's.
        ends: steps of the machine behind those, until the output has come out whole.
        places: how many places neurons have.
        kappa: of output neurons.
        layers: name, shape, how late, and the places, or None for output neurons; of each layer.
    """

    shape: tuple[int, ...]
    late: int
    lines: tuple[tuple[int, int], ...]
    steps: int
    ends: int
    places: int
    kappa: int
    layers: tuple[tuple[str, tuple[int, ...], int, tuple[int, ...] | None], ...]

    @classmethod
    def of(cls, contents: Any) -> Host:
        """Return the host from the content of `map.json`.

        Raises:
            ValueError, KeyError, TypeError: when it is none.
        """
        given = contents[INPUT]
        lines = tuple(
            (int(line["address"]), int(line["from_step"])) for line in contents["lines_for_biases"]
        )
        layers = tuple(
            (
                str(layer["layer"]),
                tuple(map(int, layer["shape"])),
                int(layer["late"]),
                tuple(map(int, layer["places"])) if "places" in layer else None,
            )
            for layer in contents["layers"]
        )
        steps, ends, places, kappa = (
            int(contents[name]) for name in ("steps", "steps_behind", "places", "kappa")
        )
        return cls(
            tuple(map(int, given["shape"])),
            int(given["late"]),
            lines,
            steps,
            ends,
            places,
            kappa,
            layers,
        )

    def stimulus(self, words: Sequence[int], x: npt.NDArray[np.uint8], over_spi: bool) -> bytes:
        """Return what the testbench does: it programs the machine, then gives it samples.

        It sends all words over SPI or the registers alone. Samples are `[N, T, *shape]`.
        """
        commands = [*(_spi(words) if over_spi else _loads(contents(words))), DUMP]
        flat = x.reshape(*x.shape[:2], -1)
        total = x.shape[1] + self.ends
        switches = self.kappa != KAPPA_ONE
        for sample in flat:
            for step in range(total):
                if 0 <= step - self.late < len(sample):
                    commands += np.flatnonzero(sample[step - self.late]).tolist()
                commands += [address for address, start in self.lines if start <= step]
                commands.append(TICK)
            commands += [
                *(_spi(register(KAPPA, KAPPA_ONE)) if switches else []),
                DECIDE,
                *(_spi(register(KAPPA, self.kappa)) if switches else []),
            ]
        return np.array(commands, ">u2").tobytes()

    def trace(self, output: npt.NDArray[np.uint32], samples: int, steps: int) -> MachineTrace:
        """Return what came out behind the dump.

        Raises:
            ValueError: when it is too much or too little.
        """
        total = steps + self.ends
        blocks = total * (OUTPUTS + self.places)
        each = output.reshape(samples, blocks + 2)
        held = each[:, :blocks].reshape(samples, total, OUTPUTS + self.places)
        membrane = held.astype(np.uint16).view(np.int16).astype(np.int32)
        fired = (held >> 16).astype(np.uint8)
        spikes: dict[str, npt.NDArray[np.uint8]] = {}
        membranes: dict[str, npt.NDArray[np.int32]] = {}
        for name, shape, late, places in self.layers:
            whole = samples, steps, *shape
            where = np.arange(int(np.prod(shape))) if places is None else OUTPUTS + np.array(places)
            spikes[name] = fired[:, late : late + steps, where].reshape(whole)
            membranes[name] = membrane[:, late : late + steps, where].reshape(whole)
        clocks = float(each[:, -1].mean())
        source = (
            "the author's Verilog: clocks in which it works, those in which it waits for its "
            "host left out"
        )
        return MachineTrace(
            spikes,
            membranes,
            each[:, -2].astype(np.int64),
            (Figure("clock cycles", clocks, "per sample", source),),
        )


def _spi(words: Iterable[int]) -> list[int]:
    return [part for word in words for part in (WORD, word >> 16, word & 0xFFFF)]


def _loads(meant: Contents) -> list[int]:
    registers = [
        word for address, value in meant.registers.items() for word in register(address, value)
    ]
    loads = [
        (code, address, value)
        for code, memory in meant.memories.items()
        for address, value in memory.items()
    ]
    return [
        *_spi(registers),
        *(
            part
            for code, place, word in loads
            for part in (LOAD, code, place, word >> 16, word & 0xFFFF)
        ),
    ]


DUMPED = sum(MEMORY_WORDS.values()) + 2 * DUMPED_REGISTERS
"""Words of a dump."""


def misheld(dump: npt.NDArray[np.uint32], meant: Contents) -> Sequence[str]:
    """Return what memories and registers hold otherwise than they should, one line each.

    They are read after programming.
    """
    differences, start = [], 0
    for code, size in MEMORY_WORDS.items():
        memory = dump[start : start + size]
        differences += [
            f"memory {code} holds {memory[address]:08x} at {address}, and {value:08x} was sent"
            for address, value in meant.memories[code].items()
            if memory[address] != value
        ]
        start += size
    held: dict[int, int] = {
        int(address): int(value) for address, value in dump[start:].reshape(-1, 2)
    }
    differences += [
        f"register {a} holds {held[a]:x}, and {value:x} was sent"
        for a, value in meant.registers.items()
        if held.get(a) != value
    ]
    return differences
