"""Layers in a recipe: what their keys may be, and who takes whose spikes."""

from __future__ import annotations

from typing import Any

import pytest
import tomli_w
from mixed_recipes import mixed

from lehr.errors import UsageError
from lehr.train.data import load_dataset
from lehr.train.keys.layer import summary
from lehr.train.recipe import Recipe
from lehr.train.recipefile import parse, to_toml
from lehr.train.stand_in import stand_in

CONV = {"type": "conv", "channels": 4, "kernel": 3, "padding": 1, "threshold": {"start": 1.0}}
LINEAR = {"type": "linear", "features": 10, "threshold": {"start": 1.0}}
INTEGRATOR = {"type": "integrator", "features": 10}


def add(*names: str, **keys: Any) -> dict[str, Any]:
    """Return a sum of layers' spikes."""
    return {"type": "add", "from": list(names), **keys}


def refused(*layers: dict[str, Any], **network: Any) -> list[str]:
    """Return what a recipe of these layers is refused with, without what names the recipe."""
    table = mixed().model_dump(mode="json", exclude_none=True)
    table["network"] |= {"layers": list(layers), **network}
    table["network"] = {key: value for key, value in table["network"].items() if value is not None}
    table["train"]["objective"] = "cross-entropy"
    try:
        parse(tomli_w.dumps(table), "r")
    except UsageError as error:
        return [sentence.removeprefix("recipe r: ") for sentence in error.args]
    return []


