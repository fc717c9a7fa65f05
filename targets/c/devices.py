"""Microcontrollers, and whether their memories hold a network."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from lehr.errors import NotMappable, UsageError
from lehr.spelling import one_of
from lehr.targets.c.layout import Layout
from lehr.targets.c.memory import Field
from lehr.targets.c.tables import Constants
from lehr.targets.contract import Options

KIB = 1024
STACK = 512
CODE, CODE_OF_NODE, CODE_OF_STATEMENT, FEW_STATEMENTS = 1024, 640, 64, 12
"""Bytes that are kept for the stack, the code as such, each node's, and that of long updates.

The last is for each statement of an update with more than a few. All of it is more than compilers
make of any network of the tests.
"""
MAX_KIB = 2**21
GENERIC = "generic"
KINDS = {
    "membrane": "membranes",
    "state": "other states",
    "spikes": "spikes",
    "values": "sums of the input",
    "active": "sums of the input",
    "shared": "sums within a step",
    "line": "delay lines",
}
"""Contents of the state's members, by the first word of their names; the others are summed up."""


@dataclass(frozen=True)
class Device:
    """Memories of a microcontroller, in bytes, and where the figures come from."""

    flash: int
    ram: int
    source: str = ""


DEVICES: Mapping[str, Device] = {
    "stm32f103c8": Device(64 * KIB, 20 * KIB, "ST DS5319, STM32F103x8 data sheet; Cortex-M3"),
    "samd21g18": Device(
        256 * KIB, 32 * KIB, "Microchip DS40001882, SAM D21 data sheet; Cortex-M0+"
    ),
    "gd32vf103cb": Device(128 * KIB, 32 * KIB, "GigaDevice GD32VF103 data sheet; RV32IMAC"),
    "nrf52832": Device(512 * KIB, 64 * KIB, "Nordic nRF52832 product specification; Cortex-M4"),
    "nrf52840": Device(1024 * KIB, 256 * KIB, "Nordic nRF52840 product specification; Cortex-M4"),
}
NAMES = ", ".join((*DEVICES, GENERIC))


@dataclass(frozen=True)
class Need:
    """Need of a network: bytes, by what they are for."""

    flash: Mapping[str, int]
    ram: Mapping[str, int]


def need(layout: Layout, tables: list[Constants]) -> Need:
    """Flash and RAM of a network; the code's size is a bound, and so is the stack's."""
    ram: dict[str, int] = {}
    for field in layout.memory.fields:
        kind = KINDS.get(_kind(field), "other")
        ram[kind] = ram.get(kind, 0) + field.bytes
    more = sum(
        max(0, len(neuron.program.all) - FEW_STATEMENTS) for neuron in layout.net.neurons.values()
    )
    flash = {
        "weights": sum(table.bytes for table in tables if table.name.startswith("weight_")),
        "parameters": sum(table.bytes for table in tables if not table.name.startswith("weight_")),
        "code": CODE
        + CODE_OF_NODE * len({*layout.scattered, *layout.computed})
        + CODE_OF_STATEMENT * more,
    }
    return Need(flash, {**dict(sorted(ram.items(), key=lambda item: -item[1])), "stack": STACK})


def _kind(field: Field) -> str:
    return field.name.partition("_")[0]


def require_fit(needed: Need, options: Options) -> None:
    """Raise NotMappable unless the network fits the options.

    The message says what is needed and what there is.

    Raises:
        UsageError: for a value that an option does not take.
        NotMappable: when it does not fit.
    """
    has, name = available(options), options.get("device", GENERIC)
    if _fits(needed, has):
        return
    parts = [
        f"{sum(parts.values()):,} of {there:,} bytes of {memory} "
        f"({', '.join(f'{what} {size:,}' for what, size in parts.items())})"
        for memory, parts, there in (
            ("flash", needed.flash, has.flash),
            ("RAM", needed.ram, has.ram),
        )
    ]
    larger = next((other for other, device in DEVICES.items() if _fits(needed, device)), None)
    what = "the memory told" if {"flash", "ram"} & options.keys() else name
    way_out = f"use device={larger}" if larger else "use a larger device, or a smaller network"
    raise NotMappable(f"the network does not fit {what}: it needs {' and '.join(parts)}; {way_out}")


def available(options: Options) -> Device:
    """Return the memories that the options tell; of a generic device more than any network takes.

    Raises:
        UsageError: for a value that an option does not take.
    """
    name = options.get("device", GENERIC)
    if name != GENERIC and name not in DEVICES:
        raise UsageError(f"device is {name!r}; {one_of(str(name), (*DEVICES, GENERIC))}")
    has = DEVICES.get(name, Device(MAX_KIB * KIB, MAX_KIB * KIB))
    if "flash" in options:
        has = replace(has, flash=_kib(options, "flash"))
    if "ram" in options:
        has = replace(has, ram=_kib(options, "ram"))
    return has


def _fits(needed: Need, device: Device) -> bool:
    return sum(needed.flash.values()) <= device.flash and sum(needed.ram.values()) <= device.ram


def _kib(options: Options, name: str) -> int:
    """Return the value of an option in KiB, as bytes."""
    given = options[name]
    if not (re.fullmatch("[0-9]{1,7}", given) and 1 <= int(given) <= MAX_KIB):
        raise UsageError(f"{name} is {given!r}; use a whole number of KiB from 1 to {MAX_KIB:,}")
    return int(given) * KIB
