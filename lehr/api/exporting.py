"""Export of trained networks, and quantization of float graphs: written, read back, compared."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal, overload

from lehr.api.given import Inputs, Place, opened, pixels, whole
from lehr.atomic import require_another_file
from lehr.errors import UsageError
from lehr.export.fold import THRESHOLD_ERROR
from lehr.extras import needed_by
from lehr.network import Input, kind_divided

if TYPE_CHECKING:
    import nir
    from torch import nn

    from lehr.arithmetic import Fires, Reset, ResetTiming
    from lehr.export.nirgraph.semantics import Current, Discretize, Integrate, ReadWhat
    from lehr.export.verified import VerifiedGraph, VerifiedModel
    from lehr.train.runs.exporting import VerifiedRun
    from lehr.weights import WeightKind

Kind = Literal["int2", "int3", "int4", "int5", "int6", "int7", "int8"]


@overload
def export(
    source: Place, output: Place | None = None, *, reader: str | None = None
) -> VerifiedRun: ...
@overload
def export(
    source: nn.Module,
    output: Place | None = None,
    x: Inputs | None = None,
    *,
    steps: int | None = None,
    full_scale: float | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    weights: Kind | None = None,
    decay_bits: int | None = None,
    fraction_bits: int | None = None,
    error: float | None = None,
    readout: ReadWhat | None = None,
    read_from: str | None = None,
    strict: bool | None = None,
    reader: str | None = None,
) -> VerifiedModel: ...
def export(
    source: Place | nn.Module,
    output: Place | None = None,
    x: Inputs | None = None,
    *,
    steps: int | None = None,
    full_scale: float | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    weights: Kind | None = None,
    decay_bits: int | None = None,
    fraction_bits: int | None = None,
    error: float | None = None,
    readout: ReadWhat | None = None,
    read_from: str | None = None,
    strict: bool | None = None,
    reader: str | None = None,
) -> VerifiedRun | VerifiedModel:
    """Export a trained network as integers, and compare every spike with the original's.

    What comes back can be given wherever a network can, and holds it as `.network`.

    Args:
        source: the folder of a run of `lehr.train`, or a trained snnTorch model.
        output: the `.nir` file to write; none if None.
        x: of a model: samples, `[N, T, *shape]`, or `[N, *shape]` with `steps`.
        steps: of a model: for how many steps a sample without an axis of time is held.
        full_scale: of a model: what it takes inputs divided by, 255 for pixels; None for spikes.
        mean: of a model: what is taken from them after that, one number or one a channel.
        std: of a model: what they are divided by then, likewise.
        weights: of a model: the kind that real weights are rounded to; None refuses them.
        decay_bits: of a model: n of the k/2^n that decays are rounded to; None refuses them.
        fraction_bits: of a model: of all layers.
        error: of a model: in their place, the share of a threshold that rounding may come to.
        readout: of a model: what decides: the "count" of the last layer's spikes, or the "last",
            the "sum" or the "max" of its membranes or values; None for spikes.
        read_from: of a model: the layer that decides, where forward returns several answers.
        strict: of a model: whether a spike that differs is refused; if None, one that no rounding
            leads to that was asked for.
        reader: the NIR importer of another tool, as "snntorch", that the file is written for.

    Raises:
        NotBitExact: when a spike differs; nothing is written then.
        NotMappable: naming each layer that is no integer layer, and the way out.
        UsageError: for a folder that holds no run, or an option out of range.
        ToolMissing: when torch is not installed.

    >>> import lehr, torch, snntorch
    >>> layer = torch.nn.Linear(16, 4, bias=False)
    >>> _ = layer.weight.data.sign_()
    >>> neurons = snntorch.Leaky(beta=0.5, threshold=2.0, init_hidden=True)
    >>> model = torch.nn.Sequential(layer, neurons)
    >>> spikes = torch.randint(0, 2, (8, 20, 16), generator=torch.manual_seed(0))
    >>> exported = lehr.export(model, "small.nir", spikes.numpy())
    >>> sum(exported.differ.values()), exported.values
    (0, 640)
    """
    options: dict[str, Any] = {
        "steps": steps,
        "full_scale": full_scale,
        "mean": mean,
        "std": std,
        "weights": weights,
        "decay_bits": decay_bits,
        "fraction_bits": fraction_bits,
        "error": error,
        "readout": readout,
        "read_from": read_from,
    }
    with written(output) as path:
        if isinstance(source, (str, os.PathLike)):
            for name, value in {"x": x, "strict": strict, **options}.items():
                if value is not None:
                    raise UsageError(f"{name} is for a model, but {source} is a run; leave it out")
            return _from_run(Path(source), path, reader)
        if x is None:
            raise UsageError("x is None; give samples, on which the model is compared")
        with needed_by("lehr.export"):
            from lehr.export.torchmodels.network import from_torch
        from lehr.export.verified import export_model

        converted = from_torch(source, whole(x, full_scale), **options)
        name = type(source).__name__
        return export_model(converted, path, source=name, strict=strict, reader=reader)


def quantize(
    graph: Place | nir.NIRGraph,
    x: Inputs,
    output: Place | None = None,
    *,
    samples: int = 64,
    frames: str | None = None,
    steps: int | None = None,
    full_scale: float | None = None,
    dt: float | None = None,
    reset: Reset = "zero",
    reset_timing: ResetTiming = "same_step",
    fires: Fires = "gt",
    discretize: Discretize = "euler",
    integrate: Integrate | None = None,
    current: Current = "new",
    readout: ReadWhat | None = None,
    read_from: str | None = None,
    weights: WeightKind = "int8",
    decay_bits: int | None = None,
    fraction_bits: int | None = None,
    error: float = THRESHOLD_ERROR,
    decay: Literal["own", "common"] = "own",
    maps: Literal["own", "mean"] = "own",
) -> VerifiedGraph:
    """Quantize a float NIR graph to integers, and measure the changes on samples.

    What comes back can be given wherever a network can, and holds it as `.network`; its `effect`
    says layer by layer what changed.

    Args:
        graph: a `.nir` file that any tool wrote, or a graph of the package `nir`.
        x: samples, or their file; of a file, the first `samples` are run.
        output: the `.nir` file to write; none if None.
        samples: how many samples of a file are run.
        frames: how a recording is cut into steps, as "step_us=1000".
        steps: for how many steps a sample without an axis of time is held.
        full_scale: what the graph takes inputs divided by: 255 for pixels, 1 for counts; None for
            spikes.
        dt: seconds of a step, where the graph has time constants.
        reset: what a spike does: "zero" sets to v_reset, "subtract" takes the threshold off.
        reset_timing: when it does that: in the "same_step" or the "next_step".
        fires: whether a membrane at its threshold fires, "ge", or not, "gt".
        discretize: whether decays are 1 - dt/tau, "euler", or exp(-dt/tau), "exact".
        integrate: whether IF and I add r times their input in a "step", or r dt times it, "ode".
        current: whether CubaLIF takes the "new" current of this step, or the "last".
        readout: what is read of the layer before the output: "count", "last", "sum" or "max".
        read_from: which layer decides, where several lead to the output.
        weights: what weights are rounded to.
        decay_bits: n, where decays are rounded to k/2^n; by `error` if None.
        fraction_bits: of all layers; by `error` if None.
        error: the share of a threshold, or of a time constant, that rounding may come to.
        decay: whether decays that differ in a layer are each its "own", or their mean, "common".
        maps: whether neurons that differ in a channel are each its "own", or their "mean".

    Raises:
        NotBitExact: when a layer differs that is proven equal.
        NotMappable: naming the node that no integer network computes, and the way out.
        UsageError: when something that the graph does not say is missing, or out of range.
        FileRefused: when the graph contradicts itself, or the samples are not what it takes.

    >>> import lehr, nir, numpy as np
    >>> linear = nir.Linear(np.array([[3.0, -2.0], [1.0, 4.0]]))
    >>> neurons = nir.IF(r=np.ones(2), v_threshold=np.array([4.0, 6.0]))
    >>> graph = nir.NIRGraph.from_list(linear, neurons)
    >>> x = np.random.default_rng(0).integers(0, 2, (8, 20, 2), dtype=np.uint8)
    >>> quantized = lehr.quantize(graph, x, integrate="step", weights="int4")
    >>> [layer.spikes_apart for layer in quantized.effect.layers.values()]
    [0]
    """
    from lehr.export import nirgraph
    from lehr.export.verified import export_graph

    is_file = isinstance(graph, (str, os.PathLike))
    files = [Path(each) for each in (graph, x) if isinstance(each, (str, os.PathLike))]
    require_another_file(None if output is None else Path(output), *files)
    floats = nirgraph.read(Path(graph)) if is_file else nirgraph.from_nir(graph)
    file = opened(Input(floats.shape, kind_divided(full_scale)), x, frames)
    sample = pixels(x) if file is None else file.first(samples)
    quantized = nirgraph.quantize(
        floats,
        sample,
        nirgraph.Semantics(
            dt, reset, reset_timing, fires, discretize, integrate, current, readout, read_from
        ),
        nirgraph.Options(weights, decay_bits, fraction_bits, error, decay, maps),
        steps=steps,
        full_scale=full_scale,
    )
    with written(output) as path:
        return export_graph(quantized, sample, path, Path(graph) if is_file else "graph")


@contextmanager
def written(output: Place | None) -> Iterator[Path]:
    """Yield the path to write to: a file that is removed afterwards if none is asked for."""
    if output is not None:
        yield Path(output)
        return
    with TemporaryDirectory() as folder:
        yield Path(folder) / "model.nir"


def _from_run(run: Path, path: Path, reader: str | None) -> VerifiedRun:
    from lehr.export.checkpoint import load_run
    from lehr.runstate import SAMPLES_FILE
    from lehr.samples import read_samples

    with needed_by("lehr.export"):
        from lehr.train.runs.exporting import export_run
    trained = load_run(run)
    return export_run(trained, read_samples(run / SAMPLES_FILE)[0], path, reader)
