"""Recipes whose arithmetic, thresholds and biases contradict each other.

Everything that does, in a sentence each.
"""

from __future__ import annotations

import pytest
from tiny import tiny_toml

from lehr.arithmetic import Arithmetic
from lehr.errors import UsageError
from lehr.train.keys.updates import update_of
from lehr.train.recipefile import load, parse, to_toml
from lehr.update import Program

PLAIN = tuple(f"network.layers.{number}.batch_norm=false" for number in (0, 1))
MACHINE = "network.arithmetic.machine"


def refused(*overrides: str) -> list[str]:
    with pytest.raises(UsageError) as error:
        parse(tiny_toml(), "tiny", overrides)
    return [str(reason).removeprefix("recipe tiny: ") for reason in error.value.args]


@pytest.mark.parametrize(
    ("overrides", "sentences"),
    [
        (
            ("network.arithmetic.reest=zero",),
            [
                "unknown key 'network.arithmetic.reest' (value 'zero'); did you mean "
                "'network.arithmetic.reset'?"
            ],
        ),
        (
            ("network.arithmetic.reset=zeroo",),
            ["'network.arithmetic.reset' is 'zeroo'; did you mean 'zero'?"],
        ),
        (
            ("network.arithmetic.fires=never",),
            ["'network.arithmetic.fires' is 'never'; use 'gt' or 'ge'"],
        ),
        (
            ("network.arithmetic.state_bits=7",),
            ["'network.arithmetic.state_bits' is 7; give at least 8"],
        ),
        (
            ("network.thresholds.multiple=0",),
            ["'network.thresholds.multiple' is 0; give at least 1"],
        ),
        (
            ("network.thresholds.share=layr",),
            ["'network.thresholds.share' is 'layr'; did you mean 'layer'?"],
        ),
        (
            ("network.slope_in=threshold",),
            ["'network.slope_in' is 'threshold'; did you mean 'thresholds'?"],
        ),
        (("network.biases=0.5",), ["'network.biases' is 0.5; give true or false"]),
        (
            ("network.arithmetic.parameters.du=3",),
            [
                "network.arithmetic.parameters is {'du': 3}, but fields of an arithmetic have "
                "none; name a machine, or leave it out"
            ],
        ),
        (
            ("network.arithmetic.decay_form=shift", "network.beta=5/8"),
            [
                "network.arithmetic: decay_numerator is 5, but decay_form 'shift' with decay_shift "
                "3 decays by 7/8; set it to 7",
            ],
        ),
        (
            ("network.biases=false",),
            [
                f"network.layers.{number}.batch_norm is true, but network.biases is false, and "
                "batch norm leaves one in each channel; "
                f"leave it out"
                for number in (0, 1)
            ],
        ),
        (
            ("network.thresholds.share=pair",),
            [
                f"network.thresholds.share is 'pair', but network.layers.{number}.batch_norm is "
                "true, which leaves a threshold of its own in "
                f"each channel; leave one out"
                for number in (0, 1)
            ],
        ),
        (
            (*PLAIN, "network.thresholds.share=network", "network.weights=int4"),
            [
                "network.thresholds.share is 'network', but the layers' thresholds end at 1, 1, 3; "
                "give all the same 'final'",
                "network.thresholds.share is 'network', but the layers' fraction_bits are none, "
                "none, none; give all the same",
                "network.thresholds.share is 'network', but network.layers.0.pool is 2, which "
                "scales its threshold; use stride instead",
                "network.thresholds.share is 'network', but network.weights is 'int4', of which "
                "each layer's are worth something else; "
                "use 'binarized' or 'ternary'",
            ],
        ),
        (
            ("network.layers.2.fraction_bits=6", "network.thresholds.multiple=64"),
            [
                f"network.thresholds.multiple is 64, but network.layers.{number}.fraction_bits "
                "does not say in which units; give it"
                for number in (0, 1)
            ],
        ),
    ],
)
def test_fields_thresholds_and_biases(overrides: tuple[str, ...], sentences: list[str]) -> None:
    assert refused(*overrides) == sentences


