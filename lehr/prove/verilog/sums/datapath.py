"""What lies between an fpga artefact's tables and the sums of its neurons, as claims of its own.

The synapses are followed through the images of memories by `synapses`; here it is asked of Yosys
and Bitwuzla whether the Verilog reads and fills them so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from lehr.errors import FileRefused
from lehr.network import INPUT
from lehr.prove.obligations import Obligation
from lehr.prove.subject import Subject
from lehr.prove.verilog.boxes import with_boxes
from lehr.prove.verilog.circuit import Claim, Differs, with_faults
from lehr.prove.verilog.engines import Engine
from lehr.prove.verilog.faults import Fault, faults
from lehr.prove.verilog.program import rings_of
from lehr.prove.verilog.questions import lacks
from lehr.prove.verilog.sums import gathering, placing, visits
from lehr.prove.verilog.sums.adders import parameter_of
from lehr.prove.verilog.sums.images import volume
from lehr.prove.verilog.yosys import WAY_OUT, Circuit, circuits, read_verilog

SWEPT = "the map of the input is not swept while it is filled or looked at"
PACK = "the layer stays while its events are on their way"
RESET = "the clock that resets the engine is before the first"
_READS = re.compile(r"initial \$readmemh\(IMAGE, words\);")


class Asked(NamedTuple):
    """A claim about modules of an engine.

    Attributes:
        sentence: what is claimed.
        assumptions: each a sentence.
        differs: what asks.
        module: in which a fault is put.
        fault: makes it of the module's text.
    """

    sentence: str
    assumptions: Sequence[str]
    differs: Differs
    module: str
    fault: Callable[[str], Fault]


def prove(subject: Subject, engine: Engine, timeout: float) -> Iterator[Obligation]:
    """Yield what is shown of an engine's walk, of its maps, of its events and of its sums.

    Raises:
        FileRefused: when the Verilog is not as lehr writes it.
    """
    groups = (
        ("lehr_core", {"lehr_sums"}, [*_of_walk(engine), *_of_maps(subject, engine)]),
        ("lehr_core", set[str](), [*_of_sums(engine)]),
        ("lehr_neurons", {"lehr_neuron"}, [_of_neurons()]),
    )
    for name, boxes, asked_of in groups:
        claims = [Claim("sums", engine.file(a.module), *a[:3]) for a in asked_of]
        if reason := lacks():
            yield from (claim.missing(reason) for claim in claims)
            continue
        top = engine.module(name)
        texts = with_boxes(engine.folder, top, visits.BOXES | boxes)
        files = [engine.file(each.module) for each in asked_of]
        faulty = [
            (file, each.fault(texts[file])) for file, each in zip(files, asked_of, strict=True)
        ]
        circuit, changed = with_faults_in(texts, faulty, top, timeout)
        for claim, fault in zip(claims, changed, strict=True):
            yield claim.shown(circuit, [fault], timeout)
    yield from _memories(engine, timeout)


def _near(words: str) -> Callable[[str], Fault]:
    return lambda text: _fault_in(text, words)


def _of_walk(engine: Engine) -> Iterator[Asked]:
    rings = rings_of(read_verilog(engine.folder, engine.file("lehr_control")))
    yield Asked(
        "each word that the taps of a row and of a column and a chunk name is looked at once, in "
        "the map of its feed, and its weights are those that the tables say",
        (SWEPT, RESET),
        visits.looks,
        "lehr_scan",
        _near("row_next ="),
    )
    yield Asked(
        "feeds, chunks, places and layers come in the order of their numbers, each once",
        (RESET,),
        partial(visits.in_order, rings),
        "lehr_control",
        _near("chunk <= place_ends"),
    )
    yield Asked(
        "an event leaves its word with its value and the numbers of its weights",
        (RESET,),
        gathering.leave,
        "lehr_events",
        _near("hit <= valid"),
    )


def _of_maps(subject: Subject, engine: Engine) -> Iterator[Asked]:
    if not (engine.folder / engine.file("lehr_maps")).exists():
        return  # the spikes of the engine before
    shape = volume(subject.net.shapes[INPUT])
    yield Asked(
        "an event of the input is put into its map at its coordinates, side by side",
        (SWEPT, RESET),
        partial(placing.puts_events, shape),
        "lehr_maps",
        _near("stored ="),
    )


def _of_sums(engine: Engine) -> Iterator[Asked]:
    sums = read_verilog(engine.folder, engine.file("lehr_sums"))
    weight, packs = weights_of(sums)
    yield Asked(
        "each lane gets the weights of an event from the words of these numbers, and its value; "
        "the sums of lanes come to their neurons one after another",
        (PACK, RESET),
        partial(gathering.meet_lanes, weight, packs),
        "lehr_sums",
        lambda text: Fault(
            "hit_3 is given to lanes for hit_4", text.replace(".add(hit_4)", ".add(hit_3)"), 0
        ),
    )
    if "all_kept" in sums:
        yield Asked(
            "all weights that events mean are counted, times their values, and the sum is twice "
            "that of those which are +1, less all of them",
            (RESET,),
            gathering.counts_all,
            "lehr_sums",
            _near("all <= all +"),
        )
    if "closes" in sums:
        yield Asked(
            "each place of a window ends when its last event is added, and none of the next one is "
            "there yet; and it is known whether it lies on the map",
            (RESET,),
            gathering.windows_end,
            "lehr_control",
            _near("closing <="),
        )


def weights_of(sums: str) -> tuple[int, list[int]]:
    """Return the bits of a weight, and how many words of them, by logarithm, share one of memory.

    Args:
        sums: text of lehr_sums.v.
    """
    packs = {
        *map(int, re.findall(r"pack == \d+'d(\d+)", sums)),
        *map(int, re.findall(r"default: weight_at_0 = .* \+ (\d+) \+:", sums)),
    }
    return parameter_of(sums, "WEIGHT"), sorted(packs)


def _of_neurons() -> Asked:
    return Asked(
        "spikes of neurons are written word by word, place by place, and a neuron gets the sum "
        "that is there when its update begins",
        (),
        placing.gathers_spikes,
        "lehr_neurons",
        _near("gathered <= word_ends"),
    )


def _memories(engine: Engine, timeout: float) -> Iterator[Obligation]:
    """Yield that memories which are only read give the word at an address a clock later."""
    for module in ("lehr_rom", "lehr_table"):
        file = f"{module}.v"
        claim = Claim(
            "sums",
            file,
            "the word at the address is there a clock later, and stays where none is asked for",
            (),
            gathering.gives_words,
        )
        if reason := lacks():
            yield claim.missing(reason)
            continue
        text = _READS.sub("", read_verilog(engine.folder, file))
        other = text.replace("words[address]", "words[address + 1'd1]")
        fault = Fault("the word after that at the address is given", other, 0)
        (_, circuit), *faulty = with_faults({file: text}, module, [fault], timeout)
        yield claim.shown(circuit, faulty, timeout)


# ---------------------------------------------------------------- faults
def with_faults_in(
    texts: Mapping[str, str],
    faulty: Sequence[tuple[str, Fault]],
    top: str,
    timeout: float,
) -> tuple[Circuit, list[tuple[str, Circuit]]]:
    """Return a module of an engine as it is, and with each of some faults.

    Args:
        texts: of its modules by file.
        faulty: for each file that is changed, its fault.
        top: the module.
        timeout: seconds for Yosys.
    """
    variants = [dict(texts), *({**texts, file: fault.text} for file, fault in faulty)]
    base, *changed = circuits(variants, top, timeout)
    names = [f"in {file}, {fault.what}" for file, fault in faulty]
    return base, list(zip(names, changed, strict=True))


def _fault_in(text: str, words: str) -> Fault:
    """Return the first fault in a line of Verilog that has some words.

    Raises:
        FileRefused: where there is none, as in no file that lehr wrote.
    """
    lines = text.splitlines()
    found = [each for each in faults(text) if words in lines[each.line - 1]]
    if not found:
        raise FileRefused(f"the Verilog has no line with {words!r} that can be changed; {WAY_OUT}")
    return found[0]
