"""Design data for the templates of an engine: widths, Verilog expressions, a neuron's update."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from types import SimpleNamespace
from typing import Any

from lehr.network import INPUT
from lehr.targets.fpga.cost import Use
from lehr.targets.fpga.engines import Engine
from lehr.targets.fpga.machine import Machine, bits
from lehr.targets.fpga.pipeline import Value
from lehr.targets.fpga.projections import volume
from lehr.update_text import lines_of


@dataclass(frozen=True)
class Ring:
    """Place of a number among the bits of `slots`: that of the slot which is written."""

    low: int
    bits: int
    depth: int

    @property
    def high(self) -> int:
        """Number of its highest bit."""
        return self.low + self.bits - 1


class Design:
    """Everything that the templates of an engine ask."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.machine, self.tables = engine.machine, engine.tables
        machine = engine.machine
        self.feeds = [feed for layer in machine.layers for feed in self.tables.feeds[layer.name]]
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
        return SimpleNamespace(
            **stream_widths(machine),
            layer=bits(len(machine.layers)),
            feed=bits(len(self.feeds) - 1),
            map=bits(machine.maps - 1),
            address=tables.address_bits,
            value_address=bits(max(machine.value_words, 1) - 1),
            spike_address=bits(max(machine.spike_words, 1) - 1),
            offset=tables.offset_bits,
            weight_address=bits(tables.weight_words - 1),
            sums_address=bits(max(machine.sums, 1) - 1),
            neuron=bits(machine.neurons - 1),
            constant=bits(machine.constants - 1),
            row_address=bits((self.lengths["rows"] >> tables.row_tap_bits) - 1),
            column_address=bits((self.lengths["columns"] >> tables.column_tap_bits) - 1),
            chunk_address=bits(self.lengths["chunks"] - 1),
            row_tap=tables.row_tap_bits,
            column_tap=tables.column_tap_bits,
            place_word=tables.place_word_bits,
            chunk=bits(max(layer.chunks for layer in machine.layers) - 1),
            lane_count=bits(machine.lanes),
            pack=bits(max(layer.pack for layer in machine.layers)),
            kind=bits(len(machine.programs) - 1),
            slots=self.slots,
            word=machine.word,
            index=bits(machine.word - 1),
            acc=tables.acc_bits,
            narrow=tables.narrow_bits,
            weight=tables.weight_bits,
            sum=tables.sum_bits,
            count=bits(tables.banks),
            kept=machine.circuit.kept_bits,
            saturated=bits(len(machine.circuit.losses)),
            constants=machine.constant_bits,
            wide=machine.circuit.pipe.wide,
        )

    def names(self, used: Use) -> dict[str, Any]:
        """Return what the templates know by name.

        Args:
            used: where the memories of the design go.
        """
        engine, machine, tables, w = self.engine, self.machine, self.tables, self.widths
        images = tables.images
        lanes = [f"weight_{bank}[lane*WEIGHT +: WEIGHT]" for bank in reversed(range(tables.banks))]
        return {
            "tag": engine.tag,
            "prefix": engine.prefix,
            "machine": machine,
            "source": machine.sources[INPUT],
            "tables": tables,
            "values": machine.value_words > 0,
            "spikes": machine.spike_words > 0,
            "holds": machine.holds,
            "early_sweep": machine.sweeps_early,
            "linked": machine.linked,
            "forwards": machine.forwards,
            "recurrent": len(machine.sources) > 1,
            "classes": machine.classes,
            "banks": tables.banks,
            "across": tables.across,
            "binary": w.weight == 1,
            "counted": tables.counted,
            "maxima": machine.maxima,
            "window": tables.window_bits,
            "feeds": self.feeds,
            "rings": self.rings,
            "map_addresses": self.map_addresses,
            "input_address": self.input_address if not machine.linked else "",
            "lane_weights": f"{{{', '.join(lanes)}}}",
            "packs": sorted({layer.pack for layer in machine.layers}),
            "taps": SimpleNamespace(
                row=_fields(tables.row_banks, w.offset),
                column=_fields(tables.column_banks * tables.across, w.offset),
            ),
            "half": lambda name: f"{name}[{w.neuron - 1}:1]" if w.neuron > 1 else "1'b0",
            "place_index": lambda name, width: pad(
                f"{name}[{min(w.index, width) - 1}:0]", min(w.index, width), w.index
            ),
            "w": w,
            "module": {
                i.name: "lehr_table"
                if i.small and engine.owned(i.name) not in used.blocks
                else "lehr_rom"
                for i in images
            },
            "depth": self.lengths,
            "width": {image.name: image.width for image in images},
            "large": lambda name: used.large_bits.get(engine.owned(name), 0),
            "ring": self.ring,
            "circuit": machine.circuit,
            "lines": [lines_of(program) for program in machine.programs],
            "extended": extended,
            "pad": pad,
            "bits": bits,
        }

    @cached_property
    def lengths(self) -> dict[str, int]:
        """Words of each image."""
        return {image.name: len(image.words) for image in self.tables.images}

    def ring(self, name: str, lag: int) -> str:
        """Return the Verilog expression of the map that a source wrote `lag` steps ago, or now."""
        source, w = self.machine.sources[name], self.widths.map
        if name not in self.rings:
            return f"{w}'d{source.first_map}"
        ring = self.rings[name]
        slot = pad(f"slots[{ring.high}:{ring.low}]", ring.bits, w)
        if lag == 0:
            return f"{slot} + {w}'d{source.first_map}"
        behind = source.first_map + source.depth - lag  # a map of the ring, as all that follows
        return (
            f"{slot} < {w}'d{lag} ? {slot} + {w}'d{behind} : {slot} + {w}'d{source.first_map} - "
            f"{w}'d{lag}"
        )

    @property
    def map_addresses(self) -> list[int]:
        """Addresses at which the maps begin."""
        return [
            source.first_word + slot * source.size
            for source in self.machine.sources.values()
            for slot in range(source.depth)
        ]

    @property
    def input_address(self) -> str:
        """Verilog expression of an input event's word in its map: its coordinates, side by side."""
        source, w = self.machine.sources[INPUT], self.widths
        channels, rows, columns = volume(self.machine.net.shapes[INPUT])
        grain, across = (source.grain - 1).bit_length(), source.across - 1
        fields = [("in_y", rows, 0), ("in_x", columns, across), ("in_c", channels, grain)]
        parts = [
            f"{name}[{top - 1}:{low}]"
            for name, size, low in fields
            if (top := (size - 1).bit_length()) > low
        ]
        width = sum(
            (size - 1).bit_length() - low
            for _, size, low in fields
            if (size - 1).bit_length() > low
        )
        return pad(
            f"{{{', '.join(parts)}}}" if parts else "1'd0",
            max(width, 1),
            w.value_address if source.values else w.spike_address,
        )


