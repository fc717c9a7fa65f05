"""Layout of a network on ReckOn: neurons in pairs, layers as blocks, biases as lines.

A pair shares threshold and decay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lehr.arithmetic import Int64
from lehr.targets.reckon.cells import Cells

INPUTS = NEURONS = 256
OUTPUTS = 16
RELAY = "relay"
"""Name in the map of neurons that pass the bias of integrators on.

Output neurons hear neurons alone.
"""


@dataclass(frozen=True)
class Line:
    """An input line beside the network's own, fired by the host in every step from one on.

    Attributes:
        start: its first step, of the machine's.
        weights: to all places, before the shift.
    """

    start: int
    weights: Int64


@dataclass(frozen=True)
class Layout:
    """A network on the machine.

    Attributes:
        cells: by layer.
        late: by how many steps each layer, and `input`, runs late.
        places: of the neurons of each layer that fires, and of relays, by name.
        pairs: threshold and alpha of places 2i and 2i + 1.
        lines: input lines behind the network's own.
        w_in, w_rec, w_out: the three memories, `[lines, places]`, `[places, places]`, `[places,
            outputs]`, before their shifts.
        shifts: of the three.
        kappa: of output neurons; those that count spikes forget nothing.
        steps: that the machine takes for a sample.
    """

    cells: Mapping[str, Cells]
    late: Mapping[str, int]
    places: Mapping[str, Int64]
    pairs: tuple[tuple[int, int], ...]
    lines: tuple[Line, ...]
    w_in: Int64
    w_rec: Int64
    w_out: Int64
    shifts: tuple[int, int, int]
    kappa: int
    steps: int

    @property
    def resets_to_zero(self) -> bool:
        """Whether all neurons that fire are set to 0, else their threshold is subtracted."""
        return any(own.reset == "zero" for own in self.cells.values())
