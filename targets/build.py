"""Build of an artefact: one function for every target, as is `verify`, which checks the artefact.

OUT/  the target's own files
      model.nir            the network it was built from
      golden/              inputs, and every spike and membrane of the reference
      report/*.json        widths, estimate; what tools measured, if that was asked for
      MODEL_CARD.md        what is in the folder, for people
      manifest.json        sha256 of each file, versions; written last
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

import lehr
from lehr import nirfile
from lehr.artifact import PRODUCTS, BuildPlan, sha256, to_json
from lehr.errors import UsageError
from lehr.network import INPUT, Network, Neuron, Readout
from lehr.shown import Shown, Table
from lehr.simulate import Result, simulate
from lehr.simulate.constant import constant_layers
from lehr.simulate.result import check_input
from lehr.targets.contract import Figure, Options, Target
from lehr.targets.golden import lay_down
from lehr.targets.replanned import MODEL
from lehr.targets.verification import Verified, verify
from lehr.update import Program
from lehr.update_text import lines_of
from lehr.weights import zero_share
from lehr.widths import analyse, facts_of

__all__ = ["GOLDEN_SAMPLES", "MODEL", "Built", "Verified", "build", "synthetic_input", "verify"]

GOLDEN_SAMPLES = 16
_SEED = 0


def synthetic_input(net: Network, samples: int) -> npt.NDArray[np.uint8]:
    """Return inputs for golden vectors where no real ones are given, always the same.

    They are uniform pixels that are held, or spikes at a rate of 1/4.
    """
    rng = np.random.default_rng(_SEED)
    if net.input.kind == "u8":
        return rng.integers(0, 256, (samples, *net.input.shape), np.uint8)
    return (rng.random((samples, net.steps, *net.input.shape)) < 0.25).astype(np.uint8)


def with_input(net: Network, ran: Result, x: npt.NDArray[np.uint8]) -> dict[str, float]:
    """Rates of a run, of every layer and under `input` of the input: events per value and step."""
    steps = net.steps if x.ndim == len(net.input.shape) + 1 else x.shape[1]
    return {INPUT: int(ran.events.sum()) / (ran.events.size * len(x) * steps), **ran.rates}


@dataclass(frozen=True, repr=False)
class Built(Shown):
    """Built artefact: all its files, and what is known of it.

    Attributes:
        plan: the files.
        rates: spikes per neuron and step of each layer in the golden vectors.
        measured: what tools measured.
        constant: the layers of which the golden vectors say nothing, as they never or always fire
            there, and why.
        folder: in which the files are; None where they are in memory alone.
    """

    plan: BuildPlan
    rates: Mapping[str, float]
    measured: tuple[Figure, ...] = ()
    constant: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None

    def __fspath__(self) -> str:
        """Return the path of the folder."""
        if self.folder is None:
            raise UsageError("the artefact is in memory alone; write its plan, and give the folder")
        return str(self.folder)

    def _table(self) -> Table:
        size = sum(map(len, self.plan.files.values()))
        place = "" if self.folder is None else f"{self.folder}: "
        digest = self.plan.digest[:12]
        title = f"{place}{len(self.plan.files)} files, {size:,} bytes, digest {digest}"
        return Table(
            title,
            ("file", "bytes"),
            [(name, f"{len(data):,}") for name, data in self.plan.files.items()],
        )


def build(
    net: Network,
    target: Target,
    x: npt.NDArray[np.uint8] | None = None,
    options: Options | None = None,
    samples: int = GOLDEN_SAMPLES,
    *,
    measure: bool = False,
) -> Built:
    """Everything that `lehr build` writes.

    Args:
        net: the network.
        target: what to build for.
        x: inputs for the golden vectors, as `simulate` takes them; synthetic ones if None.
        options: of the target.
        samples: how many synthetic inputs.
        measure: whether the tools of this machine measure the artefact; what they tell is then part
            of it.

    Raises:
        NotMappable: with every problem, when the network does not map.
        FileRefused: when `x` has more steps than the target is shown to be exact in.
        UsageError: for an option that the target does not have, or when there is nothing to measure
            with.
    """
    options = dict(options or {})
    target.require_options(options)
    target.require_mappable(net)
    golden_input = synthetic_input(net, samples) if x is None else x
    target.require_steps(net, check_input(net, golden_input)[1])
    ran = simulate(net, golden_input, trace=net.neurons)
    # lehr alone is to read it, and takes the exact side
    model = nirfile.to_bytes(net, approximate=net.neurons)
    cost = target.estimate(net, with_input(net, ran, golden_input), options)
    common = BuildPlan(
        {
            MODEL: model,
            "report/widths.json": to_json(
                {
                    name: facts_of(net.neurons[name], layer)
                    for name, layer in analyse(net).layers.items()
                }
            ),
            "report/estimate.json": to_json([asdict(figure) for figure in cost.figures]),
        }
    )
    plan = target.plan(net, options) | lay_down(net, golden_input, ran.trace) | common
    facts = {
        "target": target.name,
        "options": options,
        "network": net.digest,
        "weights": {
            name: {"kind": node.kind, "zero": zero_share(node.weight)}
            for name, node in net.weighted.items()
        },
        "inputs": {MODEL: sha256(model)},
        "lehr": lehr.__version__,
        **({"names": dict(names)} if (names := target.names(net)) else {}),
        **({PRODUCTS: list(target.products)} if target.products else {}),
    }
    figures = _measured(plan.with_manifest(facts), target) if measure else ()
    if measure:
        plan |= BuildPlan({"report/measured.json": to_json([asdict(figure) for figure in figures])})
    plan |= BuildPlan(
        {"MODEL_CARD.md": _card(net, target, ran.rates, figures, synthetic=x is None).encode()}
    )
    return Built(plan.with_manifest(facts), ran.rates, figures, constant_layers(net, ran))


def _measured(plan: BuildPlan, target: Target) -> tuple[Figure, ...]:
    """Return what the tools of this machine measure of a plan's files."""
    with tempfile.TemporaryDirectory(prefix="lehr-") as scratch:
        folder = Path(scratch) / target.name
        plan.write(folder)
        figures = target.measure(folder)
    if not figures:
        raise UsageError(
            f"target {target.name} has no tool here that could measure it; leave --measure out"
        )
    return figures


