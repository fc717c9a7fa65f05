"""Sums of the generated C that are counted 32 at a time: each of its functions, word by word.

What counters mean in a lane of 32 is the number that their bits make, and one for each row that
waits and has a bit there. Each function is asked about from any contents: one lane, one bit of one
row and one spike, which may be any. Of a loop over spikes one turn is asked about, so that the
next one begins with what it leaves. Which words of spikes it is given is not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from lehr.errors import FileRefused
from lehr.nodes import Conv2d, Linear, SumPool2d
from lehr.prove.c.cbmc import MISSING, Answer, Asked, available, version
from lehr.prove.c.counting import Counters, Gather, Question, adding, one_turn, reading
from lehr.prove.c.faults import faults, with_fault
from lehr.prove.c.files import AGAIN, MODEL, CFiles, Update, read_c, tables
from lehr.prove.c.tables import PACKED, note
from lehr.prove.obligations import Obligation, State
from lehr.prove.subject import Subject
from lehr.prove.sums_reached import magnitude
from lehr.targets.names import identifiers

ADDED = "eight rows add their bits to the counters of every output, and no count leaves its words"
READ = "what is read of an output's counters and of the rows that wait gives its sum"
GATHERED = "the row of the lowest spike of a word is counted once, and that spike no more"
RANGE = "the rows of the word that are counted lie within the table"
COUNTS = "no output has counted more than there were spikes"
BITS = "an int of C has 32 bits"
TRIED = 12
"""Faults that are put in, until one is seen."""
_TALLY = re.compile(
    r"^ +uint32_t rows\[(?P<blocks>\d+)\]\[8\], counts\[(?P=blocks)\]\[(?P<levels>\d+)\], spikes;$",
    re.MULTILINE,
)
_BODY = r"^static void {name}\({takes}\)\n\{{\n(?P<body>.*?)^\}}\n"
_ADD = re.compile(
    _BODY.format(name="add_rows", takes=r"uint32_t \*counts, const uint32_t \*rows"), re.M | re.S
)
_FINISH = re.compile(
    _BODY.format(name="finish", takes=r"uint8_t numbers\[\]\[32\], tally \*t, size_t word"),
    re.M | re.S,
)
_GATHER = re.compile(
    _BODY.format(
        name=r"(?P<name>gather_(?P<outputs>\d+))",
        takes=r"tally \*t, const uint32_t \*active, size_t from, size_t count, "
        r"const (?P<type>uint(?:8|16|32)_t) \*weights, size_t row",
    ),
    re.M | re.S,
)
_FUNCTION = re.compile(r"^static [^\n;{]*\)\n\{\n(?P<body>.*?)^\}\n", re.M | re.S)
_COUNT = re.compile(r"\bcount_(\w+)\(s, &t\b")
_SUM = re.compile(r"^ *const int32_t sum = (.*);$", re.M)
_OF_SUM = re.compile(r"(numbers\[\d\]\[k\]|t\.spikes|\(int32_t\)|\d+u?|[-+* ()])+")


@dataclass(frozen=True)
class _Claim:
    """What is asked of a function.

    Attributes:
        update: the function.
        claim: a sentence.
        assumed: what it supposes.
        questions: the programs of some files, with the options that bound their loops.
    """

    update: Update
    claim: str
    assumed: tuple[str, ...]
    questions: Callable[[CFiles, str], Iterator[Question]]


def prove(subject: Subject, timeout: float) -> Iterator[Obligation]:
    """Yield one obligation for each function of lehr_model.c that counts, if it has any.

    Args:
        subject: the artefact.
        timeout: seconds of the processor for a question.

    Raises:
        FileRefused: when a file of the artefact cannot be read, or is not as lehr writes it.
    """
    assert subject.folder is not None
    files = read_c(subject.folder)
    if "tally" not in files.texts[MODEL]:
        return
    counters = counters_of(subject, files)
    for claim in _claims(subject, files, counters):
        if available():
            yield _proven(files, claim, counters, Asked(timeout))
        else:
            yield Obligation(
                "sums",
                claim.update.name,
                claim.claim,
                claim.assumed,
                "missing",
                version(),
                reason=MISSING,
            )


def counters_of(subject: Subject, files: CFiles) -> Counters:
    """Return how many counters there are, and how many spikes can come to one output.

    Raises:
        FileRefused: when they are not written as lehr writes them.
    """
    text = files.texts[MODEL]
    found = _TALLY.search(text)
    if found is None:
        raise _unlike("tally")
    nodes = {called: name for name, called in identifiers(subject.net.order).items()}
    most, sums = 0, []
    for each in _FUNCTION.finditer(text):
        if "finish(numbers, &t, w);" not in each["body"]:
            continue
        counted = [nodes.get(called, "") for called in _COUNT.findall(each["body"])]
        line = _SUM.search(each["body"])
        if not counted or "" in counted or line is None or not _OF_SUM.fullmatch(line[1]):
            raise _unlike("what calls finish")
        most = max(most, sum(_spikes(subject, name) for name in counted))
        sums.append(line[1])
    if not sums:
        raise _unlike("what calls finish")
    return Counters(int(found["blocks"]), int(found["levels"]), most, tuple(dict.fromkeys(sums)))


def _spikes(subject: Subject, name: str) -> int:
    """Return how many spikes can come to an output of a node of binary weights, or of its pool."""
    net = subject.net
    node = net.nodes[name]
    if isinstance(node, SumPool2d):
        (before,) = net.sources(name)
        return int(magnitude(node, _of_ones(subject, before)).max())
    return int(_of_ones(subject, name).max())


def _of_ones(subject: Subject, name: str) -> np.ndarray[Any, np.dtype[np.int64]]:
    net = subject.net
    node = net.nodes[name]
    if not isinstance(node, Conv2d | Linear) or node.kind != "binary":
        raise _unlike(f"count of {name}")
    return magnitude(node, np.ones(net.shapes[net.sources(name)[0]], np.int64))


def gathers_of(subject: Subject, files: CFiles, counters: Counters) -> Iterator[Gather]:
    """Yield each function that counts the rows of spikes, with each table that it is given.

    Raises:
        FileRefused: when it is not as lehr writes it.
    """
    net, text = subject.net, files.texts[MODEL]
    known = tables(files)
    nodes = {called: name for name, called in identifiers(net.order).items()}
    for each in _GATHER.finditer(text):
        given = re.findall(rf"\b{each['name']}\(t, [^;]*, (\w+)(?: \+ word)?, [^,;]*\);", text)
        calls = len(re.findall(rf"\b{each['name']}\(t,", text))
        if not given or len(given) != calls:
            raise _unlike(each["name"])
        for table in dict.fromkeys(given):
            name = nodes.get(table.removeprefix("weight_"), "")
            node = net.nodes.get(name)
            if table not in known or not isinstance(node, Conv2d | Linear):
                raise _unlike(each["name"])
            if known[table].c_type != each["type"] or node.kind != "binary":
                raise _unlike(each["name"])
            groups = node.groups if isinstance(node, Conv2d) else 1
            yield Gather(
                each["name"],
                each["type"],
                each["body"],
                table,
                node.weight.shape[0] // groups,
                groups * int(np.prod(node.weight.shape[1:])),
                PACKED in note(files, table),
                counters,
            )


def _claims(subject: Subject, files: CFiles, counters: Counters) -> Iterator[_Claim]:
    text = files.texts[MODEL]
    added, finished = _ADD.search(text), _FINISH.search(text)
    if added is None or finished is None:
        raise _unlike("add_rows or finish")

    def adds(changed: CFiles, _: str) -> Iterator[Question]:
        yield adding(changed, counters)

    def reads(changed: CFiles, _: str) -> Iterator[Question]:
        for word in range(counters.blocks):
            yield reading(changed, counters, word)

    update = Update("add_rows", (), added["body"], added.span("body"))
    yield _Claim(update, ADDED, (COUNTS, BITS), adds)
    update = Update("finish", (), finished["body"], finished.span("body"))
    yield _Claim(update, READ, (COUNTS, BITS), reads)
    gathers = [*gathers_of(subject, files, counters)]
    for each in _GATHER.finditer(text):
        own = [gather for gather in gathers if gather.name == each["name"]]

        def parts(changed: CFiles, body: str, own: list[Gather] = own) -> Iterator[Question]:
            for gather in own:
                yield one_turn(changed, gather.of(body))

        update = Update(each["name"], (), each["body"], each.span("body"))
        yield _Claim(update, GATHERED, (RANGE, BITS), parts)


def _proven(files: CFiles, claim: _Claim, counters: Counters, asked: Asked) -> Obligation:
    failed: dict[str, Any] = {}
    reason, seen = "", ""
    if counters.most >= 1 << counters.levels:
        failed = {"spikes": counters.most, "bits": counters.levels}
    for program, options in () if failed else claim.questions(files, claim.update.body):
        answer = asked.about(program, *options)
        failed = _failed(answer)
        reason = answer.why or ("" if answer.met else "nothing can meet what is assumed")
        if failed or reason:
            break
    if not failed and not reason:
        seen = _fault_seen(files, claim, asked)
        reason = "" if seen else "no fault that was put in was seen"
    state: State = "refuted" if failed else "undecided" if reason else "proven"
    return Obligation(
        "sums",
        claim.update.name,
        claim.claim,
        claim.assumed,
        state,
        version(),
        asked.seconds,
        asked.queries,
        seen,
        failed,
        "" if failed else reason,
    )


def _failed(answer: Answer) -> dict[str, Any]:
    for claim, values in answer.failed.items():
        return {"claim": claim, **values}
    return {}


def _fault_seen(files: CFiles, claim: _Claim, asked: Asked) -> str:
    """Return a fault in a copy of the function that CBMC refutes; empty if none is seen."""
    for fault in islice(faults(files, claim.update), TRIED):
        changed = with_fault(files, claim.update, fault)
        for program, options in claim.questions(changed, fault.body):
            if asked.about(program, *options).failed:
                return fault.what
    return ""


def _unlike(what: str) -> FileRefused:
    return FileRefused(f"{what} of {MODEL} is not as lehr writes it; {AGAIN}")
