"""Notes on what files for other tools' importers leave out of a network.

What an importer does not have is refused.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from float_networks import AT_ONCE, COUNTING, HALVING, SYNAPSE, flat, spatial

from lehr import nirfile
from lehr.arithmetic import Arithmetic
from lehr.errors import FileRefused, NotMappable, UsageError
from lehr.export.readers import for_reader
from lehr.network import Linear, Neuron

NOTES = [
    (
        AT_ONCE,
        "snntorch",
        "a spike takes the threshold off at once; in snntorch it sets the membrane to 0 at once",
    ),
    (
        replace(AT_ONCE, reset_timing="next_step"),
        "norse",
        "takes the threshold off in the next step; in norse it sets the membrane to 0 at once",
    ),
    (
        replace(COUNTING, reset="none"),
        "nir",
        "a spike leaves the membrane alone; in nir it sets the membrane to 0 at once",
    ),
    (
        COUNTING,
        "sinabs",
        "a spike sets the membrane to 0; in sinabs it takes the threshold off at once",
    ),
    (COUNTING, "rockpool", "fires above its threshold; in rockpool at it, too"),
    (
        AT_ONCE,
        "sinabs",
        "fires once in a step; in sinabs as often as the membrane holds the threshold",
    ),
    (
        replace(COUNTING, update="event"),
        "nir",
        "tests its threshold after each event; nir tests it once a step",
    ),
    (
        replace(COUNTING, state_bits=8, fraction_bits=3),
        "nir",
        "its membrane saturates at 8 bits; a float does not",
    ),
    (
        replace(COUNTING, state_bits=8, fraction_bits=3, overflow="wrap"),
        "nir",
        "its membrane wraps round at 8 bits; a float does not",
    ),
    (
        replace(COUNTING, decay_numerator=7, decay_shift=3),
        "nir",
        "the leak of its membrane, 7/8, is rounded to an integer in every step",
    ),
]


@pytest.mark.parametrize(("arithmetic", "title", "note"), NOTES)
def test_what_is_left_out_is_said(arithmetic: Arithmetic, title: str, note: str) -> None:
    net = flat(COUNTING)[0]
    nodes = {
        name: replace(node, arithmetic=arithmetic) if isinstance(node, Neuron) else node
        for name, node in net.nodes.items()
    }
    reader_file = for_reader(replace(net, nodes=nodes), title)
    assert not reader_file.proven
    assert any(note in each and each.startswith("hidden") for each in reader_file.notes), (
        reader_file.notes
    )


def test_a_clipped_membrane_is_said() -> None:
    reader_file = for_reader(spatial(AT_ONCE)[0], "sinabs")
    assert reader_file.kinds == {"lif1": "IF", "lif2": "IF", "out": "LIF"}
    assert (
        "lif1, lif2: sinabs keeps the membrane at minus the threshold or above" in reader_file.notes
    )


def test_sums_that_floats_cannot_tell_apart_are_said() -> None:
    net = flat(replace(COUNTING, fraction_bits=16))[0]
    lost = "floats lose sight of single integers"
    assert not any(lost in note for note in for_reader(net, "snntorch").notes)
    assert lost in for_reader(replace(net, steps=300), "snntorch").notes[0]


def test_what_an_importer_does_not_have_is_refused_at_once() -> None:
    net, _ = spatial(HALVING)
    with pytest.raises(NotMappable) as refused:
        for_reader(net, "sinabs")
    assert str(refused.value) == (
        "sinabs does not import lif1, LIF of feature maps; nor lif2, LIF of feature maps; write "
        "the file for another importer, or for 'nir'"
    )
    looped = flat(COUNTING)[0]
    nodes = {**looped.nodes, "again": Linear(np.ones((9, 9), np.int8))}
    looped = replace(
        looped, nodes=nodes, edges=(*looped.edges, ("hidden", "again"), ("again", "hidden"))
    )
    with pytest.raises(NotMappable, match="snntorch does not import the feedback again -> hidden"):
        for_reader(looped, "snntorch")
    biased = flat(HALVING, replace(SYNAPSE, bias_to="membrane"))[0]
    with pytest.raises(
        NotMappable,
        match="snntorch does not import hidden, CubaLIF with a bias of its membrane; nor out",
    ):
        for_reader(biased, "snntorch")
    assert for_reader(biased, "nir").proven
    with pytest.raises(
        NotMappable, match=r"rockpool does not import hidden, a decay of 0.25, not above 0.37"
    ):
        for_reader(flat(replace(AT_ONCE, decay_numerator=1, decay_shift=2))[0], "rockpool")
    with pytest.raises(
        UsageError,
        match="--for is 'torch', no importer that lehr writes for; did you mean 'snntorch'\\?",
    ):
        for_reader(net, "torch")


def test_it_is_never_taken_for_the_exact_file(tmp_path: Path) -> None:
    net, _ = flat(COUNTING)
    path = tmp_path / "reader.nir"
    path.write_bytes(for_reader(net, "norse").to_bytes())
    with pytest.raises(FileRefused) as refused:
        nirfile.read(path)
    assert str(refused.value) == (
        f"{path}: holds the float units of `lehr export --for norse`, not the integers; give the "
        "file that it was written from, of network"
        f" {net.digest[:16]}"
    )
