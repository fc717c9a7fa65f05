"""`lehr widths`: the bounds of a network's states, and the same network with fewer bits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lehr.cli.console import Json, Output, session
from lehr.cli.models import read_model
from lehr.cli.options import FramesOption, Model, Recorded

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lehr.network import Network, Neuron
    from lehr.simulate.ranges import Observed


def widths(
    model: Model,
    inputs: Recorded = None,
    frames: FramesOption = None,
    error: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Take the least fraction bits that move no threshold or bias by more of a "
            "threshold.",
        ),
    ] = None,
    risk: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Take the widths observed on -i, if at most this share of samples leaves them.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="OUT.nir", help="Write the network with these widths."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show the bits that each state of a network needs.

    States are those of membranes and synapses. Their bits are proven for all inputs, and observed
    on those of -i.

    Without --risk, OUT.nir has the least widths that provably never saturate; with it, those that
    the samples needed, which is a choice of yours and recorded in the file, as --error is.
    """
    with session(as_json) as out:
        from lehr import nirfile
        from lehr.errors import UsageError
        from lehr.export.coarsen import coarsened
        from lehr.recordings import open_inputs
        from lehr.simulate.ranges import narrowed, observe
        from lehr.widths import fit_state_bits

        net = read_model(out, model)
        if risk is not None and inputs is None:
            raise UsageError(
                "--risk is about samples, and none are given; give them with -i IN.npz"
            )
        x = None if inputs is None else open_inputs(inputs, net.input, frames).whole()
        proven = fit_state_bits(net) if error is None else coarsened(net, error)
        observed = None if x is None else observe(proven, x)
        fitted = proven if risk is None or observed is None else narrowed(proven, observed, risk)
        _print_states(out, net, proven, observed)
        if output is not None:
            origin: dict[str, float | str] = {"command": "lehr widths", "from": net.digest}
            origin |= {
                name: value
                for name, value in (("error", error), ("risk", risk))
                if value is not None
            }
            if risk is not None and observed is not None:
                origin |= {"samples": observed.samples, "steps": observed.steps}
            if x is not None:
                _compare(out, net, fitted, x, exact=error is None and risk is None)
            # as the file was that it comes from
            nirfile.write(fitted, output, origin, approximate=fitted.neurons)
            out.facts.update(output=str(output), network=fitted.digest, origin=origin)
            out.say(f"wrote {output}")
        out.then(*(("widths", model, "-o", "OUT.nir") if output is None else ("check", output)))


def _print_states(out: Output, net: Network, proven: Network, observed: Observed | None) -> None:
    from lehr.programs import widths_of
    from lehr.widths import analyse, bits_for, states_of

    rows, facts = [], {}
    for name, width in analyse(proven).layers.items():
        fraction, layer_facts = _fraction(net.neurons[name], proven.neurons[name])
        stored = widths_of(net.neurons[name].program)
        for state, x in states_of(net.neurons[name]).items():
            bounds = width.registers[x]
            seen = None if observed is None else observed.registers[name].get(x)
            needed = None if seen is None else bits_for(*seen)
            hold = "always" if width.settled else f"{net.steps} steps"
            row = [
                name,
                state,
                fraction,
                stored.get(x, ""),
                _range(bounds),
                hold,
                bits_for(*bounds),
            ]
            rows.append(
                row
                if observed is None
                else [*row, "" if seen is None else _range(seen), "" if needed is None else needed]
            )
            layer_facts[state] = {
                "file": stored.get(x),
                "bounds": bounds,
                "bits": bits_for(*bounds),
                "settled": width.settled,
                "observed": seen,
                "observed_bits": needed,
            }
        facts[name] = layer_facts
    columns = ["layer", "state", "fraction", "bits in file", "proven bounds", "hold for", "bits"]
    out.table(columns if observed is None else [*columns, "observed", "bits"], rows)
    out.facts.update(layers=facts)
    if observed is not None:
        share = f"{100 * observed.risk:.2g} %"
        out.say(
            f"{observed.samples:,} samples of {observed.steps} steps: at most {share} of samples "
            "like these leave an observed width"
        )
        out.say("(with 95 % confidence, if they are drawn as these were)")
        out.facts.update(samples=observed.samples, steps=observed.steps, risk=observed.risk)


def _fraction(given: Neuron, proven: Neuron) -> tuple[str, dict[str, Any]]:
    """Return the fraction bits of neurons in fields, for the table and as facts.

    A program has none of its own.
    """
    from lehr.update import Program

    if isinstance(given.arithmetic, Program):
        return "", {}
    before, now = given.fields.fraction_bits, proven.fields.fraction_bits
    return str(now) if now == before else f"{before} to {now}", {"fraction_bits": now}


def _compare(
    out: Output, net: Network, fitted: Network, x: npt.NDArray[np.uint8], *, exact: bool
) -> None:
    """Compare the spikes of both networks on samples and print how many differ.

    None may, unless that was asked for or the given network's states leave their widths.
    """
    from lehr.errors import NotBitExact
    from lehr.simulate import simulate

    before, after = (simulate(each, x, trace=each.neurons) for each in (net, fitted))
    differ = {
        name: int((spikes != after.trace.spikes[name]).sum())
        for name, spikes in before.trace.spikes.items()
    }
    total, values = (
        sum(differ.values()),
        sum(spikes.size for spikes in before.trace.spikes.values()),
    )
    out.checked = True
    left, leaves = sum(before.saturations.values()), sum(after.saturations.values())
    out.say(f"{total:,} of {values:,} spikes on these samples differ from the given network's")
    out.say(
        f"states leave their widths {left:,} times in the given network, {leaves:,} times in this "
        "one"
    )
    out.facts.update(
        spikes_differ=differ,
        values=values,
        saturations=dict(after.saturations),
        given_saturations=dict(before.saturations),
    )
    if exact and total and not left:
        worst = max(differ, key=lambda name: differ[name])
        raise NotBitExact(
            f"{worst}: {differ[worst]:,} spikes differ, though no state leaves its proven width; "
            "report it as a bug of lehr"
        )


def _range(bounds: tuple[int, int]) -> str:
    return f"{bounds[0]:,}..{bounds[1]:,}"
