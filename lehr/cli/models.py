"""`lehr simulate`: a network run on inputs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lehr.cli.console import Json, percent, session, shape_text
from lehr.cli.options import InputFile, Model

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lehr.network import Network
    from lehr.simulate import Result

REFERENCE = "reference"


def simulate(
    model: Model,
    inputs: InputFile = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="OUT.npz", help="Write counts, predictions and traces here.")
    ] = None,
    trace: Annotated[
        list[str] | None, typer.Option("--trace", metavar="NODE", help="Keep spikes and membranes of a layer, or of 'all'.")
    ] = None,
    engine: Annotated[str, typer.Option("--engine", help="'reference', or a target whose tool runs the network: 'onnx', 'c'.")] = REFERENCE,
    as_json: Json = False,
) -> None:
    """Run a network on inputs, exactly: spike counts, predictions and, with labels, accuracy."""
    with session(as_json) as out:
        from lehr import nirfile
        from lehr.atomic import write_bytes
        from lehr.errors import UsageError
        from lehr.npz import npz_bytes, read_samples

        if inputs is None:
            raise UsageError("no input is given; name an .npz file with -i")
        net = nirfile.read(model)
        x, labels = read_samples(inputs)
        traced = tuple(net.neurons) if trace and "all" in trace else tuple(trace or ())
        result = run_engine(engine, net, x, traced)
        if output is not None:
            write_bytes(output, npz_bytes(arrays_of(result)))
        out.table(
            ("layer", "shape", "spike rate", "saturations"),
            [(n, shape_text(net.shapes[n]), f"{result.rates[n]:.4f}", result.saturations[n]) for n in net.neurons],
        )
        out.facts.update(engine=engine, samples=len(x), rates=dict(result.rates), saturations=dict(result.saturations))
        if labels is not None:
            accuracy = result.accuracy(labels)
            out.say(f"accuracy: {percent(accuracy)} of {len(x):,} samples")
            out.facts["accuracy"] = accuracy
        if output is not None:
            out.say(f"wrote {output}")
            out.facts["output"] = str(output)


def run_engine(engine: str, net: Network, x: npt.NDArray[np.uint8], trace: tuple[str, ...]) -> Result:
    """Simulate with the reference or with a target's own tool."""
    from lehr.simulate import simulate as reference

    if engine == REFERENCE:
        return reference(net, x, trace=trace)
    from lehr.targets import registry
    from lehr.targets.engine import run

    return run(registry.get(engine), net, x, trace)


def arrays_of(result: Result) -> dict[str, npt.NDArray[Any]]:
    """The arrays of an `out.npz`."""
    arrays: dict[str, npt.NDArray[Any]] = {"counts": result.counts, "prediction": result.prediction}
    arrays |= {f"spikes.{name}": array for name, array in result.trace.spikes.items()}
    arrays |= {f"membrane.{name}": array for name, array in result.trace.membranes.items()}
    return arrays
