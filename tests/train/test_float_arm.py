"""The table `[float]`: keys that hold for the float arm alone, and are checked in every arm."""

from __future__ import annotations

import tomllib

import pytest
import torch
from tiny import tiny_recipe, tiny_toml

from lehr.errors import UsageError
from lehr.train.data import load_dataset
from lehr.train.learning.loop import train
from lehr.train.recipe import Recipe
from lehr.train.recipefile import ARMS, load, parse, to_toml

OWN = """
[float]
"train.lr" = 1e-3
network.layers.0.threshold.final = 1.5
network.layers.1.threshold = { start = 0.25 }
"""
FLOAT = ARMS["float"]


def test_it_holds_in_the_float_arm_and_nowhere_else() -> None:
    plain = parse(tiny_toml(), "tiny", FLOAT)
    other = parse(tiny_toml() + OWN, "tiny")
    assert (other.train, other.network) == (tiny_recipe().train, tiny_recipe().network)
    arm = parse(tiny_toml() + OWN, "tiny", FLOAT)
    by_hand = (
        *FLOAT,
        "train.lr=1e-3",
        "network.layers.0.threshold.final=1.5",
        "network.layers.1.threshold.start=0.25",
    )
    assert arm == parse(tiny_toml(), "tiny", by_hand) != plain
    assert arm.float is None
    for recipe in (other, arm):
        assert parse(to_toml(recipe).decode(), "again") == recipe
        assert Recipe.model_validate(recipe.model_dump()) == recipe
    tables = tomllib.loads(tiny_toml() + OWN)
    tables["network"]["weights"] = "float"
    assert Recipe.model_validate(tables) == arm


def test_what_set_says_goes_before_it() -> None:
    arm = parse(tiny_toml() + OWN, "tiny", (*FLOAT, "train.lr=7e-3", "float.train.epochs=1"))
    assert (arm.train.lr, arm.train.epochs) == (7e-3, 1)
    assert arm.network.annealed[0].final == 1.5


def test_it_trains_as_a_recipe_that_says_so_itself() -> None:
    own = "\n[float]\nnetwork.steps = 3\nnetwork.layers.0.threshold.start = 0.3\n"
    short = ("train.epochs=1", "data.train_samples=64")
    arm = parse(tiny_toml() + own, "tiny", (*FLOAT, *short))
    said = ("network.steps=3", "network.layers.0.threshold.start=0.3")
    by_hand = parse(tiny_toml(), "tiny", (*FLOAT, *short, *said))
    weights = []
    for recipe in (arm, by_hand, parse(tiny_toml(), "tiny", (*FLOAT, *short))):
        model = train(recipe, load_dataset(recipe.data, None)).model
        weights.append(torch.cat([weight.flatten() for weight in model.weights.values()]))
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize("arm", [(), FLOAT])
@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ("train.lr = -1", "'float.train.lr' is -1; give more than 0"),
        (
            "train.epoch = 1",
            "unknown key 'float.train.epoch' (value 1); did you mean 'float.train.epochs'?",
        ),
        (
            '"network.layers.9.dropout" = 0.5',
            "unknown key 'float.network.layers.9'; the list has 0 to 2",
        ),
        (
            'network.weights = "binarized"',
            "'float.network.weights' is 'binarized', but the float arm's are floats; leave it out",
        ),
        (
            "network.float_beta = 0.9",
            "'float.network.float_beta' is 0.9, but it is the float arm's alone wherever it "
            "stands, in [network]; leave it out",
        ),
        ("float.train.lr = 1", "'float.float' is {'train': {'lr': 1}}, but a float arm has no "),
        ("network = 3", "'float.network' is 3; give a table of keys"),
        (
            'train.thresholds = "middle"',
            "'float.train.thresholds' is 'middle'; use 'annealed', 'start' or 'final'",
        ),
    ],
)
def test_wrong_keys_are_named_in_every_arm(keys: str, sentence: str, arm: tuple[str, ...]) -> None:
    with pytest.raises(UsageError) as caught:
        parse(f"{tiny_toml()}\n[float]\n{keys}\n", "tiny", arm)
    assert str(caught.value).startswith(f"recipe tiny: {sentence}")


def test_a_contradiction_in_the_float_arm_says_that_it_is_there() -> None:
    with pytest.raises(UsageError) as caught:
        load("digits", ("float={ train = { lr = 1e-3 } }", "train.prune=0.5"))
    assert str(caught.value) == (
        "recipe digits: in the float arm, train.prune is 0.5, but network.weights is 'float', "
        "which is not exported; leave one out"
    )