def stream_widths(machine: Machine) -> dict[str, int]:
    """Return the bits of what goes into an engine and comes out of it.

    With them go the bytes of the same on the streams of the host.
    """
    c, y, x = machine.place_bits
    in_c, in_y, in_x = machine.input_bits
    record = -(-(1 + machine.value_bits + in_c + in_y + in_x) // 8)
    return {
        "in_c": in_c,
        "in_y": in_y,
        "in_x": in_x,
        "c": c,
        "y": y,
        "x": x,
        "value": machine.value_bits,
        "state": machine.state_bits,
        "class": bits(max(machine.classes, 1) - 1),
        "score": machine.score_bits,
        "score_bytes": machine.score_bits // 8,
        "record": record,
        "record_count": bits(record),
        "address_bytes": -(-(c + y + x) // 8),
        "membrane_bytes": -(-machine.state_bits // 8),
        # some bits more than there are
        "send": max(
            7, 1 + machine.score_bits // 8, 2 + machine.state_bits // 8, 2 + (c + y + x) // 8
        ),
    }


def _fields(count: int, width: int) -> list[int]:
    """Return the lowest bit of each of so many offsets in a word of a table of taps."""
    return [(count - 1 - number) * (1 + width) for number in range(count)]


def pad(expression: str, width: int, to: int, zeros: int = 0) -> str:
    """Return a Verilog expression brought to a width that is not smaller.

    Args:
        expression: unsigned, of `width` bits.
        width: its bits.
        to: the bits that it gets.
        zeros: how many of those that are added stand on its right.
    """
    left = to - width - zeros
    assert left >= 0, (expression, width, to, zeros)
    parts = [*([f"{left}'d0"] if left else []), expression, *([f"{zeros}'d0"] if zeros else [])]
    return f"{{{', '.join(parts)}}}" if len(parts) > 1 else expression


def extended(name: str, value: Value, low: int = 0) -> str:
    """Return the Verilog expression of a value in full width.

    It comes from the bits of `name` that hold it, `low` and those above.
    """
    high = low + value.bits - 1
    bit = f"{name}[{high}]" if value.signed else "1'b0"
    return f"{{{{(WIDE-{value.bits}){{{bit}}}}}, {name}[{high}:{low}]}}"
