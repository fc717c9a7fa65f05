"""Keys of the neurons of a layer that are wrong, or contradict others: each in a sentence."""

from __future__ import annotations

from typing import Any

import pytest
import snntorch
from jsonschema import Draft202012Validator
from tiny import SETTINGS, tiny_recipe, tiny_toml
from torch import nn

from lehr.errors import NotMappable, UsageError
from lehr.targets import registry
from lehr.train import binarize
from lehr.train.data import load_dataset
from lehr.train.for_target import for_target
from lehr.train.keys.threshold import Threshold
from lehr.train.keys.updates import update_of
from lehr.train.learning.selection import gone
from lehr.train.recipe import Recipe
from lehr.train.recipefile import parse, to_toml
from lehr.train.runs.concerns import _way_out
from lehr.train.runs.pace import Pace
from lehr.train.runs.quick import quick
from lehr.train.schema import recipe_schema
from lehr.train.stand_in import stand_in

LAYER = "network.layers.2"
MACHINE = (
    "network.arithmetic.machine=loihi",
    "network.arithmetic.parameters.du=5",
    "network.layers.0.batch_norm=true",
)


def refused(*overrides: str) -> list[str]:
    with pytest.raises(UsageError) as error:
        parse(tiny_toml(), "tiny", overrides)
    return [str(reason).removeprefix("recipe tiny: ") for reason in error.value.args]


@pytest.mark.parametrize(
    ("overrides", "sentences"),
    [
        (
            [f"{LAYER}.beta=0.9"],
            [
                f"'{LAYER}.beta' is 0.9: no integer machine decays by it exactly; use k/2^n in "
                "0..1 with n <= 16, such as '115/128'; correct it"
            ],
        ),
        (
            [f"{LAYER}.alpha=fast"],
            [f"'{LAYER}.alpha' is 'fast': write it as a fraction k/2^n, such as '7/8'; correct it"],
        ),
        (
            [f"{LAYER}.beta={{start='7/8'}}"],
            [
                f"'{LAYER}.beta': a table is for a decay that is learned; add learn = 'layer' or "
                "'channel', or write the fraction alone, such as '7/8'"
            ],
        ),
        (
            [f"{LAYER}.beta={{start='7/8', learn='layers'}}"],
            [f"'{LAYER}.beta.learn' is 'layers'; did you mean 'layer'?"],
        ),
        (
            [f"{LAYER}.beta={{start='7/8', learn='layer', bits=17}}"],
            [f"'{LAYER}.beta.bits' is 17; give at most 16"],
        ),
        (
            [f"{LAYER}.beta={{learn='layer'}}"],
            [f"'{LAYER}.beta.start' is missing; add it"],
        ),
        (
            [f"{LAYER}.beta={{start='1', learn='channel'}}"],
            [
                f"'{LAYER}.beta': start is '1', from which no gradient leads away; use a fraction "
                "between 0 and 1"
            ],
        ),
        (
            [f"{LAYER}.reset=zeros"],
            [f"'{LAYER}.reset' is 'zeros'; did you mean 'zero'?"],
        ),
        (
            [f"{LAYER}.adaptation={{type='thresholds', jump=1.0, beta='7/8'}}"],
            [f"'{LAYER}.adaptation.type' is 'thresholds'; did you mean 'threshold'?"],
        ),
        (
            [f"{LAYER}.adaptation={{type='threshold', jump=0.0, beta='7/8'}}"],
            [f"'{LAYER}.adaptation.jump' is 0.0; give more than 0"],
        ),
        (
            [f"{LAYER}.adaptation={{type='current', beta='7/8'}}"],
            [f"'{LAYER}.adaptation.membrane' is missing; add it"],
        ),
        (
            [f"{LAYER}.alpha=1/1"],
            [
                f"{LAYER}: decay_numerator is 1 of 1, but a synapse must leak; use at most 0",
            ],
        ),
        (
            [f"{LAYER}.alpha=1/2", f"{LAYER}.beta=1/1"],
            [
                f"{LAYER}: Neuron has a synapse state, but its membrane does not leak; use a "
                "decay below 1 or no synapse state"
            ],
        ),
        (
            [
                "network.arithmetic.decay_form=shift",
                f"{LAYER}.beta={{start='7/8', learn='layer'}}",
            ],
            [
                f"{LAYER}.beta is learned, but network.arithmetic.decay_form is 'shift', which "
                "has 1 - 1/2^n alone; use 'multiply', or a fraction such as '7/8'"
            ],
        ),
        (
            [
                "network.arithmetic.decay_form=shift",
                f"{LAYER}.adaptation={{type='threshold', jump=1.0, beta='5/8'}}",
            ],
            [
                f"{LAYER}: update statement 6, 'leak a shift 5 3 toward_zero': its numerator is "
                "5; a decay by shift 3 has 7 there"
            ],
        ),
        (
            [
                *MACHINE,
                f"{LAYER}.beta=1/2",
                f"{LAYER}.alpha=1/2",
                f"{LAYER}.reset=zero",
                f"{LAYER}.adaptation={{type='threshold', jump=1.0, beta='7/8'}}",
            ],
            [
                f"{LAYER}.{name} is given, but machine 'loihi' says what the neurons of all "
                "layers compute; leave one out"
                for name in ("beta", "alpha", "reset", "adaptation")
            ],
        ),
        (
            [f"{LAYER}.threshold={{start=1.0, schedule='learned', final=2.0}}"],
            [
                f"'{LAYER}.threshold': final is 2, but the schedule 'learned' takes none; leave it "
                "out"
            ],
        ),
        (
            [
                f"{LAYER}.threshold={{start=1.0, schedule='learned'}}",
                "train.objective=ramp",
            ],
            [
                "train.objective is 'ramp', which ends above the last threshold, but "
                f"{LAYER}.threshold is learned and has no end; give it another schedule"
            ],
        ),
    ],
)
def test_each_has_its_sentence(overrides: list[str], sentences: list[str]) -> None:
    assert refused(*overrides) == sentences


