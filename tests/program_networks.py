"""One layer of a program that no machine has: every statement with every kind of source, and the rails reached."""

from __future__ import annotations

import numpy as np
from strategies import Images

from lehr.network import INPUT, OUTPUT, Input, Linear, Network, Neuron
from lehr.update import MEMBRANE
from lehr.update_text import program_of_lines

BY_CHANNEL = {
    "threshold": [3, 50, 9, 31, 8],
    "bias": [0, -3, 2, 1, 5],
    "k": [0, 1, 3, 200, 65_000],
    "n": [0, 1, 2, 8, 16],
    "rest": [-7, 4, 0, 1, -30],
    "slow": [0, 1, 2, 40, 65_536],
    "low": [-9, -8, 0, -70, -1],
    "high": [9, 80, 60, 70, 100],
}
_FIRE, _SUBTRACT = "fire fired v gt threshold 1", "subtract v threshold 0 times fired"
_ROUNDINGS = ("toward_zero", "floor", "nearest_even")

BY_STEP = {
    **{
        f"multiply, {how}": f"leak v multiply k n {how}; {_SUBTRACT}; add v input 0; {_FIRE}"
        for how in _ROUNDINGS
    },
    **{
        f"shift, {how}": f"leak v shift 0 n {how}; add v input 0; {_FIRE}; put v rest when fired"
        for how in _ROUNDINGS
    },
    **{
        f"multiply by a number, {how}": f"leak v multiply 11 4 {how}; add v input 3; {_FIRE}"
        for how in _ROUNDINGS
    },
    **{
        f"shift by a number, {how}": f"leak v shift 7 3 {how}; add v input 1; {_FIRE}; {_SUBTRACT}"
        for how in _ROUNDINGS
    },
    "dash": f"leak v dash 0 n; add v input 0; add v bias 0; {_FIRE}; {_SUBTRACT}",
    "linear": f"add v input 0; leak v linear slow 0; {_FIRE}; {_SUBTRACT}",
    "wraps": f"add v input 2; bound v -64 63 wrap; {_FIRE}",
    "saturates": f"add v input 2; bound v -64 63 saturate; {_FIRE}; {_SUBTRACT}",
    "bounds by channel": f"add v input 0; bound v low high saturate; {_FIRE}; {_SUBTRACT}",
    "one bound by channel": f"add v input 0; bound v low 20 saturate; {_FIRE}; {_SUBTRACT}",
    "several spikes": f"add v input 0; bound v -400 900 saturate; fire fired v gt threshold 5; {_SUBTRACT}",
    "several spikes of a number": "add v input 0; fire fired v ge 7 31; subtract v 7 0 times fired; bound v -400 900 saturate",
    "counts": "add v input 0; fire a v gt threshold 1; fire b v ge 40 3; put fired 0; add fired a 0; add fired b 0; put v 0 when fired",
    "a square": f"put w 0; add w input 0; bound w -8 7 wrap; add v w 1 times w; bound v -300 300 saturate; {_FIRE}; put v rest when fired",
    "integrates": "leak v multiply 3 2 floor; add v input 0; add v bias 1",
}
BY_EVENT = {
    "events, bounds by channel": "put fired 0; for each event; add v input 0; bound v low high saturate; fire now v gt threshold 3;"
    " put v rest when now; add fired now 0; end; leak v multiply k n floor",
    "events that are counted": "leak c multiply 1 2 floor; for each event; add c 1 0; add v input 0; bound v -32 31 wrap; end;"
    " put level threshold; add level c 0; fire fired v ge level 1; put v 0 when fired",
}


def layer_network(name: str) -> tuple[Network, Images]:
    """Sums of signed weights into one layer with parameters by channel; samples by step."""
    program = program_of_lines({**BY_STEP, **BY_EVENT}[name].split("; "), MEMBRANE)
    rng = np.random.default_rng(11)
    given = {
        parameter: np.array(BY_CHANNEL[parameter], np.int32) for parameter in program.parameters
    }
    zero = np.zeros(5, np.int32)
    neuron = Neuron(
        given.pop("threshold", zero), given.pop("bias", zero), program, parameters=given
    )
    nodes = {"w": Linear(rng.integers(-9, 10, (5, 6), np.int8, endpoint=True), "int8"), "v": neuron}
    edges = ((INPUT, "w"), ("w", "v"), ("v", OUTPUT))
    x = rng.choice(np.array([0, 0, 1, 2, 7], np.uint8), (6, 20, 6))
    return Network(
        nodes,
        edges,
        Input((6,), "u8"),
        20,
        "membrane_sum_argmax_lowest" if neuron.integrates else "count_argmax_lowest",
    ), x
