"""The conformance suite over a target that computes programs, in Python integers.

It runs over others as well, which compute a statement wrongly.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pytest

from lehr.artifact import BuildPlan, to_json
from lehr.network import INPUT, Linear, Network, Neuron
from lehr.simulate import Trace, compare
from lehr.targets.conformance.claims import Claim, Example, claims_of, exercised
from lehr.targets.conformance.golden import IN_FIELDS, example
from lehr.targets.conformance.mutations import MUTATIONS
from lehr.targets.conformance.programs import PROGRAMS
from lehr.targets.contract import Arithmetics, Estimate, Figure, Options, Problem, Target
from lehr.update import FIRED, STATEMENTS, Add, Bound, Fire, ForEachEvent, Leak, Program, Put
from lehr.update_text import lines_of, program_of_lines

Values = dict[str, int]


def divided(value: int, shift: int, rounding: str) -> int:
    low, rest, half = value >> shift, value & ((1 << shift) - 1), 1 << shift >> 1
    up = {
        "floor": 0,
        "toward_zero": value < 0 and rest > 0,
        "nearest_even": rest > half or (rest == half > 0 and low % 2 == 1),
    }
    return low + int(up[rounding])


def leaked(s: Leak, x: int, k: int, n: int) -> int:
    match s.decay.form:
        case "multiply":
            return divided(x * k, n, s.decay.rounding)
        case "shift":
            return x - divided(x, n, s.decay.rounding)
        case "dash":
            return x - (x >> n) if x >> n else x - (x > 0) + (x < 0)
        case "linear":
            return max(x - k, 0) if x > 0 else min(x + k, 0)


def bounded(s: Bound, x: int, low: int, high: int) -> int:
    return (
        min(max(x, low), high) if s.overflow == "saturate" else low + (x - low) % (high - low + 1)
    )


def fires(s: Fire, x: int, level: int) -> int:
    return sum(x > n * level if s.test == "gt" else x >= n * level for n in range(1, s.up_to + 1))


def added(s: Add, x: int, source: int, times: int) -> int:
    return x + (-1 if s.negative else 1) * (source << s.shift) * times


def put(s: Put, x: int, source: int, when: int) -> int:
    return source if when else x


RULES: Mapping[type, Callable[..., int]] = {
    Leak: leaked,
    Bound: bounded,
    Fire: fires,
    Add: added,
    Put: put,
}


def step(
    rules: Mapping[type, Callable[..., int]],
    program: Program,
    r: Values,
    given: Values,
    events: list[int],
) -> None:
    """One step of one neuron; `r` holds its registers."""

    def get(source: Any) -> int:
        return source if isinstance(source, int) else r[source] if source in r else given[source]

    for s in program.statements:
        match s:
            case ForEachEvent():
                for weight in filter(None, events):
                    step(
                        rules, Program(s.body, program.membrane), r, {**given, "input": weight}, []
                    )
            case Leak():
                r[s.x] = rules[Leak](s, r[s.x], get(s.decay.numerator), get(s.decay.shift))
            case Bound():
                r[s.x] = rules[Bound](s, r[s.x], get(s.low), get(s.high))
            case Fire():
                r[s.into] = rules[Fire](s, r[s.x], get(s.level))
            case Add():
                r[s.x] = rules[Add](s, r[s.x], get(s.source), get(s.times) if s.times else 1)
            case Put():
                r[s.x] = rules[Put](s, r[s.x], get(s.source), get(s.when) if s.when else 1)


class Programs(Target):
    """One chain of dense layers, whose update is a program."""

    name: ClassVar[str] = "programs"
    summary: ClassVar[str] = "programs in Python integers"
    arithmetics: ClassVar[Arithmetics] = Arithmetics((), (), (), (), (), (), ())
    statements: ClassVar[frozenset[type]] = frozenset(STATEMENTS)

    def __init__(self, **rules: Callable[..., int]) -> None:
        self.rules = {
            **RULES,
            **{kind: rules[kind.__name__] for kind in RULES if kind.__name__ in rules},
        }

    def limits(self, net: Network) -> tuple[Problem, ...]:
        return tuple(
            Problem(name, "it hears two nodes", "chain them")
            for name in net.order
            if len(net.sources(name)) > 1
        )

    def plan(self, net: Network, options: Options) -> BuildPlan:
        layers: list[dict[str, Any]] = []
        for name in net.order:
            node = net.nodes[name]
            if isinstance(node, Linear):
                layers.append({"weight": node.weight.tolist()})
            elif isinstance(node, Neuron):
                given = {
                    key: node.spread(key, net.shapes[name]).tolist()
                    for key in node.program.parameters
                }
                layers.append(
                    {
                        "name": name,
                        "update": lines_of(node.program),
                        "membrane": node.program.membrane,
                        "given": given,
                    }
                )
        return BuildPlan({"layers.json": to_json({"layers": layers})})

    def estimate(
        self, net: Network, rates: Mapping[str, float], options: Options | None = None
    ) -> Estimate:
        return Estimate((Figure("layers", len(net.nodes), "nodes", "their count"),))

    def runner(self) -> Programs:
        return self

    def missing(self) -> None:
        return None

    def run(self, folder: Path, x: npt.NDArray[np.uint8]) -> Trace:
        layers = json.loads((folder / "layers.json").read_text())["layers"]
        spikes, membranes = dict[str, Any](), dict[str, Any]()
        here = x.astype(int)
        for weights, neurons in zip(layers[::2], layers[1::2], strict=True):
            fired, membrane = self._layer(weights["weight"], neurons, here.tolist())
            spikes[neurons["name"]], membranes[neurons["name"]] = (
                np.array(fired, np.uint8),
                np.array(membrane, np.int32),
            )
            here = np.array(fired)
        return Trace(spikes, membranes)

    def _layer(
        self, weight: list[list[int]], neurons: dict[str, Any], samples: list[Any]
    ) -> tuple[list[Any], list[Any]]:
        program = program_of_lines(neurons["update"], neurons["membrane"])
        fired: list[Any] = [[[] for _ in sample] for sample in samples]
        membrane: list[Any] = [[[] for _ in sample] for sample in samples]
        for n, sample in enumerate(samples):
            for i, row in enumerate(weight):
                given = {key: values[i] for key, values in neurons["given"].items()}
                r = dict.fromkeys(program.registers, 0)
                for t, inputs in enumerate(sample):
                    r |= {
                        name: 0
                        for name in program.registers
                        if name not in (*program.states, FIRED)
                    }
                    events = [w for w, count in zip(row, inputs, strict=True) for _ in range(count)]
                    step(self.rules, program, r, {**given, INPUT: sum(events)}, events)
                    fired[n][t].append(r[FIRED])
                    membrane[n][t].append(r[program.membrane])
        return fired, membrane


RIGHT = Programs()


def exact(target: Programs, golden: Example, folder: Path) -> bool:
    target.plan(golden.net, {}).with_manifest({}).write(folder)
    comparison = compare(golden.expected.trace, target.run(folder, golden.x))
    assert comparison.values > 0
    return comparison.equal


def mapped() -> dict[str, Example]:
    examples = {golden.name: example(RIGHT, golden.name) for golden in PROGRAMS}
    return {name: it for name, it in examples.items() if isinstance(it, Example)}


@pytest.mark.slow
def test_machines_and_statements_map_and_are_exact(tmp_path: Path) -> None:
    names = {golden.name for golden in PROGRAMS if not golden.name.endswith("_by_neuron")}
    assert names == mapped().keys()
    for name, each in mapped().items():
        assert exact(RIGHT, each, tmp_path / name), name


def test_every_statement_is_exercised() -> None:
    claims = claims_of(RIGHT)
    assert {claim.value for claim in claims if claim.name == "statement"} == set(STATEMENTS)
    for claim in claims:
        assert any(exercised(claim, golden) for golden in mapped().values()), str(claim)
    assert not any(
        exercised(Claim("statement", ForEachEvent), golden)
        for name, golden in mapped().items()
        if "leak" in name
    )


WRONG: dict[str, tuple[type, Callable[..., int]]] = {
    "rounds all leaks down": (
        Leak,
        lambda s, x, k, n: leaked(s, x, k, n) if s.decay.form in ("dash", "linear") else x * k >> n,
    ),
    "stops at dash": (
        Leak,
        lambda s, x, k, n: x - (x >> n) if s.decay.form == "dash" else leaked(s, x, k, n),
    ),
    "passes zero": (
        Leak,
        lambda s, x, k, n: x - k if s.decay.form == "linear" and x > 0 else leaked(s, x, k, n),
    ),
    "never shifts": (
        Add,
        lambda s, x, source, times: x + (-source if s.negative else source) * times,
    ),
    "always adds": (Add, lambda s, x, source, times: x + (source << s.shift) * times),
    "adds once": (Add, lambda s, x, source, times: added(s, x, source, min(times, 1))),
    "puts without asking": (Put, lambda s, x, source, when: source),
    "never puts": (Put, lambda s, x, source, when: x),
    "never bounds": (Bound, lambda s, x, low, high: x),
    "never wraps": (Bound, lambda s, x, low, high: min(max(x, low), high)),
    "fires beyond alone": (Fire, lambda s, x, level: min(s.up_to, max(0, (x - 1) // level))),
    "fires once": (Fire, lambda s, x, level: min(1, fires(s, x, level))),
}


@pytest.mark.few(1)
@pytest.mark.parametrize("fault", WRONG)
def test_a_target_that_computes_a_statement_wrongly_is_found(fault: str, tmp_path: Path) -> None:
    kind, rule = WRONG[fault]
    wrong = Programs(**{kind.__name__: rule})

    def differs(name: str, golden: Example) -> bool:
        try:
            return not exact(wrong, golden, tmp_path / name)
        except OverflowError:  # no int32, or no byte
            return True

    for start in ("program_", "machine_"):
        assert any(
            differs(name, golden) for name, golden in mapped().items() if name.startswith(start)
        ), start


def test_a_target_of_programs_alone_takes_no_fields() -> None:
    fields = [golden.name for golden in IN_FIELDS]
    assert not any(isinstance(example(RIGHT, name), Example) for name in fields)
    assert not any(claim.name in Arithmetics.CHOICES for claim in claims_of(RIGHT))


@pytest.mark.parametrize(
    "name", ["machine_loihi", "machine_xylo", "program_leak_multiply_decay_8_floor"]
)
def test_a_program_has_mutants_of_its_own(name: str, tmp_path: Path) -> None:
    golden = mapped()[name]
    for change in ("threshold", "weight", "parameter"):
        assert any(
            not exact(RIGHT, Example(mutant, golden.x, golden.expected), tmp_path / change)
            for mutant in MUTATIONS[change](golden.net)
        ), change