def test_a_learned_threshold_is_not_held_at_an_end() -> None:
    learned = f"{LAYER}.threshold={{start=1.0, schedule='learned'}}"
    [sentence] = refused(learned, "train.thresholds=final")
    assert sentence == (
        f"train.thresholds is 'final', but {LAYER}.threshold has no 'final' to be held at; give it "
        "one, or use 'start'"
    )


def test_integrators_take_decays_and_nothing_that_spikes_do() -> None:
    last = f"{LAYER}={{type='integrator', features=10, beta='1/2', alpha='3/4'}}"
    recipe = parse(tiny_toml(), "tiny", (last, "train.objective=cross-entropy"))
    update = update_of(recipe.network, 2)
    assert update.integrates
    assert update.synapse is not None
    assert (update.synapse.beta, update.plain) == (0.75, None)
    for key, value in (("reset", "'zero'"), ("adaptation", "{}")):
        [sentence] = refused(last.replace("}", f", {key}={value}}}"))
        assert sentence.startswith(f"unknown key '{LAYER}.{key}'"), sentence


def test_network_beta_may_be_left_out_where_every_layer_has_its_own() -> None:
    text = tiny_toml().replace('beta = "3/4"\n', "")
    own = [f"network.layers.{number}.beta={beta}" for number, beta in enumerate(("1/2", "0", "1"))]
    recipe = parse(text, "tiny", tuple(own))
    assert parse(to_toml(recipe).decode(), "tiny") == recipe
    betas = [update_of(recipe.network, number).plain for number in range(3)]
    assert [fields and fields.beta for fields in betas] == [0.5, 0, 1]
    with pytest.raises(UsageError, match=r"^recipe tiny: 'network.beta' is missing; add it$"):
        parse(text, "tiny", tuple(own[:2]))


def test_a_decay_reads_back_as_it_was_written() -> None:
    learned = f"{LAYER}.beta={{start='0.9', learn='channel', bits=6}}"
    recipe = parse(tiny_toml(), "tiny", (learned, f"{LAYER}.alpha=3/4"))
    again = parse(to_toml(recipe).decode(), "tiny")
    assert again == recipe
    assert again.network.weighted[2].beta == recipe.network.weighted[2].beta is not None
    assert b'alpha = "3/4"' in to_toml(recipe)


def test_a_learned_threshold_has_no_destination() -> None:
    threshold = Threshold(start=1.0, schedule="learned")
    assert (threshold.held, gone(7.0, threshold)) == (False, 1.0)
    assert _way_out(LAYER, threshold, "never") == f"lower {LAYER}.threshold.start (now 1)"
    assert _way_out(LAYER, threshold, "always") == f"raise {LAYER}.threshold.start (now 1)"
    keys = [f"network.layers.{n}.threshold={{start=1.0, schedule='learned'}}" for n in range(3)]
    recipe = parse(tiny_toml(), "tiny", tuple(keys))
    entry: dict[str, Any] = {"phase": "A", "epoch": 1, "loss": 1.0, "validation_accuracy": 0.5}
    line = Pace(recipe).line({**entry, "thresholds": [1.0, 2.0, 3.0]})
    assert "thresholds 1..3, " in line
    assert quick(recipe, 192).network == recipe.network


