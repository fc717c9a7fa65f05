"""The updates of a recipe's neurons: the arithmetic of each layer, in fields or as a program.

A program comes with its parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from lehr.arithmetic import Arithmetic, Synapse
from lehr.errors import FileRefused
from lehr.machines import MACHINES
from lehr.nodes import Int32Array
from lehr.programs import CURRENT, input_shift, program_of, with_decays, with_input_shift
from lehr.train.keys.adaptation import JUMP, adapting
from lehr.train.keys.dynamics import Adaptation, binary_digits
from lehr.train.keys.dynamics import Decay as DecayRecipe
from lehr.train.keys.layer import Integrator, Weighted
from lehr.train.keys.network import NetworkRecipe
from lehr.update import MEMBRANE, Decay, Fire, Leak, Program

NAMES = {MEMBRANE: "beta", CURRENT: "alpha"}
"""The keys of the decays of two registers, and the parameters of programs that hold them."""
State = TypeVar("State", Arithmetic, Synapse)
_ALWAYS = ("threshold", "bias")


@dataclass(frozen=True)
class Integers:
    """Update of one layer in the integer network.

    Attributes:
        arithmetic: fields, or a program.
        synapse: the fields of the synapse state that they have beside them, if any.
        parameters: what a program reads beside threshold and bias, int32 `[channels]` by name.
    """

    arithmetic: Arithmetic | Program
    synapse: Synapse | None
    parameters: Mapping[str, Int32Array]


@dataclass(frozen=True)
class LayerUpdate:
    """Update of the neurons of one layer.

    Attributes:
        arithmetic: fields, where a decay that is learned stands near its start, or the program of
            a machine.
        parameters: what a machine's program reads beside threshold and bias, by name.
        fraction_bits: F of its membranes; None where the thresholds' rounding will choose it.
        synapse: the fields of a synapse state beside those of the membrane.
        adaptation: beside fields.
        learned: the decays that are, by register.
    """

    arithmetic: Arithmetic | Program
    parameters: Mapping[str, int]
    fraction_bits: int | None
    synapse: Synapse | None = None
    adaptation: Adaptation | None = None
    learned: Mapping[str, DecayRecipe] = field(default_factory=dict)

    @property
    def integrates(self) -> bool:
        """Whether the neurons never fire."""
        return isinstance(self.arithmetic, Arithmetic) and self.arithmetic.fires == "never"

    @property
    def plain(self) -> Arithmetic | None:
        """The fields, where these say all but the number of the decay; else None."""
        if isinstance(self.arithmetic, Program) or self.synapse or self.adaptation:
            return None
        return self.arithmetic

    @property
    def program(self) -> Program:
        """The update as phase A computes it.

        Beside a machine, its own. Of fields, membranes are in the units of training, and whole
        decay factors are the parameters of `NAMES`.
        """
        if isinstance(self.arithmetic, Program):
            return self.arithmetic
        decays = {MEMBRANE: Decay("multiply", NAMES[MEMBRANE])}
        if self.synapse is not None:
            decays[CURRENT] = Decay("multiply", NAMES[CURRENT])
        return with_decays(
            self._in_statements(replace(self.arithmetic, fraction_bits=0), self.synapse), decays
        )

    def integers(
        self,
        fraction_bits: int,
        channels: int,
        factors: Mapping[str, npt.NDArray[np.float64]],
        jump: Int32Array | None,
    ) -> Integers:
        """Return the update in the integer network.

        Args:
            fraction_bits: F.
            channels: how many there are.
            factors: of the decays that are learned, by register, `[1]` or `[channels]`.
            jump: of the adaptation, int32 `[channels]`, if there is one.
        """
        if isinstance(self.arithmetic, Program):
            given = {name: np.full(channels, k, np.int32) for name, k in self.parameters.items()}
            return Integers(self.arithmetic, None, given)
        fields, synapse = replace(self.arithmetic, fraction_bits=fraction_bits), self.synapse
        decays: dict[str, Decay] = {}
        parameters = {} if jump is None else {JUMP: jump}
        for x, decay in self.learned.items():
            # a synapse, and the membrane behind one, must leak
            highest = (1 << decay.bits) - (synapse is not None)
            k = np.rint(factors[x] * (1 << decay.bits)).clip(0, highest).astype(np.int32)
            if decay.learn == "channel":
                decays[x] = Decay("multiply", NAMES[x], decay.bits, fields.rounding)
                parameters[NAMES[x]] = k
            elif x == MEMBRANE:
                fields = _decaying(fields, Fraction(int(k[0]), 1 << decay.bits))
            elif synapse is not None:
                synapse = _decaying(synapse, Fraction(int(k[0]), 1 << decay.bits))
        if not decays and self.adaptation is None:
            return Integers(fields, synapse, {})
        return Integers(with_decays(self._in_statements(fields, synapse), decays), None, parameters)

    def _in_statements(self, fields: Arithmetic, synapse: Synapse | None) -> Program:
        program = program_of(fields, synapse)
        return program if self.adaptation is None else adapting(program, self.adaptation, fields)


def update_of(net: NetworkRecipe, number: int) -> LayerUpdate:
    """Return the update of layer `number`, from 0.

    Raises:
        FileRefused: when decay, fields and parameters contradict each other.
    """
    layer, given = net.weighted[number], net.arithmetic
    if given is None or given.machine is None:
        return _of_fields(net, layer)
    program = MACHINES[given.machine]
    if layer.fraction_bits is not None:
        program = with_input_shift(program, layer.fraction_bits)
    if given.output_spikes is not None and number == len(net.weighted) - 1:
        program = _firing_at_most(program, given.output_spikes)
    parameters = {
        name: value if isinstance(value, int) else value[number]
        for name, value in given.parameters.items()
    }
    decay = None if net.decay is None else _decay(program, net.decay)
    if decay is not None:
        register, factor = decay
        program, parameters = _with_decay(program, register, factor, parameters)
    return LayerUpdate(program, parameters, input_shift(program))


def others(program: Program) -> tuple[str, ...]:
    """Return what a program reads beside threshold and bias."""
    return tuple(name for name in program.parameters if name not in _ALWAYS)


def membrane_leak(program: Program) -> Leak | None:
    """Return the statement by which the membrane leaks.

    Its own, or else the last one, where the membrane takes what leaks there.
    """
    leaks = [s for s in program.all if isinstance(s, Leak) and s.decay.form != "linear"]
    own = [s for s in leaks if s.x == program.membrane]
    return own[0] if own else leaks[-1] if leaks else None


def decay_parameters(program: Program) -> set[str]:
    """Return the parameters that set the membrane's decay."""
    leak = membrane_leak(program)
    return (
        set()
        if leak is None
        else {name for name in (leak.decay.numerator, leak.decay.shift) if isinstance(name, str)}
    )