@pytest.mark.parametrize(
    ("layers", "sentences"),
    [
        (
            ({**CONV, "name": "stem"}, CONV, add("stem", "conv9"), LINEAR),
            ["network.layers.2.from has 'conv9', which is no layer; did you mean 'conv2'?"],
        ),
        (
            (CONV, {**CONV, "from": "stem"}, LINEAR),
            ["network.layers.1.from has 'stem', which is no layer; use input, conv1"],
        ),
        (
            (CONV, add("conv1", "conv2"), CONV, LINEAR),
            [
                "network.layers.1.from has 'conv2', which is network.layers.2 and not before it; "
                "take layers before it"
            ],
        ),
        (
            ({**CONV, "from": "conv1"}, LINEAR),
            [
                "network.layers.0.from has 'conv1', which is network.layers.0 and not before it; "
                "take layers before it"
            ],
        ),
        (
            (CONV, INTEGRATOR, {**LINEAR, "from": "fc2"}),
            [
                "network.layers.2.from has 'fc2', which integrates and fires no spike; take "
                "another layer"
            ],
        ),
        (
            (add("input", "conv1"), CONV, LINEAR),
            [
                "network.layers.0.from has 'conv1', which is network.layers.1 and not before it; "
                "take layers before it",
                "network.layers.0 is an add, but no layer is before it; put it behind those that "
                "it adds",
            ],
        ),
        (
            (CONV, CONV, add("conv1", "conv2")),
            [
                "network.layers.2 is an add, and the last layer; put one behind it that takes the "
                "sum"
            ],
        ),
        (
            (CONV, CONV, add("conv2"), LINEAR),
            ["network.layers.2.from has 1 names; give two or more"],
        ),
        (
            (CONV, CONV, add("conv1", "conv2", name="a"), CONV, add("a", "conv1"), LINEAR),
            [
                "network.layers.4 adds 'conv1' 2 times, itself or in other sums; each edge is "
                "there once: name it once"
            ],
        ),
        (
            (CONV, {**CONV, "from": "input"}, LINEAR),
            [
                "network.layers.0 fires for nothing, as no layer takes it; name it in the 'from' "
                "of one, or leave it out"
            ],
        ),
        (
            (CONV, CONV, add("conv1", "conv2", name="a"), {**CONV, "from": "conv2"}, LINEAR),
            [
                "network.layers.2 adds for nothing, as no layer takes it; name it in the 'from' "
                "of one, or leave it out"
            ],
        ),
        (
            ({**CONV, "name": "a"}, {**CONV, "name": "a"}, LINEAR),
            [
                "network.layers.1.name is 'a', as is network.layers.0's; give another name",
            ],
        ),
        (
            ({**CONV, "name": "conv2"}, CONV, LINEAR),
            [
                "network.layers.1.name is 'conv2', as is network.layers.0's; give another name",
            ],
        ),
        (
            ({**CONV, "name": "input"}, LINEAR),
            [
                "network.layers.0.name is 'input', which is what the network takes; give another "
                "name",
            ],
        ),
        (
            ({**CONV, "max_pool": 2}, {**CONV, "pool": 2}, {**CONV, "max_pool": 2}),
            [
                "network.layers.2.max_pool is 2, but the last layer's own spikes are read out; use "
                "stride instead, or leave it out"
            ],
        ),
        (
            ({**CONV, "weight_step": "fixed"}, LINEAR),
            [
                "network.layers.0.weight_step is 'fixed', but 'binarized' weights have none; leave "
                "it out"
            ],
        ),
    ],
)
def test_layers_that_contradict_each_other(
    layers: tuple[dict[str, Any], ...], sentences: list[str]
) -> None:
    assert refused(*layers) == sentences


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"kernel": 0}, "'network.layers.0.kernel' is 0; give at least 1"),
        ({"padding": [1, -1]}, "'network.layers.0.padding' is [1, -1]; give at least 0"),
        (
            {"stride": [1, 2, 3]},
            "'network.layers.0.stride' is [1, 2, 3]: give a whole number, or two, [rows, columns]; "
            "correct it",
        ),
        (
            {"dilation": "x"},
            "'network.layers.0.dilation' is 'x': give a whole number, or two, [rows, columns]; "
            "correct it",
        ),
        ({"groups": 0}, "'network.layers.0.groups' is 0; give at least 1"),
        (
            {"weights": "float"},
            "'network.layers.0.weights' is 'float'; use 'binarized', 'ternary', 'int2', 'int3', "
            "'int4', 'int5', 'int6', 'int7' or 'int8'",
        ),
        (
            {"from": 3},
            "'network.layers.0.from' is 3; give text in quotes",
        ),
        (
            {"fromm": "conv1"},
            "unknown key 'network.layers.0.fromm' (value 'conv1'); did you mean "
            "'network.layers.0.from'?",
        ),
        (
            {"from": ["input"]},
            "'network.layers.0.from' is ['input']: a layer takes the spikes of one; give its name, "
            "or of a layer of type 'add' that has this list; correct it",
        ),
        ({"init": "he"}, "'network.layers.0.init' is 'he'; use 'kaiming' or 'glorot'"),
    ],
)
def test_keys_of_a_layer(keys: dict[str, Any], sentence: str) -> None:
    assert refused({**CONV, **keys}, LINEAR) == [sentence]


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        (
            {"groups": 3},
            "its 4 channels do not fall into 3 groups; use a divisor of them",
        ),
        (
            {"pool": 2, "max_pool": 2},
            "pooling before the neurons and max_pool behind them are two poolings; leave out "
            "'pool' or 'max_pool'",
        ),
        (
            {"pool": [1, 2], "pooling": "max", "max_pool": 2},
            "pooling before the neurons and max_pool behind them are two poolings; leave out "
            "'pool' or 'max_pool'",
        ),
        (
            {"pooling": "max"},
            "'pooling' is 'max', but there is no 'pool' to take the greatest current of; give its "
            "windows, such as pool = 2, or leave it out",
        ),
    ],
)
def test_a_layer_s_keys_against_each_other(keys: dict[str, Any], sentence: str) -> None:
    assert refused({**CONV, **keys}, LINEAR) == [f"'network.layers.0': {sentence}"]