@pytest.mark.parametrize(
    ("overrides", "sentences"),
    [
        (
            (f"{MACHINE}=xilo",),
            [
                "'network.arithmetic.machine' is 'xilo': did you mean 'xylo'? use one of adaptive, "
                "akida, dynapcnn, dynapcnn_by_event, "
                "hiaer, loihi, reckon, refractory, tinyodin, xylo; correct it"
            ],
        ),
        (
            (f"{MACHINE}=tinyodin", *PLAIN),
            [
                "network.arithmetic.machine is 'tinyodin', which updates by event, and training "
                "updates once a step; use one of adaptive, "
                "akida, dynapcnn, hiaer, loihi, reckon, refractory, xylo"
            ],
        ),
        (
            (
                f"{MACHINE}=loihi",
                "network.arithmetic.reset=zero",
                "network.arithmetic.parameters.dv=3",
                "network.arithmetic.parameters.dx=[1,2]",
            ),
            [
                "network.arithmetic.reset is 'zero', but machine 'loihi' says that itself; leave "
                "one out",
                "network.arithmetic.parameters.dv is 3, and network.beta is '3/4': both set the "
                "membrane's decay; leave one out",
                "network.arithmetic.parameters.dx is (1, 2), but machine 'loihi' reads du and dv; "
                "leave it out",
                "network.arithmetic.parameters has no du, which machine 'loihi' reads; add it",
            ],
        ),
        (
            (f"{MACHINE}=xylo", "network.arithmetic.parameters.dash_syn=[1,2]"),
            [
                "network.arithmetic.parameters.dash_syn has 2 values for 3 layers; give one for "
                "each, or one for all"
            ],
        ),
        (
            (f"{MACHINE}=xylo", "network.arithmetic.parameters.dash_syn=17"),
            [
                "network.arithmetic: machine 'xylo': 'leak i dash 0 dash_syn': a shift is at most "
                "16, but 17 is above 16; change one of them"
            ],
        ),
        (
            (f"{MACHINE}=xylo", "network.arithmetic.parameters.dash_syn=2", "network.beta=5/8"),
            [
                "network.arithmetic: machine 'xylo': it decays by 1 - 1/2^n, but network.beta is "
                "'5/8'; use '3/4', '7/8' and so on"
            ],
        ),
        (
            (f"{MACHINE}=akida", *PLAIN),
            [
                "network.arithmetic: machine 'akida': its membrane has no factor that it leaks by, "
                "but network.beta is '3/4'; leave beta out"
            ],
        ),
        (
            (f"{MACHINE}=reckon", PLAIN[0]),
            [
                "network.layers.1.batch_norm is true, but machine 'reckon' has no bias, and batch "
                "norm leaves one in each channel; leave it "
                "out"
            ],
        ),
        (
            ("network.arithmetic.parameters.du=1.5", f"{MACHINE}=loihi"),
            [
                "'network.arithmetic.parameters': du is 1.5, but a parameter is a whole number, or "
                "a list of one for each layer"
            ],
        ),
    ],
)
def test_machines(overrides: tuple[str, ...], sentences: list[str]) -> None:
    assert refused(*overrides) == sentences


def test_beta_is_missing_only_without_a_machine() -> None:
    text = tiny_toml().replace('beta = "3/4"\n', "")
    with pytest.raises(UsageError, match=r"^recipe tiny: 'network.beta' is missing; add it$"):
        parse(text, "tiny")
    with pytest.raises(
        UsageError,
        match="parameters has no dash_mem, which machine 'xylo' reads; add it or set network.beta$",
    ):
        parse(text, "tiny", (f"{MACHINE}=xylo", "network.arithmetic.parameters.dash_syn=2"))
    parsed = parse(
        text,
        "tiny",
        (f"{MACHINE}=xylo", "network.arithmetic.parameters={dash_syn=2, dash_mem=[3,4,5]}"),
    )
    assert parsed.network.decay is None
    assert parse(to_toml(parsed).decode(), "tiny") == parsed


def test_fields_are_those_of_the_integers() -> None:
    overrides = (
        "network.arithmetic={rounding='floor', reset='zero', fires='ge'}",
        "network.layers.2.fraction_bits=5",
    )
    update = update_of(parse(tiny_toml(), "tiny", overrides).network, 2)
    assert update.arithmetic == Arithmetic("multiply", 3, 2, "floor", "zero", "next_step", "ge", 5)
    assert (update.parameters, update.fraction_bits) == ({}, 5)
    assert update_of(load("digits").network, 0).arithmetic == Arithmetic(
        decay_numerator=7, decay_shift=3
    )


def test_beta_sets_a_machines_membrane_decay() -> None:
    """In its parameter where it has one, in its numbers where not."""
    for machine, parameters, beta, named in (
        ("xylo", "{dash_syn=2}", "7/8", {"dash_syn": 2, "dash_mem": 3}),
        ("loihi", "{du=5}", "3/4", {"du": 5, "dv": 3072}),
    ):
        overrides = (
            f"{MACHINE}={machine}",
            f"network.arithmetic.parameters={parameters}",
            f"network.beta={beta}",
        )
        assert update_of(parse(tiny_toml(), "tiny", overrides).network, 0).parameters == named
    update = update_of(
        parse(tiny_toml(), "tiny", (f"{MACHINE}=hiaer", *PLAIN, "network.beta=15/16")).network, 0
    )
    assert isinstance(update.arithmetic, Program)
    assert "leak v shift 15 4 floor" in repr(update.arithmetic)


def test_fraction_bits_shift_a_machines_input_and_the_last_layer_fires_less() -> None:
    overrides = (
        f"{MACHINE}=xylo",
        "network.arithmetic.parameters={dash_syn=2}",
        "network.arithmetic.output_spikes=1",
    )
    net = parse(tiny_toml(), "tiny", (*overrides, "network.layers.0.fraction_bits=3")).network
    updates = [update_of(net, number) for number in range(3)]
    assert [update.fraction_bits for update in updates] == [3, 0, 0]
    assert "add i input 3" in repr(updates[0].arithmetic)
    assert ["threshold 31" in repr(update.arithmetic) for update in updates] == [True, True, False]
    assert "fire fired v ge threshold 1;" in repr(updates[2].arithmetic)