READOUTS: Mapping[Readout, str] = {
    "count_argmax_lowest": "the spikes of {} are counted, and the highest count wins.",
    "membrane_last_argmax_lowest": (
        "the membranes of {} after the last step are read out, and the highest wins."
    ),
    "membrane_sum_argmax_lowest": (
        "the membranes of {} are summed over all steps, and the highest sum wins."
    ),
    "membrane_max_argmax_lowest": (
        "the membranes of {} are read out in every step, and the highest ever wins."
    ),
}


def _states(neuron: Neuron, text: str) -> str:
    """Return `text` of the membrane and, where there is one, of the synapse state.

    A program is shown below the table.
    """
    if isinstance(neuron.arithmetic, Program):
        return "as its update"
    states = [neuron.fields] if neuron.synapse is None else [neuron.fields, neuron.synapse]
    return ", synapse ".join(text.format(state) for state in states)


def _updates(net: Network) -> str:
    """Return the programs that no fields say, each below the layers that have it."""
    layers: dict[Program, list[str]] = {}
    for name, neuron in net.neurons.items():
        if isinstance(neuron.arithmetic, Program):
            layers.setdefault(neuron.arithmetic, []).append(name)
    return "".join(
        f"\nUpdate of {', '.join(names)}, whose membrane is {program.membrane}:\n\n"
        + "".join(f"    {line}\n" for line in lines_of(program))
        for program, names in layers.items()
    )


def _card(
    net: Network,
    target: Target,
    rates: Mapping[str, float],
    measured: tuple[Figure, ...],
    *,
    synthetic: bool,
) -> str:
    widths = analyse(net).layers
    rows = "\n".join(
        f"| {name} | {'x'.join(map(str, net.shapes[name]))} | "
        f"{neuron.threshold.min()}..{neuron.threshold.max()} |"
        f" {_states(neuron, '{0.decay_numerator}/2^{0.decay_shift}')} | "
        f"{_states(neuron, '{0.state_bits}')} |"
        f" {widths[name].membrane[0]}..{widths[name].membrane[1]} | {rates[name]:.4f} |"
        for name, neuron in net.neurons.items()
    )
    weights = "\n".join(
        f"| {name} | {'x'.join(map(str, node.weight.shape))} | {node.kind} | "
        f"{zero_share(node.weight):.1%} |"
        for name, node in net.weighted.items()
    )
    figures = "".join(
        f"| {figure.name} | {figure.value:,} | {figure.unit} | {figure.source} |\n"
        for figure in measured
    )
    measurements = (
        f"\n| measured | value | unit | source |\n| --- | --- | --- | --- |\n{figures}"
        if measured
        else ""
    )
    inputs = "synthetic inputs" if synthetic else "the inputs given at the build"
    return f"""# Model card

Built for **{target.name}** ({target.summary}) by lehr {lehr.__version__}.
Network `{net.digest[:16]}`: input {"x".join(map(str, net.input.shape))} ({net.input.kind}), \
{net.steps} steps;
{READOUTS[net.readout].format(f"`{net.output}`")}

| layer | shape | threshold | decay | state bits | membrane bounds | spike rate |
| --- | --- | --- | --- | --- | --- | --- |
{rows}
{_updates(net)}
| weights | shape | kind | zero |
| --- | --- | --- | --- |
{weights}

Spike rates are per neuron and step, over {inputs} in `golden/`. Membrane bounds are proven for \
any input.
`lehr verify` runs this folder in the target's own tool and compares every spike and membrane with \
the reference simulator.
{measurements}"""
