"""Templates and memory images: the text of the artefact."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from lehr.arithmetic import Arithmetic
from lehr.artifact import to_json
from lehr.network import INPUT
from lehr.targets.fpga.cost import DEVICES, use
from lehr.targets.fpga.machine import Layer, Machine, bits
from lehr.targets.fpga.projections import volume
from lehr.targets.fpga.tables import Scatter, Tables
from lehr.targets.golden import stem

CORE = (
    "lehr_ram.v",
    "lehr_ram2.v",
    "lehr_rom.v",
    "lehr_table.v",
    "lehr_lane.v",
    "lehr_program.v",
    "lehr_neuron.v",
    "lehr_core.v",
    "lehr_top.v",
)
BENCH = "lehr_tb.v"
DESCRIPTION = "lehr_fpga.json"
IMAGES = ("channels.mem", "columns.mem", "constants.mem", "rows.mem", "weights.mem")


@dataclass(frozen=True)
class Step:
    """One instruction of the program: a scatter, or the update of a layer."""

    scatter: Scatter | None = None
    layer: Layer | None = None


@dataclass(frozen=True)
class Ring:
    """Where the number of the slot that is written stands among the bits of `slots`."""

    low: int
    bits: int
    depth: int

    @property
    def high(self) -> int:
        """Its highest bit."""
        return self.low + self.bits - 1


class Design:
    """Everything that the templates ask."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.tables = Tables(machine)
        self.program = [
            step
            for layer in machine.layers
            for step in (*(Step(scatter=scatter) for scatter in self.tables.scatters[layer.name]), Step(layer=layer))
        ]
        self.rings: dict[str, Ring] = {}
        at = 0
        for source in machine.sources.values():
            if source.depth > 1:
                self.rings[source.name] = Ring(at, bits(source.depth - 1), source.depth)
                at += self.rings[source.name].bits
        self.slots = at

    @cached_property
    def widths(self) -> SimpleNamespace:
        """Bits of everything, by the names that the templates use."""
        machine, tables = self.machine, self.tables
        c, y, x = machine.place_bits
        source_c, source_y, source_x = machine.coordinate_bits
        record = -(-(1 + machine.value_bits + source_c + source_y + source_x) // 8)
        return SimpleNamespace(
            pc=bits(len(self.program)),
            buffer=bits(machine.buffers - 1),
            acc_address=tables.acc_address_bits,
            weight_address=tables.weight_address_bits,
            neuron=bits(machine.neurons - 1),
            constant=bits(machine.constants - 1),
            channel_address=tables.channel_address_bits,
            row_address=tables.row_address_bits,
            column_address=tables.column_address_bits,
            tap=tables.tap_bits,
            chunk=tables.chunk_bits,
            source_c=source_c,
            source_y=source_y,
            source_x=source_x,
            c=c,
            y=y,
            x=x,
            kind=bits(len(machine.kinds) - 1),
            slots=self.slots,
            lane=bits(machine.lanes - 1),
            event=machine.event_bits,
            event_address=bits(machine.event_words - 1),
            count=bits(max(source.size for source in machine.sources.values())),
            acc=tables.acc_bits,
            weight=tables.weight_bits,
            state=machine.state_bits,
            value=machine.value_bits,
            threshold=machine.threshold_bits,
            bias=machine.bias_bits,
            wide=machine.wide_bits(tables.acc_bits),
            **{"class": bits(max(machine.classes, 1) - 1)},
            record=record,
            record_count=bits(record),
            address_bytes=-(-(c + y + x) // 8),
            membrane_bytes=-(-machine.state_bits // 8),
            send=max(5, 2 + machine.state_bits // 8, 2 + (c + y + x) // 8),  # some bits more than there are
        )

    def ring(self, name: str, lag: int) -> str:
        """The Verilog expression of the buffer that a source wrote `lag` steps ago, or writes now."""
        source, w = self.machine.sources[name], self.widths.buffer
        if name not in self.rings:
            return f"{w}'d{source.first_buffer}"
        ring = self.rings[name]
        slot = pad(f"slots[{ring.high}:{ring.low}]", ring.bits, w)
        if lag == 0:
            return f"{slot} + {w}'d{source.first_buffer}"
        behind = source.first_buffer + source.depth - lag  # a buffer of the ring, as all that follows
        return f"{slot} < {w}'d{lag} ? {slot} + {w}'d{behind} : {slot} + {w}'d{source.first_buffer} - {w}'d{lag}"

    @property
    def buffer_addresses(self) -> list[int]:
        """Where each buffer of events begins."""
        return [source.first_event + slot * source.size for source in self.machine.sources.values() for slot in range(source.depth)]


def pad(expression: str, width: int, to: int, zeros: int = 0) -> str:
    """An unsigned Verilog expression of `width` bits, with `zeros` on its right, brought to a width that is not smaller."""
    left = to - width - zeros
    assert left >= 0, (expression, width, to, zeros)
    parts = [*([f"{left}'d0"] if left else []), expression, *([f"{zeros}'d0"] if zeros else [])]
    return f"{{{', '.join(parts)}}}" if len(parts) > 1 else expression


def terms(k: int) -> list[tuple[int, int]]:
    """`k` as a sum of (sign, power of two) with as few terms as can be: the canonical signed digits."""
    found, shift = [], 0
    while k:
        if k & 1:
            sign = 2 - (k & 3)
            found.append((sign, shift))
            k -= sign
        k, shift = k >> 1, shift + 1
    return found[::-1]


def times(wide: int) -> Callable[[str, int], str]:
    """Makes expressions of a product with a constant: shifts and adds where three are enough, else a multiplier."""

    def product(x: str, k: int) -> str:
        found = terms(k)
        if len(found) > 3:
            return f"{x} * {wide}'sd{k}"
        shifted = [f"{'+' if sign > 0 else '-'} ({x} <<< {shift})" for sign, shift in found]
        return " ".join(shifted).removeprefix("+ ")

    return product


def describe(how: Arithmetic) -> str:
    """An arithmetic in the words of `lehr.arithmetic`."""
    decay = f"{how.decay_form} {how.decay_numerator}/{1 << how.decay_shift} {how.rounding}"
    reset = f"reset {how.reset} {how.reset_timing}; fires {how.fires}"
    return f"leak {decay}; {reset}; {how.fraction_bits} fraction bits; {how.state_bits} bits, {how.overflow}"


def render(machine: Machine, options: dict[str, str | int]) -> dict[str, bytes]:
    """All files of the artefact."""
    design = Design(machine)
    net, w = machine.net, design.widths
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    images = design.tables.images
    wide = w.wide
    environment.globals.update(
        machine=machine,
        tables=design.tables,
        program=design.program,
        rings=design.rings,
        buffer_addresses=design.buffer_addresses,
        w=w,
        module={image.name: "lehr_table" if image.logic else "lehr_rom" for image in images},
        depth={image.name: len(image.words) for image in images},
        huge=options["device"] == "up5k" and use(machine, DEVICES["up5k"]).large > 0,
        ring=design.ring,
        pad=pad,
        wide=lambda value: f"{'-' if value < 0 else ''}{wide}'sd{abs(value)}",
        times=times(wide),
        extend=lambda name, width: f"{{{{(WIDE-{width}){{{name}[{width}-1]}}}}, {name}}}",
        magnitude=pad("value", w.value, w.acc) if w.value > 1 else f"{w.acc}'d1",
        describe=describe,
        stem=lambda name: stem(net, name).partition("/")[2],
        input_volume=volume(net.shapes[INPUT]),
        patience=max(100_000, 40 * machine.acc_words + 64 * machine.neurons + design.tables.worst_clocks),
        options=options,
        core=CORE,
        bench=BENCH,
        images=images,
    )
    names = (*CORE, BENCH, "Makefile", "README.md", "lehr_up5k.pcf", "lehr.f")
    files = {name: environment.get_template(f"{name}.j2").render().encode() for name in names}
    files |= {f"{image.name}.mem": image.text for image in images}
    told = {
        "input": list(net.input.shape),
        "steps": net.steps,
        "layers": [{"layer": layer.name, "shape": list(net.shapes[layer.name])} for layer in machine.layers],
        "membrane_bytes": w.membrane_bytes,
        "classes": machine.classes,
        "identifiers": {name: f"{'layer' if name in net.neurons else 'node'}_{i}" for i, name in enumerate(net.order)},
        "options": options,
    }
    return {**files, DESCRIPTION: to_json(told)}
