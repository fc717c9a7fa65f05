"""Tables of the generated C against the network: every entry, read from the artefact's own file."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lehr import __version__
from lehr.arithmetic import Int64
from lehr.network import Conv2d, Linear
from lehr.prove.c.files import AGAIN, WEIGHTS, CFiles, Table, read_c, tables
from lehr.prove.c.uses import own_name
from lehr.prove.obligations import Obligation, State
from lehr.prove.subject import Subject
from lehr.targets.names import identifiers

ARRAYS = ("factor", "steps")
"""Arrays of nodes without weights that have a table."""
PACKED = "bit by bit"
"""What the note of a table says whose rows do not begin with a word of their own."""


@dataclass(frozen=True)
class Kept:
    """What a table of the artefact is to hold.

    Attributes:
        table: its name.
        node: of the network.
        what: of the node.
        rows: the numbers, `[rows, entries]`; the outputs of one input are a row of weights.
        binary: whether they are -1 and +1, of which a bit says which.
    """

    table: str
    node: str
    what: str
    rows: Int64
    binary: bool = False


def prove(subject: Subject, timeout: float) -> Iterator[Obligation]:
    """Yield one obligation for each table of lehr_weights.h.

    Args:
        subject: the artefact.
        timeout: not needed: every entry is compared.

    Raises:
        FileRefused: when a file of the artefact cannot be read, or is not as lehr writes it.
    """
    del timeout
    assert subject.folder is not None
    files = read_c(subject.folder)
    read = tables(files)
    for kept in [*_of_nodes(subject), *_of_neurons(subject, files)]:
        yield _compared(files, read, kept)


def _compared(files: CFiles, read: Mapping[str, Table], kept: Kept) -> Obligation:
    began = time.process_time()
    failed: dict[str, Any] = {}
    fault, reason = "", ""
    if kept.table not in read:
        reason = f"{WEIGHTS} has no {kept.table}; {AGAIN}"
    else:
        found = numbers(files, read[kept.table], kept)
        failed = _difference(found, kept)
        changed = found.copy()
        changed.flat[-1] += 1
        if not failed and _difference(changed, kept):
            fault = "another last entry"
    state: State = "refuted" if failed else "proven" if fault else "undecided"
    return Obligation(
        "sums",
        kept.table,
        f"each of {kept.rows.size:,} entries is the network's {kept.what} of {kept.node}",
        (),
        state,
        f"lehr {__version__}, entry by entry",
        time.process_time() - began,
        kept.rows.size,
        fault,
        failed,
        reason,
    )


def numbers(files: CFiles, table: Table, kept: Kept) -> Int64:
    """Return the numbers of a table, `[rows, entries]`, or as many as there are in one row.

    A bit is 1 for +1 and 0 for -1, the lowest of a word first; a row begins with a word of its own,
    where the table's note says nothing else.
    """
    values = np.array(table.values, np.uint64 if table.c_type.startswith("u") else np.int64)
    rows, entries = kept.rows.shape
    if kept.binary:
        bits = int(table.c_type.strip("_tuin"))
        places = np.arange(bits, dtype=np.uint64)
        every = (values[:, None] >> places & np.uint64(1)).astype(np.int64).reshape(-1) * 2 - 1
        packed = PACKED in note(files, kept.table)
        width = entries if packed else -(-entries // bits) * bits
        if len(every) < rows * width:
            return every.reshape(1, -1)
        return every[: rows * width].reshape(rows, width)[:, :entries]
    whole = values.astype(np.int64)
    return whole.reshape(rows, entries) if whole.size == kept.rows.size else whole.reshape(1, -1)


def note(files: CFiles, table: str) -> str:
    """Return the comment before a table."""
    found = re.search(
        rf"/\*([^*]*)\*/\nstatic const \w+ {re.escape(table)}\[", files.texts[WEIGHTS]
    )
    return found[1] if found else ""


def _difference(found: Int64, kept: Kept) -> dict[str, Any]:
    """Return where a table differs from the network; empty where it does not."""
    if found.shape != kept.rows.shape:
        return {"table": kept.table, "entries": found.size, "of": kept.rows.size}
    places = np.argwhere(found != kept.rows)
    if not len(places):
        return {}
    row, entry = map(int, places[0])
    there, wanted = int(found[row, entry]), int(kept.rows[row, entry])
    return {
        "table": kept.table,
        "row": row,
        "entry": entry,
        "there": there,
        "network": wanted,
        "differing": len(places),
    }


def _of_nodes(subject: Subject) -> Iterator[Kept]:
    """Yield what tables hold of nodes without neurons."""
    net, called = subject.net, identifiers(subject.net.order)
    for name, node in net.nodes.items():
        if isinstance(node, Linear | Conv2d):
            rows = _of_convolution(node) if isinstance(node, Conv2d) else node.weight.T
            binary = node.kind == "binary"
            yield Kept(f"weight_{called[name]}", name, "weights", rows.astype(np.int64), binary)
            continue
        for what in ARRAYS:  # tables are called after what they hold
            values = vars(node).get(what)
            if isinstance(values, np.ndarray):
                rows = values.astype(np.int64).reshape(1, -1)
                yield Kept(f"{what}_{called[name]}", name, what, rows)


def _of_convolution(node: Conv2d) -> Int64:
    """Return rows by group, row and column of the kernel, and input channel."""
    outputs, inputs, height, width = node.weight.shape
    of_group = outputs // node.groups
    return np.array(
        [
            node.weight[group * of_group : (group + 1) * of_group, channel, y, x]
            for group in range(node.groups)
            for y in range(height)
            for x in range(width)
            for channel in range(inputs)
        ],
        np.int64,
    )


def _of_neurons(subject: Subject, files: CFiles) -> Iterator[Kept]:
    """Yield what tables hold of neurons, each as its layer's update is given it."""
    seen = set()
    called = identifiers(subject.net.order)
    for layer, neuron in subject.net.neurons.items():
        for call in files.calls(called[layer]).values():
            update = files.updates.get(call.update)
            takes = update.takes if update is not None else ()
            for name, expression in zip(takes, call.given, strict=False):
                table = re.fullmatch(r"(\w+)\[[ci]\]", expression)
                parameter = own_name(name, neuron.program.parameters)
                if table is None or parameter not in neuron.program.parameters:
                    continue
                if (table[1], layer, parameter) not in seen:
                    seen.add((table[1], layer, parameter))
                    rows = np.asarray(neuron.values[parameter], np.int64).reshape(1, -1)
                    yield Kept(table[1], layer, parameter, rows)