def test_shared_thresholds_of_layers_of_other_weights() -> None:
    layers = ({**CONV, "weights": "int4"}, {**LINEAR, "weights": "ternary"})
    shared = {"thresholds": {"share": "network"}}
    bits = [{**layer, "fraction_bits": 3} for layer in layers]
    assert refused(*bits, **shared) == [
        "network.thresholds.share is 'network', but network.layers.0.weights is 'int4', which are "
        "worth something else than those of other layers; use 'binarized' or 'ternary'"
    ]


def test_an_or_is_of_single_spikes() -> None:
    layers = ({**CONV, "max_pool": 2}, LINEAR)
    machine = {"machine": "xylo", "parameters": {"dash_syn": 2, "dash_mem": 3}}
    assert refused(*layers, arithmetic=machine, beta=None) == [
        "network.layers.0.max_pool is 2, which is an OR of single spikes, but machine 'xylo' fires "
        "several in a step; use pool or stride instead"
    ]


@pytest.mark.parametrize(
    ("layers", "sentence"),
    [
        (
            (CONV, {**CONV, "stride": 2}, add("conv1", "conv2"), LINEAR),
            "network.layers.3 takes a sum of layers that differ in shape (conv1 (4, 8, 8), conv2 "
            "(4, 4, 4)); make their channels, strides and poolings agree",
        ),
        (
            ({**CONV, "channels": 1}, add("input", "conv1"), LINEAR),
            "network.layers.2 takes a sum of spikes and the input, whose pixels are no spikes; add "
            "layers alone, or encode the pixels (data.encoding)",
        ),
        (
            (CONV, {**CONV, "channels": 6, "groups": 3}, LINEAR),
            "network.layers.1.groups is 3, but the layer gets 4 channels; use a divisor of both",
        ),
        (
            ({**CONV, "kernel": 5, "dilation": 3}, LINEAR),
            "a conv layer of kernel 5 and pool 1 gets (8, 8) pixels; make it smaller",
        ),
        (
            ({**CONV, "max_pool": [9, 1]}, LINEAR),
            "a conv layer of kernel 3 and max_pool (9, 1) gets (8, 8) pixels; make it smaller",
        ),
    ],
)
def test_what_the_data_s_shape_refuses(layers: tuple[dict[str, Any], ...], sentence: str) -> None:
    recipe = mixed(*layers)
    with pytest.raises(UsageError) as error:
        stand_in(recipe, load_dataset(recipe.data, None))
    assert str(error.value) == sentence


def test_what_is_encoded_may_be_added_to() -> None:
    recipe = mixed({**CONV, "channels": 1}, add("input", "conv1"), LINEAR)
    table = recipe.model_dump(mode="json", exclude_none=True)
    table["data"] |= {"encoding": "rate", "steps": 5}
    coded = Recipe.model_validate(table)
    net = stand_in(coded, load_dataset(coded.data, None))
    assert net.sources("flatten") == ("input", "lif1")


def test_a_recipe_is_written_with_the_keys_that_it_was_read_with() -> None:
    layers = (
        {**CONV, "kernel": [3, 5], "padding": [1, 2], "name": "stem"},
        {**CONV, "from": "stem"},
        add("stem", "conv2", name="sum"),
        {**LINEAR, "from": "sum", "init": "glorot"},
    )
    recipe = mixed(*layers)
    text = to_toml(recipe).decode()
    assert 'from = "stem"' in text
    assert "from_" not in text
    assert parse(text, "r") == recipe
    assert Recipe.model_validate(recipe.model_dump()) == recipe


def test_layers_in_a_few_letters() -> None:
    layers = (
        {**CONV, "kernel": [3, 5], "pool": [2, 1], "padding": [1, 2]},
        {**CONV, "max_pool": 2, "from": "input"},
        {**CONV, "pool": 2, "pooling": "max", "from": "input"},
        add("conv1", "conv2", "conv3"),
        LINEAR,
    )
    assert [summary(layer) for layer in mixed(*layers).network.layers] == [
        "4C3x5-P2x1",
        "4C3-M2",
        "4C3-G2",
        "+",
        "10",
    ]
