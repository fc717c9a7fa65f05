"""Which updates of an artefact's C its layers call, and between which bounds everything then is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lehr.errors import FileRefused
from lehr.prove.c.files import AGAIN, HEADER, MODEL, WEIGHTS, Call, CFiles, Update
from lehr.prove.subject import Subject
from lehr.prove.widths.certificates import EVENTS, SUMS, Distinct, claims, distinct_neurons
from lehr.prove.widths.guesses import Bounds, Box, as_said
from lehr.targets.names import identifiers
from lehr.update import (
    FIRED,
    INPUT,
    MOST_SPIKES,
    Add,
    Fire,
    ForEachEvent,
    Leak,
    Program,
    Statement,
    written,
)

WITHIN = "registers are between their bounds, which the part widths is about"
COUNTED = "no neuron fires more than 255 times in a step, which the definition refuses"
MACHINE = "an int of C has 32 bits"
MOST_VALUES = 16
"""Decays and levels of a layer that are asked about one by one; of more, all at once."""
Fixed = tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Case:
    """What is assumed of a neuron.

    Attributes:
        fixed: parameters of one value, by name.
        boxes: bounds of registers, parameters and of what comes; all are within one of them.
    """

    fixed: Fixed
    boxes: tuple[Box, ...]


@dataclass(frozen=True)
class Use:
    """A distinct update, as some layers call it.

    Attributes:
        layers: that do.
        update: the function.
        call: where the first of them calls it.
        program: of the layers.
        statements: of it, which the function stands for.
        kind: `step`, or `begin`, `event` or `end`.
        cases: between which bounds everything is; each is asked about for itself.
        members: of all registers that layers keep, the member of the state, by its own name.
    """

    layers: tuple[str, ...]
    update: Update
    call: Call
    program: Program
    statements: tuple[Statement, ...]
    kind: str
    cases: tuple[Case, ...]
    members: Mapping[str, str]

    @property
    def name(self) -> str:
        """What the obligation is called after."""
        return f"{self.update.name} of {', '.join(self.layers)}"

    @property
    def assumed(self) -> tuple[str, ...]:
        """What is assumed."""
        counts = any(isinstance(s, Add) and s.x == FIRED for s in self.program.all)
        comes = (EVENTS if self.program.loop else SUMS,) if INPUT in self.update.takes else ()
        return (WITHIN, *comes, *((COUNTED,) if counts else ()), MACHINE)


def uses(subject: Subject, files: CFiles) -> Iterator[Use]:
    """Yield the distinct updates, with all layers that call them alike."""
    called, said = identifiers(subject.net.order), claims(subject)
    alike: dict[tuple[object, ...], list[Use]] = {}
    for layer, neuron in subject.net.neurons.items():
        calls = files.calls(called[layer])
        pieces = _pieces(neuron.program)
        members = _members(neuron.program, calls)
        if lacking := {*neuron.program.states} - members.keys():
            raise _unlike(layer, f"{MODEL} keeps no {min(lacking)}")
        distinct = list(distinct_neurons(subject, layer, said[layer]))
        for kind, statements in pieces.items():
            changed = {written(s) for s in _plain(statements)} & members.keys()
            if kind not in calls:
                if changed:
                    raise _unlike(layer, f"{MODEL} leaves out its {kind}")
                continue
            call = calls[kind]
            update = files.updates.get(call.update)
            if update is None or len(update.takes) != len(call.given):
                raise _unlike(layer, f"{MODEL} has no {call.update} as it is called")
            use = Use(
                (layer,),
                update,
                call,
                neuron.program,
                statements,
                kind,
                tuple(_cases(neuron.program, kind, distinct)),
                members,
            )
            alike.setdefault(_key(files, use), []).append(use)
    for group in alike.values():
        boxes: dict[Fixed, list[Box]] = {}
        for case in (case for use in group for case in use.cases):
            boxes.setdefault(case.fixed, []).extend(case.boxes)
        yield replace(
            group[0],
            layers=tuple(layer for use in group for layer in use.layers),
            cases=tuple(Case(fixed, tuple(each)) for fixed, each in boxes.items()),
        )


def _unlike(layer: str, what: str) -> FileRefused:
    return FileRefused(f"{layer}: {what}; {AGAIN}")


def _pieces(program: Program) -> dict[str, tuple[Statement, ...]]:
    if program.loop is None:
        return {"step": program.statements}
    at = program.statements.index(program.loop)
    return {
        "begin": program.statements[:at],
        "event": program.loop.body,
        "end": program.statements[at + 1 :],
    }


def _plain(statements: Sequence[Statement]) -> Iterator[Any]:
    return (s for s in statements if not isinstance(s, ForEachEvent))


def own_name(name: str, known: Sequence[str]) -> str:
    """Return the name of a register or parameter, of that in C, which may have a `_` more."""
    return name if name in known else name.removesuffix("_")


def _members(program: Program, calls: Mapping[str, Call]) -> dict[str, str]:
    return {
        own_name(name, program.registers): member
        for call in calls.values()
        for name, member in call.members.items()
    }


def _key(files: CFiles, use: Use) -> tuple[object, ...]:
    """Return what layers have in common whose updates are asked about together."""
    text = use.call.text
    for register, member in use.members.items():
        text = re.sub(rf"\bs->{member}\[", f"s->{register} of {_type(files, member)}[", text)
    for name, expression in zip(use.update.takes, use.call.given, strict=True):
        table = re.fullmatch(r"(\w+)\[[ci]\]", expression)
        if name == INPUT or table:
            kind = _type(files, table[1]) if table and name != INPUT else ""
            text = text.replace(expression, f"{name} of {kind}")
    return use.update.name, use.program, use.kind, " ".join(text.split())


def _type(files: CFiles, name: str) -> str:
    """Return the type of a member or a table; its name where it is not seen."""
    for text in (files.texts[HEADER], files.texts[WEIGHTS]):
        if declared := re.search(rf"\b(u?int\d+_t) {name}\[", text):
            return declared[1]
    return name


def _cases(program: Program, kind: str, distinct: Sequence[Distinct]) -> Iterator[Case]:
    """Yield bounds, those of neurons with the same decays and levels together."""
    names = {
        source
        for s in program.all
        for source in (
            (s.decay.numerator, s.decay.shift)
            if isinstance(s, Leak)
            else (s.level,)
            if isinstance(s, Fire) and s.up_to > 1
            else ()
        )
        if source in program.parameters
    }
    fixed = {tuple((x, each.alike.given[x]) for x in sorted(map(str, names))) for each in distinct}
    if len(fixed) > MOST_VALUES:
        fixed = {()}
    for values in sorted(fixed):
        those = [each for each in distinct if {*values} <= {*each.alike.given.items()}]
        yield Case(values, (_hull(kind, those),))


def _hull(kind: str, distinct: Sequence[Distinct]) -> Box:
    """Return bounds of all registers, of parameters, and of what comes."""
    boxes: list[dict[str, Bounds]] = []
    for each in distinct:
        given = {x: (value, value) for x, value in each.alike.given.items()}
        if kind in ("step", "event"):
            given[INPUT] = each.alike.comes
        for said in each.said:
            guess = as_said(each.alike, said)
            boxes.append({**(guess.inside if kind in ("event", "end") else guess.ends), **given})
    hull = {x: (min(box[x][0] for box in boxes), max(box[x][1] for box in boxes)) for x in boxes[0]}
    return {**hull, FIRED: (hull[FIRED][0], min(hull[FIRED][1], MOST_SPIKES))}
