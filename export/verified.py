"""Networks written as `.nir` files that were verified.

They are read back, run on samples, and compared with what they were made of.

    converted = from_torch(model, sample)
    export_model(converted, Path("model.nir")).differ    # spikes that are not the model's, by layer

Nothing is written where a comparison fails. `lehr.train.runs.exporting.export_run` does the same
for a run of `lehr train`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lehr import nirfile
from lehr.atomic import writing
from lehr.errors import NotBitExact
from lehr.export.effect import Effect, measure, scores_of
from lehr.export.nirgraph import Quantized
from lehr.export.proven import EQUAL, explained, marks, require_proven
from lehr.export.readers import for_reader
from lehr.export.readers.check import ReaderCheck, put
from lehr.network import Network
from lehr.shown import Shown, Table
from lehr.simulate import Result, simulate

if TYPE_CHECKING:  # which imports torch
    from lehr.export.torchmodels.network import FromTorch

Spikes = Mapping[str, npt.NDArray[np.uint8]]

_ITS_FORWARD = (
    "look whether its forward does in a later step what its layers do not say, such as counting "
    "its calls; else report it as a bug of lehr"
)


@dataclass(frozen=True)
class ReadMembranes:
    """Comparison of the membranes that are read out with those of the model.

    Attributes:
        layer: whose they are, by node name.
        differ: how many are not exactly the model's, in its units.
        values: how many were compared.
        apart: the largest distance, as a share of the model's largest membrane.
        decisions: of how many samples the model decides otherwise.
    """

    layer: str
    differ: int
    values: int
    apart: float
    decisions: int


@dataclass(frozen=True, repr=False)
class VerifiedModel(Shown):
    """A torch model's network as it stands in a file, and how it compares with the model.

    Attributes:
        converted: from `lehr.export.from_torch`.
        network: as it was read back.
        result: of the network on the samples, all layers traced.
        differ: by layer of neurons, how many spikes are not the model's.
        values: how many were compared, in all.
        membranes: what is read out, where that is not the count of spikes.
        proven: by layer of neurons, what is proven of it for every input
            (`lehr.export.proven.marks`).
        reader: the file for an importer, where one was asked for.
    """

    converted: FromTorch
    network: Network
    result: Result
    differ: Mapping[str, int]
    values: int
    membranes: ReadMembranes | None
    proven: Mapping[str, str]
    reader: ReaderCheck | None

    def _table(self) -> Table:
        rows = [
            (name, self.proven[name], f"{self.result.rates[name]:.4f}", f"{count:,}")
            for name, count in self.differ.items()
        ]
        title = (
            f"network {self.network.digest[:12]}: {sum(self.differ.values()):,} of "
            f"{self.values:,} spikes differ from the model's"
        )
        return Table(title, ("layer", "proven", "spike rate", "spikes differ"), rows)


@dataclass(frozen=True, repr=False)
class VerifiedGraph(Shown):
    """A float graph's network as it stands in a file, and how it compares with the graph.

    Attributes:
        quantized: from `lehr.export.nirgraph.quantize`.
        network: as it was read back.
        effect: what quantization changed, measured.
        proven: by layer of neurons, what is proven of it for every input.
    """

    quantized: Quantized
    network: Network
    effect: Effect
    proven: Mapping[str, str]

    def _table(self) -> Table:
        rows = [
            (
                name,
                self.proven[name],
                f"{layer.float_rate:.4f}",
                f"{layer.rate:.4f}",
                f"{layer.spikes_differ:.4f}",
            )
            for name, layer in self.effect.layers.items()
        ]
        effect = self.effect
        alike = int((effect.float_prediction == effect.prediction).sum())
        title = (
            f"network {self.network.digest[:12]}: {alike:,} of {effect.samples:,} predictions are "
            "the float graph's"
        )
        columns = ("layer", "proven", "rate, float", "rate", "share of spikes that differ")
        return Table(title, columns, rows)


def export_model(
    converted: FromTorch,
    path: Path,
    *,
    source: str = "model",
    strict: bool | None = None,
    reader: str | None = None,
) -> VerifiedModel:
    """Write the network of a torch model, and compare every spike of the file with the model's.

    The spikes are those on the sample of its conversion.

    Args:
        converted: from `lehr.export.from_torch`.
        path: of the `.nir` file to write.
        source: what errors call the model.
        strict: whether any spike that differs is refused; if None, one that no rounding leads to
            that was asked for.
        reader: an importer of another tool, one of `lehr.export.readers.READERS`: its float units
            are written in place of the exact file, which is verified all the same.

    Raises:
        NotBitExact: when spikes differ that must not, or, where membranes are read out, decisions:
            those of a layer that is proven equal in any case, and its membranes.
        NotMappable: when the model does not run on the sample, or the importer does not have a
            node.
        UsageError: when there is no importer of that name.
        FileRefused: when the file cannot be written.
    """
    file = None if reader is None else for_reader(converted.network, reader)
    recorded = converted.recorded()
    expected = recorded.spikes
    with writing(path) as part:
        own = converted.network
        network = put_network(own, part, None, own.neurons)
        result = simulate(network, converted.sample, trace=network.neurons)
        differ = {
            name: int((spikes != result.trace.spikes[name]).sum())
            for name, spikes in expected.items()
        }
        membranes = (
            None
            if recorded.membranes is None
            else _read_membranes(converted, network, result, recorded.membranes)
        )
        proven = marks(
            network, [name for name, layer in converted.layers.items() if not layer.exact]
        )
        values = sum(spikes.size for spikes in expected.values())
        total = sum(differ.values())
        if total:
            first = _first(expected, result.trace.spikes)
            silent = dict.fromkeys(proven, 0)  # integrators
            require_proven(source, proven, {**silent, **differ}, first, _ITS_FORWARD)
            if strict:
                raise NotBitExact(
                    f"{source}: {total:,} of {values:,} spikes differ from the model's, {first}; "
                    f"{_way_out(converted)}"
                )
        if membranes is not None:
            _require_read(source, converted, proven, membranes, strict)
        if strict is None:
            _require_explained(source, converted, network, differ, membranes)
        check = None if file is None else put(network, file, part, converted.sample)
    return VerifiedModel(converted, network, result, differ, values, membranes, proven, check)


def export_graph(
    quantized: Quantized, x: npt.NDArray[np.uint8], path: Path, source: Path | str
) -> VerifiedGraph:
    """Write the network of a float graph, and measure how the file differs from the graph.

    That is measured on samples.

    Args:
        quantized: from `lehr.export.nirgraph.quantize`.
        x: samples, uint8 `[N, T, *shape]`, or `[N, *shape]`, held.
        path: of the `.nir` file to write.
        source: the graph's file, or what it is called, which errors name, and the file that is
            written.

    Raises:
        NotBitExact: when a layer differs that is proven equal.
        UsageError: when there are no samples.
        FileRefused: when the samples are not what the network takes, or the file cannot be written.
    """
    with writing(path) as part:
        network = put_network(quantized.network, part, _origin(source, quantized))
        effect = measure(quantized, x, network)
        proven = marks(
            network, [name for name, layer in quantized.layers.items() if not layer.report.exact]
        )
        require_proven(
            str(source), proven, {name: layer.spikes_apart for name, layer in effect.layers.items()}
        )
    return VerifiedGraph(quantized, network, effect, proven)


def put_network(
    network: Network,
    part: Path,
    origin: Mapping[str, Any] | None = None,
    approximate: Iterable[str] = (),
) -> Network:
    """Write a network, within another's `lehr.atomic.writing`, and return what is read back.

    `approximate` is as in `lehr.nirfile.write`.
    """
    part.write_bytes(nirfile.to_bytes(network, origin, approximate))
    return nirfile.read(part)


def _origin(graph: Path | str, quantized: Quantized) -> dict[str, Any]:
    """Make what the file says of where it comes from."""
    semantics = {
        key: value for key, value in asdict(quantized.semantics).items() if value is not None
    }
    renamed = [[source, name] for source, name in quantized.graph.names.items()]
    return {
        "command": "lehr quantize",
        "source": Path(graph).name,
        "semantics": semantics,
        "names": renamed,
        "notes": list(quantized.notes),
    }


def _read_membranes(
    converted: FromTorch, net: Network, result: Result, expected: npt.NDArray[np.float64]
) -> ReadMembranes:
    """Compare the membranes that are read out, `[N, T, *shape]`, with the model's."""
    name, folded = net.output, converted.layers[net.output].folded
    unit = folded.scale * 2.0**-folded.fraction_bits
    got = result.trace.membranes[name].astype(np.float64)
    one_each = net.shapes[name]
    if unit.size != got[0, 0].size:
        one_each = (unit.size, *[1] * (got.ndim - 3))
    got = got * unit.reshape(one_each)
    there = scores_of(expected.reshape(*expected.shape[:2], -1), net.readout).argmax(axis=1)
    greatest = max(float(np.abs(expected).max()), float(np.finfo(np.float64).tiny))
    return ReadMembranes(
        name,
        int((got != expected).sum()),
        got.size,
        float(np.abs(got - expected).max()) / greatest,
        int((there != result.prediction).sum()),
    )