def _of_fields(net: NetworkRecipe, layer: Weighted) -> LayerUpdate:
    beta, factor = layer.beta, net.decay if layer.beta is None else layer.beta.nearest
    assert factor is not None, "a recipe without a machine has a beta"
    fields: dict[str, object] = {} if net.arithmetic is None else dict(net.arithmetic.fields)
    if factor == 1:
        fields.pop("decay_form", None)  # without a leak there is no form of one
    arithmetic = Arithmetic(
        decay_numerator=factor.numerator,
        decay_shift=binary_digits(factor),
        fraction_bits=layer.fraction_bits or 0,
        **fields,  # type: ignore[arg-type]
    )
    adaptation = None
    if isinstance(layer, Integrator):
        arithmetic = replace(arithmetic, reset="none", fires="never")
    else:
        arithmetic = replace(arithmetic, reset=layer.reset or arithmetic.reset)
        adaptation = layer.adaptation
    states = {MEMBRANE: beta, CURRENT: layer.alpha}
    return LayerUpdate(
        arithmetic,
        {},
        layer.fraction_bits,
        None
        if layer.alpha is None
        else _synapse(
            arithmetic, layer.alpha.nearest, layer.bias or getattr(layer, "batch_norm", False)
        ),
        adaptation,
        {x: decay for x, decay in states.items() if decay is not None and decay.learn is not None},
    )


def _synapse(fields: Arithmetic, alpha: Fraction, offset: bool) -> Synapse:
    """Return a synapse state that decays, rounds and overflows as the membrane does.

    An offset that comes with the current enters it, as that of a layer of weights in torch does.
    """
    return Synapse(
        fields.decay_form,
        alpha.numerator,
        binary_digits(alpha),
        fields.rounding,
        fields.state_bits,
        fields.overflow,
        bias_to="synapse" if offset else "membrane",
    )


def _decaying(state: State, factor: Fraction) -> State:
    return replace(state, decay_numerator=factor.numerator, decay_shift=binary_digits(factor))


def _decay(program: Program, beta: Fraction) -> tuple[str, Decay] | None:
    """Return the register that leaks as the membrane, and its decay by `beta`, in numbers."""
    leak = membrane_leak(program)
    if leak is None:
        raise FileRefused(
            f"its membrane has no factor that it leaks by, but network.beta is '{beta}'; leave "
            "beta out"
        )
    form, shift = leak.decay.form, binary_digits(beta)
    if form == "multiply":
        digits = leak.decay.shift if isinstance(leak.decay.shift, int) else shift
        numerator = beta * (1 << digits)
        if numerator.denominator != 1:
            raise FileRefused(
                f"it decays by k/{1 << digits}, but network.beta is '{beta}'; use a beta with at "
                f"most {digits} binary digits"
            )
        return leak.x, replace(leak.decay, numerator=int(numerator), shift=digits)
    if beta.numerator != beta.denominator - 1:
        raise FileRefused(
            f"it decays by 1 - 1/2^n, but network.beta is '{beta}'; use '3/4', '7/8' and so on"
        )
    return leak.x, replace(
        leak.decay,
        numerator=leak.decay.numerator if form == "dash" else (1 << shift) - 1,
        shift=shift,
    )


def _with_decay(
    program: Program, register: str, factor: Decay, parameters: dict[str, int]
) -> tuple[Program, dict[str, int]]:
    """Return the decay as the program has it.

    In its parameters where it takes them for it, in its numbers where not.
    """
    leak = membrane_leak(program)
    assert leak is not None
    pairs = ((leak.decay.numerator, factor.numerator), (leak.decay.shift, factor.shift))
    named = {name: int(value) for name, value in pairs if isinstance(name, str)}
    if named:
        return program, {**parameters, **named}
    return with_decays(program, {register: factor}), parameters


def _firing_at_most(program: Program, spikes: int) -> Program:
    statements = (
        replace(s, up_to=min(s.up_to, spikes)) if isinstance(s, Fire) else s
        for s in program.statements
    )
    return Program(tuple(statements), program.membrane)
