"""The synapses of an fpga artefact, from its tables and images of weights, against the network's.

Every word that a layer's neurons visit is followed, for every event that can stand in it, and what
comes of all of them is compared with the definition of the nodes, entry by entry.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lehr import __version__
from lehr.arithmetic import Int64
from lehr.network import INPUT
from lehr.prove.obligations import Obligation, State
from lehr.prove.subject import Subject
from lehr.prove.verilog.boxes import with_boxes
from lehr.prove.verilog.circuit import Claim
from lehr.prove.verilog.engines import Engine, engine_of
from lehr.prove.verilog.program import BOXES, Program, Programs, maps_of, rings_of
from lehr.prove.verilog.questions import Questions, Undecided, lacks, version
from lehr.prove.verilog.sums.images import (
    Elsewhere,
    Heard,
    Images,
    Reader,
    map_of,
    read_words,
    volume,
)
from lehr.prove.verilog.sums.reaching import Synapses, reaching, sources_of
from lehr.prove.verilog.yosys import Circuit, circuits, read_verilog

WALK = "words are visited, and what is in them is added, as is claimed of lehr_core"
ORDER = "feeds, chunks, places and layers come in the order of their numbers"
Key = tuple[str, int]
Found = dict[str, Any]
NOTHING = Synapses(*np.zeros((3, 0), np.int64))


class Places(NamedTuple):
    """What a place of a window gets, and bool `[neurons]`, whether it lies on the map."""

    synapses: Mapping[Key, Synapses]
    inside: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Wiring:
    """What comes to a layer: sums, and maxima of the sums of several places."""

    sums: Mapping[Key, Synapses]
    maxima: Sequence[Sequence[Places]]


def prove(subject: Subject, engine: Engine, timeout: float) -> Iterator[Obligation]:
    """Yield one obligation for each layer of an engine.

    Raises:
        FileRefused: when a file is not as lehr writes it.
        NotMappable: for a node whose effect is not known.
    """
    images = read_images(engine)
    control = read_verilog(engine.folder, engine.file("lehr_control"))
    programs, circuit = Programs(rings_of(control)), None
    for name in subject.net.neurons:
        if engine_of(subject, name).tag != engine.tag:
            continue
        layer = Layer(subject, engine_of(subject, name), name, programs)
        claim = Claim(
            "sums",
            name,
            f"each of {layer.count:,} weights between an event and a neuron is that of the "
            f"network, and there is no other, through the words of {engine.prefix}rows, columns, "
            "chunks and weights that are visited",
            (WALK, ORDER),
            partial(layer.rewired, images),
        )
        if reason := lacks():
            yield claim.missing(reason)
            continue
        if circuit is None:
            circuit = program_of(engine, timeout)
        yield _shown(claim, layer, images, circuit, timeout)


def program_of(engine: Engine, timeout: float) -> Circuit:
    """Return the circuit of an engine that says what its program is."""
    top = engine.module("lehr_core")
    (circuit,) = circuits([with_boxes(engine.folder, top, BOXES)], top, timeout)
    return circuit


def read_images(engine: Engine) -> dict[str, list[int]]:
    """Return the memories that say what events do, by name.

    Raises:
        FileRefused: when one is no memory image.
    """
    banks = sorted(path.stem for path in engine.folder.glob(f"{engine.prefix}weights?.mem"))
    names = ("rows", "columns", "chunks", *(each.removeprefix(engine.prefix) for each in banks))
    return {name: read_words(engine, f"{engine.prefix}{name}.mem") for name in names}


def _shown(
    claim: Claim, layer: Layer, images: Images, circuit: Circuit, timeout: float
) -> Obligation:
    """Follow the images, and copies with one bit turned over until one of them is refuted."""
    asked, fault = Questions(timeout), ""
    began = time.process_time()
    found: Found | None = None
    reason = ""
    try:
        found = layer.rewired(images, circuit, asked)
        for name, word in () if found is not None else layer.visited:
            turned = [*images[name][:word], images[name][word] ^ 1, *images[name][word + 1 :]]
            if layer.rewired({**images, name: turned}, circuit, asked) is not None:
                fault = f"bit 0 of word {word} of {layer.engine.prefix}{name}.mem was turned over"
                break
        reason = "" if fault or found is not None else "no fault that was put in was seen"
    except Undecided as error:
        reason = str(error)
    asked.seconds = time.process_time() - began  # the images are followed here
    state: State = "refuted" if found is not None else "undecided" if reason else "proven"
    said = claim.said(state, asked, fault=fault, counterexample=found or {}, reason=reason)
    return replace(said, tool=f"lehr {__version__}, entry by entry; {version()}")


class Layer:
    """A layer and its synapses, as the network defines them.

    Args:
        subject: the network and its artefact.
        engine: on which the layer is computed.
        name: of the layer.
        programs: of the engine.

    Attributes:
        visited: words of weights at which chunks of the layer begin, after it was followed.

    Raises:
        NotMappable: for a node whose effect is not known.
    """

    def __init__(self, subject: Subject, engine: Engine, name: str, programs: Programs) -> None:
        self.subject, self.engine, self.name, self.programs = subject, engine, name, programs
        net = subject.net
        self.visited: list[tuple[str, int]] = []
        parts = {source: reaching(net, name, source) for source in sources_of(net, name)}
        shape = next(iter(parts.values())).maxima
        self.defined = Wiring(
            {(s, lag): each for s, part in parts.items() for lag, each in part.sums.items()},
            [
                [
                    Places(
                        {
                            (s, lag): each
                            for s, part in parts.items()
                            for lag, each in part.maxima[number][at][0].items()
                        },
                        inside,
                    )
                    for at, (_, inside) in enumerate(places)
                ]
                for number, places in enumerate(shape)
            ],
        )

    @property
    def count(self) -> int:
        """Number of its synapses."""
        places = [place.synapses for places in self.defined.maxima for place in places]
        return sum(
            len(each.weights) for part in (self.defined.sums, *places) for each in part.values()
        )

    def rewired(self, images: Images, circuit: Circuit, asked: Questions) -> Found | None:
        """Return where the artefact's synapses are others than the network's; None if nowhere."""
        program = self.programs.of(circuit, asked)
        sums = read_verilog(self.engine.folder, self.engine.file("lehr_sums"))
        try:
            there = self._followed(program, Reader(program, images, sums))
        except Elsewhere as error:
            return error.at
        return self._differs("", there.sums, self.defined.sums) or self._others(there)

    def _others(self, there: Wiring) -> Found | None:
        """Return where maxima are others."""
        sizes = [[len(places) for places in each.maxima] for each in (there, self.defined)]
        if sizes[0] != sizes[1]:
            return {"maxima of": str(sizes[1]), "but they are of": str(sizes[0])}
        for number, (mine, defined) in enumerate(
            zip(there.maxima, self.defined.maxima, strict=True)
        ):
            for at, (one, other) in enumerate(zip(mine, defined, strict=True)):
                where = f"place {at} of maximum {number}"
                wrong = np.flatnonzero(one.inside != other.inside)
                if len(wrong):
                    on_map = bool(other.inside[wrong[0]])
                    return {"of": where, "neuron": self._index(self.name, wrong[0]), "on": on_map}
                if found := self._differs(where, one.synapses, other.synapses):
                    return found
        return None

    def _differs(
        self, where: str, there: Mapping[Key, Synapses], defined: Mapping[Key, Synapses]
    ) -> Found | None:
        """Return the first weight that is another than is defined."""
        both = Heard()
        for key, each in there.items():
            both.add(key, *each)
        for key, each in defined.items():
            both.add(key, each.events, each.neurons, -each.weights)
        for (source, lag), each in both.summed().items():
            event, neuron = each.events[0], each.neurons[0]
            same = defined.get((source, lag), NOTHING)
            mine = (same.events == event) & (same.neurons == neuron)
            weight = int(same.weights[mine].sum())
            return {
                **({"of": where} if where else {}),
                "source": source,
                **({"steps ago": lag} if lag else {}),
                "event": self._index(source, event),
                "neuron": self._index(self.name, neuron),
                "weight": weight,
                "but it is": weight + int(each.weights[0]),
                "differing": len(each.weights),
            }
        return None

    def _index(self, name: str, flat: Any) -> str:
        shape = self.subject.net.shapes[name]
        return ", ".join(str(int(each)) for each in np.unravel_index(int(flat), shape))

    # ---------------------------------------------------------------- the artefact
    def _followed(self, program: Program, reader: Reader) -> Wiring:
        """Return what the artefact's words make of all events.

        Raises:
            Elsewhere: where they lead to nothing.
        """
        said = program.layer(self.engine.number)
        shape = volume(self.subject.net.shapes[self.name])
        there = {each: said[f"last_{each}"] + 1 for each in "cyx"}
        there["neurons of a place"] = said["last_chunk"] * reader.lanes + said["last_count"]
        if [*there.values()] != [*shape, shape[0]] or said["last_feed"] < said["first_feed"]:
            raise Elsewhere(**there)
        self._apart(program, reader)
        self.visited = []
        heard, places, maxima = Heard(), list[Places](), list[Sequence[Places]]()
        for number in range(said["first_feed"], said["last_feed"] + 1):
            feed = program.feed(number)
            inside = self._feed(program, reader, said, number, feed, heard)
            if feed["closes"]:
                places.append(Places(heard.summed(), inside))
                heard = Heard()
                if feed["leaves"]:
                    maxima.append(places)
                    places = []
        if places:
            raise Elsewhere(window="does not end")
        return Wiring(heard.summed(), maxima)

    def _feed(
        self,
        program: Program,
        reader: Reader,
        said: Mapping[str, int],
        number: int,
        feed: Mapping[str, int],
        heard: Heard,
    ) -> npt.NDArray[np.bool_]:
        """Follow a feed, and return of each neuron whether its place of a window is on the map."""
        source = self._source(program, number, feed)
        lies = self._map(program, reader, source)
        channels, rows, columns = volume(self.subject.net.shapes[self.name])
        inside = np.zeros((channels, rows, columns), np.bool_)
        by_row = [reader.place("rows", feed["first_row"], y) for y in range(rows)]
        by_column = [reader.place("columns", feed["first_column"], x) for x in range(columns)]
        for chunk in range(said["last_chunk"] + 1):
            words = reader.chunk(feed["first_chunk"] + chunk)
            self.visited.append(("weights0", words[2] >> said["pack"]))
            mine = np.arange(chunk * reader.lanes, min((chunk + 1) * reader.lanes, channels))
            for (y, row), (x, column) in product(enumerate(by_row), enumerate(by_column)):
                inside[mine, y, x] = row[0].inside and column[0].inside
                neurons = (mine * rows + y) * columns + x
                for taps in product(row, column):
                    for events, weights in reader.events(
                        taps, words, said["pack"], lies, of_values=bool(feed["of_values"])
                    ):
                        heard.add_all(
                            (source, feed["lag"]), events, neurons, weights[:, : len(mine)]
                        )
        return inside.ravel()

    def _source(self, program: Program, number: int, feed: Mapping[str, int]) -> str:
        """Return the source whose map a feed reads, as it was so many steps ago.

        Raises:
            Elsewhere: where that is none, or not only one.
        """
        net, lag = self.subject.net, feed["lag"]
        found = []
        for source, written in maps_of(self.subject, self.engine).items():
            values = source == INPUT and net.input.kind == "u8"
            if values != bool(feed["of_values"]) or (lag and lag >= len(program.maps(written))):
                continue
            number_there = written.get("layer", -1)  # the input comes before all layers
            if lag == 0 and number_there >= self.engine.number:
                continue  # it is not written yet in this step
            if program.keeps(written) and program.reads(number, lag, written):
                found.append(source)
        if len(found) != 1:
            raise Elsewhere(feed=number, **{"maps that it reads": ", ".join(found) or "none"})
        return found[0]

    def _apart(self, program: Program, reader: Reader) -> None:
        """Refuse maps that share words.

        Raises:
            Elsewhere: where there are such.
        """
        taken: dict[tuple[bool, int], str] = {}
        for source, written in maps_of(self.subject, self.engine).items():
            if not program.keeps(written):
                continue
            values = source == INPUT and self.subject.net.input.kind == "u8"
            words = len(self._map(program, reader, source))
            for first in program.maps(written):
                for word in range(first, first + words):
                    if (values, word) in taken:
                        raise Elsewhere(word=word, maps=f"{taken[values, word]}, {source}")
                    taken[values, word] = source

    def _map(self, program: Program, reader: Reader, source: str) -> Int64:
        net = self.subject.net
        values = source == INPUT and net.input.kind == "u8"
        events = source == INPUT and not program.has("link.bits")
        grain, across = (1, reader.across) if values else (reader.word, 1)
        return map_of(volume(net.shapes[source]), grain, across, events=events)