def _require_read(
    source: str,
    converted: FromTorch,
    proven: Mapping[str, str],
    read: ReadMembranes,
    strict: bool | None,
) -> None:
    """Refuse membranes that differ in a layer that is proven equal, and any other decision.

    A decision is refused where `strict` says so.
    """
    if proven[read.layer] == EQUAL and read.differ:
        raise NotBitExact(
            f"{source}: {read.layer} is proven to be equal, but {read.differ:,} of its "
            f"{read.values:,} membranes differ; {_ITS_FORWARD}"
        )
    if strict and read.decisions:
        raise NotBitExact(
            f"{source}: {read.decisions:,} decisions differ from the model's, by the membranes of "
            f"{read.layer}; {_way_out(converted)}"
        )


def _require_explained(
    source: str,
    converted: FromTorch,
    net: Network,
    differ: Mapping[str, int],
    read: ReadMembranes | None,
) -> None:
    """Refuse what differs in a layer though no rounding that was asked for leads to it."""
    allowed = explained(
        net, {name: layer.rounded for name, layer in converted.layers.items()}, converted.asked
    )
    found = [(name, count, "spikes of") for name, count in differ.items()]
    if read is not None:
        found.append((read.layer, read.decisions, "decisions by the membranes of"))
    for name, count, what in found:
        if count and name not in allowed:
            options = (
                f"{' and '.join(converted.asked)} round nothing that leads there"
                if converted.asked
                else "nothing was asked to be rounded"
            )
            raise NotBitExact(
                f"{source}: {count:,} {what} {name} differ from the model's, and {options}; "
                f"{_way_out(converted)}"
            )


def _first(expected: Spikes, got: Spikes) -> str:
    """Say where the first spike differs: first by sample and step, then by layer."""
    firsts = []
    for depth, (name, spikes) in enumerate(expected.items()):
        wrong = spikes != got[name]
        if wrong.any():
            sample, step, *neuron = (
                int(i) for i in np.unravel_index(int(wrong.argmax()), wrong.shape)
            )
            firsts.append(
                (
                    sample,
                    step,
                    depth,
                    f"first {name} neuron ({', '.join(map(str, neuron))}) at step {step} of sample "
                    f"{sample}",
                )
            )
    return min(firsts)[-1]


def _way_out(converted: FromTorch) -> str:
    reason = next(
        (note for layer in converted.layers.values() if not layer.exact for note in layer.notes),
        "nothing is known to be rounded",
    )
    return f"{reason}: train with numbers that need no rounding, or accept it with --no-strict"
