"""Statement of what a machine computes of updates in fields, and refusal of what it does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, get_args

from lehr.arithmetic import (
    MAX_FRACTION_BITS,
    MAX_STATE_BITS,
    MIN_STATE_BITS,
    Arithmetic,
    BiasTo,
    DecayForm,
    Fires,
    Overflow,
    Reset,
    ResetTiming,
    Rounding,
    Synapse,
    Update,
)
from lehr.network import Neuron


@dataclass(frozen=True)
class Problem:
    """One reason why a network does not map: the node, what is wrong with it, and what to do."""

    node: str
    reason: str
    hint: str

    def __str__(self) -> str:
        return f"{self.node}: {self.reason}; {self.hint}"


@dataclass(frozen=True)
class Arithmetics:
    """Arithmetics that a machine computes: the values that it has for each field of `Arithmetic`.

    What is not stated is not computed. The values hold for the synapse state of a neuron too, where
    the machine has one (`synapse`); `bias_to` is that state's alone. A machine that takes only
    networks whose states stay within their widths, because its own are wider, or it does something
    else at the ends, says so with `to_the_rails`: `overflow` and `state_bits` are then what such a
    network may say, and mean nothing.
    """

    decay_form: tuple[DecayForm, ...]
    rounding: tuple[Rounding, ...]
    reset: tuple[Reset, ...]
    reset_timing: tuple[ResetTiming, ...]
    fires: tuple[Fires, ...]
    overflow: tuple[Overflow, ...]
    update: tuple[Update, ...]
    synapse: bool = False
    bias_to: tuple[BiasTo, ...] = ()
    max_fraction_bits: int = 0
    max_state_bits: int = MIN_STATE_BITS
    to_the_rails: bool = True

    CHOICES: ClassVar = (
        "decay_form",
        "rounding",
        "reset",
        "reset_timing",
        "fires",
        "overflow",
        "update",
    )

    @classmethod
    def every(cls) -> Arithmetics:
        """Return those of a machine that computes all that `Arithmetic` and `Synapse` can say."""
        return cls(
            get_args(DecayForm),
            get_args(Rounding),
            get_args(Reset),
            get_args(ResetTiming),
            get_args(Fires),
            get_args(Overflow),
            get_args(Update),
            synapse=True,
            bias_to=get_args(BiasTo),
            max_fraction_bits=MAX_FRACTION_BITS,
            max_state_bits=MAX_STATE_BITS,
        )

    def problems(self, node: str, neuron: Neuron) -> list[Problem]:
        """Return what of the arithmetic of layer `node` this machine does not compute."""
        refusals = self._problems(node, neuron.fields, self.CHOICES, "")
        if neuron.synapse is not None and not self.synapse:
            return [
                *refusals,
                Problem(
                    node,
                    "its neurons have a synapse state, the machine has membranes alone",
                    "train without it",
                ),
            ]
        if neuron.synapse is not None:
            refusals += self._problems(
                node, neuron.synapse, ("decay_form", "rounding", "overflow", "bias_to"), "synapse "
            )
        return refusals

    def _problems(
        self, node: str, state: Arithmetic | Synapse, choices: tuple[str, ...], owner: str
    ) -> list[Problem]:
        refusals = []
        for name in choices:
            value, allowed = getattr(state, name), getattr(self, name)
            if value not in allowed:
                listed = " or ".join(f"'{a}'" for a in allowed)
                refusals.append(
                    Problem(
                        node,
                        f"{owner}{name} is '{value}', the machine has {listed}",
                        f"train with {owner}{name} = {listed}",
                    )
                )
        for name, highest in (
            ("fraction_bits", self.max_fraction_bits),
            ("state_bits", self.max_state_bits),
        ):
            value = getattr(state, name, 0)
            if value > highest:
                refusals.append(
                    Problem(
                        node,
                        f"{owner}{name} is {value}, the machine has {highest}",
                        f"export with at most {highest}",
                    )
                )
        return refusals
