"""A word that is not known is answered by the word that was meant.

These are commands and options, keys, nodes and choices.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import Lehr

GRAPH = "quantize graph.nir --calibrate spikes.npz -o q.nir"


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("simulat", "lehr has no command 'simulat'; did you mean 'simulate'?"),
        ("targets lst", "lehr targets has no command 'lst'; did you mean 'list'?"),
        ("train digits --sett a=1", "lehr train has no option --sett; did you mean '--set'?"),
        ("train digit", "did you mean 'digits'?"),
        ("recipes copy digitz", "recipe 'digitz' is not bundled; did you mean 'digits'?"),
        ("targets show onxn", "no target is called 'onxn'; did you mean 'onnx'?"),
        ("train digits --target lohi", "no target is called 'lohi'; did you mean 'loihi'?"),
        ("train digits --set trian.epochs=1", "unknown key 'trian'"),
        ("train digits --set train.epoch=1", "did you mean 'train.epochs'?"),
        ("train digits --set network.layers.0.chanels=3", "mean 'network.layers.0.channels'?"),
        (
            "train digits --set network.layers.7.channels=3",
            "'7' is no key of the recipe; the list has 0 to 2",
        ),
        ("train digits --set network.layers.0.type=convv", "did you mean 'conv'?"),
        ("train digits --set train.optimizer=adamm", "did you mean 'adam'?"),
        ("simulate model.nir -i in.npz --trace lif11", "did you mean 'lif1'? trace one of lif1, "),
        (f"{GRAPH} --readout cuont", "did you mean 'count'? use 'count' or 'last' or "),
        (f"{GRAPH} --reset zreo", "did you mean 'zero'? use 'zero' or 'subtract'"),
        (f"{GRAPH} --reset subtarct", "did you mean 'subtract'? use 'zero' or 'subtract'"),
        (f"{GRAPH} --dt 1e-3 --decay comon", "did you mean 'common'? use 'own' or 'common'"),
        (f"{GRAPH} --dt 1e-3 --maps maen", "did you mean 'mean'? use 'own' or 'mean'"),
        (f"{GRAPH} --dt 1e-3 --weights ternery", "did you mean 'ternary'? use one of binary, "),
        (f"{GRAPH} --dt 1e-3 --read-from lifs", "did you mean 'lif'? use --read-from lif"),
        (
            "simulate model.nir -i x.bin --frames step_su=3",
            "did you mean 'step_us'? give KEY=NUMBER, once each, of step_us, start_us, ",
        ),
        ("doctor --install samn", "no tool is called 'samn'; did you mean 'samna'?"),
    ],
)
def test_what_was_meant_is_asked(here: Path, lehr: Lehr, typed: str, answer: str) -> None:
    (here / "x.bin").touch()
    ran = lehr(*typed.split())
    assert ran.code == 2
    assert answer in ran.err
    assert len(ran.err.splitlines()) == 1
