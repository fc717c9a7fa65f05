"""Updates of chips and of other neurons, each as the program that it is.

What a machine computes stands here and nowhere else.

Parameters are integers by channel or by neuron. Sources are in docs/arithmetic.md, beside each
machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from lehr.update import MEMBRANE, Program
from lehr.update_text import program_of_lines


def _program(text: str) -> Program:
    """Return the program of lines of text, whose membrane is `v`."""
    return program_of_lines([line.strip() for line in text.strip().splitlines()], MEMBRANE)


LOIHI = _program("""
    leak u multiply du 12 toward_zero
    add u input 6
    bound u -8388607 8388608 wrap
    leak v multiply dv 12 toward_zero
    add v u 0
    add v bias 0
    bound v -8388607 8388607 saturate
    fire fired v gt threshold 1
    put v 0 when fired
""")

RECKON = _program("""
    leak v multiply alpha 15 floor
    add v input 4
    subtract v threshold 0 times fired
    bound v -32768 32767 saturate
    fire fired v ge threshold 1
""")

HIAER = _program("""
    fire fired v gt threshold 1
    put v 0 when fired
    leak v shift 7 3 floor
    add v input 4
    bound v -2147483648 2147483647 saturate
""")

AKIDA = _program("""
    put v 0
    add v input 0
    fire fired v gt threshold 1
""")

XYLO = _program("""
    add i input 0
    bound i -32768 32767 saturate
    leak i dash 0 dash_syn
    put d v
    leak d dash 0 dash_mem
    subtract d v 0
    add d i 0
    bound d -32768 32767 saturate
    add d bias 0
    bound d -32768 32767 saturate
    add v d 0
    bound v -32768 32767 saturate
    fire fired v ge threshold 31
    subtract v threshold 0 times fired
""")

DYNAPCNN = _program("""
    add v input 0
    add v bias 0
    bound v floor 32767 saturate
    fire fired v ge threshold 255
    subtract v threshold 0 times fired
""")

DYNAPCNN_BY_EVENT = _program("""
    put fired 0
    add v bias 0
    bound v floor 32767 saturate
    for each event
    add v input 0
    bound v floor 32767 saturate
    fire now v ge threshold 1
    subtract v threshold 0 times now
    add fired now 0
    end
""")

TINYODIN = _program("""
    put fired 0
    for each event
    add v input 0
    bound v -2048 2047 saturate
    fire now v ge threshold 1
    put v 0 when now
    add fired now 0
    end
    leak v linear leak 0
""")

ADAPTIVE = _program("""
    leak v multiply 7 3 toward_zero
    add v input 4
    add v bias 0
    subtract v threshold 0 times fired
    bound v -32768 32767 saturate
    leak a multiply 15 4 floor
    add a 3 4 times fired
    bound a -2048 2047 saturate
    put level threshold
    add level a 0
    fire fired v ge level 1
""")

REFRACTORY = _program("""
    leak v multiply 7 3 toward_zero
    add v input 4
    add v bias 0
    bound v -32768 32767 saturate
    put v 0 when r
    leak r linear 1 0
    fire fired v gt threshold 1
    put v 0 when fired
    put r 3 when fired
""")

MACHINES: Mapping[str, Program] = MappingProxyType(
    {
        "adaptive": ADAPTIVE,
        "akida": AKIDA,
        "dynapcnn": DYNAPCNN,
        "dynapcnn_by_event": DYNAPCNN_BY_EVENT,
        "hiaer": HIAER,
        "loihi": LOIHI,
        "reckon": RECKON,
        "refractory": REFRACTORY,
        "tinyodin": TINYODIN,
        "xylo": XYLO,
    }
)