def test_a_jump_that_no_integer_stands_for_is_refused() -> None:
    adaptation = "{{type='threshold', jump={}, beta='7/8'}}"
    data = load_dataset(tiny_recipe().data, None)
    for jump, sentence in (
        (
            1e-3,
            "layer 3: adaptation.jump is 0.001, which is 0 in integers of 2 fraction bits; raise "
            "it, or use more fraction_bits",
        ),
        (
            1e6,
            "layer 3: adaptation.jump is 1e+06, which is 4,000,000 in integers, more than "
            f"{2**18:,}, up to which float32 training is exact; lower it",
        ),
    ):
        recipe = parse(
            tiny_toml(),
            "tiny",
            (f"{LAYER}.adaptation={adaptation.format(jump)}", f"{LAYER}.fraction_bits=2"),
        )
        with pytest.raises(NotMappable) as error:
            stand_in(recipe, data)
        assert str(error.value) == sentence


def test_binarize_has_no_learned_thresholds() -> None:
    model = nn.Sequential(nn.Linear(3, 4), snntorch.Leaky(beta=0.5, init_hidden=True))
    with pytest.raises(UsageError) as error:
        binarize(model, thresholds=Threshold(start=1.0, schedule="learned"))
    assert str(error.value) == (
        "thresholds: the schedule of 1 is 'learned', which layers of recipes have alone; give one "
        "that moves it, or skip the neuron and build it with learn_threshold"
    )


def of_rates(common: str, **first: Any) -> Recipe:
    """Rate-coded digits, 64-16-10."""
    layers: list[dict[str, Any]] = [
        {"type": "linear", "features": features, "threshold": {"start": start}}
        for features, start in ((16, 1.0), (10, 2.0))
    ]
    return Recipe.model_validate(
        {
            "name": "rates",
            "description": "digits as spikes",
            "data": {"name": "digits", "encoding": "rate", "steps": 8, "train_samples": 100},
            "network": {
                "steps": 8,
                "beta": common,
                "slope": 2.0,
                "layers": [{**layers[0], **first}, layers[1]],
            },
            "train": {"epochs": 1, "batch_size": 32, "lr": 1e-3},
        }
    )


@pytest.mark.parametrize(
    ("target", "beta", "first", "sentence"),
    [
        (
            "akida",
            "0",
            {"recurrent": True},
            "lif1: it takes input and lif1 of the step before, the machine has a chain of layers, "
            "in which it takes input; make the network a chain without feedback",
        ),
        (
            "akida",
            "0",
            {"alpha": "1/2"},
            "lif1: its neurons have a synapse state, the machine has membranes alone; train "
            "without it",
        ),
        (
            "xylo",
            "7/8",
            {"adaptation": {"type": "threshold", "jump": 1.0, "beta": "7/8"}},
            "network.layers.0.adaptation is given, but machine 'xylo' says what the neurons of "
            "all layers compute; leave one out",
        ),
    ],
)
def test_a_target_names_what_it_lacks(
    target: str, beta: str, first: dict[str, Any], sentence: str
) -> None:
    recipe = of_rates(beta, **first)
    with pytest.raises(NotMappable) as error:
        for_target(recipe, registry.get(target), load_dataset(recipe.data, None))
    subject = f"recipe rates does not train for target {target}: "
    assert sentence in [str(reason).removeprefix(subject) for reason in error.value.args]


def test_a_target_with_synapse_states_takes_them() -> None:
    recipe = of_rates("7/8", alpha="1/2", beta={"start": "3/4", "learn": "layer"})
    data = load_dataset(recipe.data, None)
    net = stand_in(for_target(recipe, registry.get("loihi"), data), data)
    synapse = net.neurons["lif1"].synapse
    assert synapse is not None
    assert (synapse.beta, synapse.bias_to) == (0.5, "membrane")
    assert net.neurons["lif1"].fields.beta == 0.75


def test_the_schema_takes_decays_as_text_and_as_tables() -> None:
    validator = Draft202012Validator(recipe_schema())
    first: dict[str, Any] = SETTINGS["network"]["layers"][2]

    def valid(**keys: Any) -> bool:
        layers = [*SETTINGS["network"]["layers"][:2], {**first, **keys}]
        network = {**SETTINGS["network"], "layers": layers}
        return bool(validator.is_valid({**SETTINGS, "network": network}))

    learned = {"start": "7/8", "learn": "channel"}
    assert valid(beta="7/8", alpha=learned, reset="zero", recurrent=True)
    assert valid(beta=0.875)
    assert valid(adaptation={"type": "threshold", "jump": 1.0, "beta": "7/8"})
    for wrong in (
        {"beta": {**learned, "learn": "layers"}},
        {"alpha": ["1/2"]},
        {"reset": "zeros"},
        {"adaptation": {"type": "threshold", "jump": 0, "beta": "7/8"}},
        {"recurrent": 1},
    ):
        assert not valid(**wrong), wrong
