"""Spaces: what is refused before the first training, and what values make of a recipe."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny import tiny_toml

from lehr.errors import LehrError, UsageError

pytest.importorskip("optuna")

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from lehr.train.keys.search import Search
from lehr.train.recipefile import parse
from lehr.train.search.setting import Setting
from lehr.train.search.space import chosen, distributions, read_space

KEYS = "[keys]\ntrain.lr = { low = 1e-3, high = 1e-2 }\n"
EXAMPLES = Path(__file__).parent.parent.parent / "examples"


def setting(text: str, tmp_path: Path, recipe: str = "") -> Setting:
    """Return the setting of a space, around the tiny recipe if no other is given."""
    path = tmp_path / "space.toml"
    path.write_text(text)
    return Setting(recipe or tiny_toml(), "tiny.toml", (), read_space(path))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "[keys]\ntrain.lr = { low = 1e-2, high = 1e-3 }",
            "'keys.train.lr': the range from 0.01 to 0.001 is empty; exchange 'low' and 'high'",
        ),
        (
            '[keys]\n"train.lr" = { choices = [] }',
            "'keys.train.lr': choices has no value; give some",
        ),
        (
            "[keys]\ntrain.lr = { choices = [1, 2, 1] }",
            "'keys.train.lr': choices has 1 twice; leave one out",
        ),
        (
            "[keys]\ntrain.lr = { low = 1 }",
            "'keys.train.lr': it is no range and no list; give 'low' and 'high', or 'choices'",
        ),
        (
            "[keys]\ntrain.lr = { low = 0, high = 1, log = true }",
            "'keys.train.lr': low is 0, and 'log' needs more than 0; leave 'log' out",
        ),
        (
            "[keys]\ntrain.epochs = { low = 2, high = 9, step = 2 }",
            "'keys.train.epochs': step is 2, which does not lead from 2 to 9; give another 'high'",
        ),
        (
            "[keys]\ntrain.epochs = { low = 2, high = 9, step = 0.5 }",
            "'keys.train.epochs': step is 0.5; give a whole number above 0",
        ),
        (
            '[keys]\ntrain.lr = { low = "a", high = 9 }',
            "'keys.train.lr.low' is 'a'; give a number",
        ),
        ("trails = 3\n" + KEYS, "unknown key 'trails' (value 3); did you mean 'trials'?"),
        (
            'sampler = "tpee"\n' + KEYS,
            "'sampler' is 'tpee'; did you mean 'tpe'?",
        ),
        (
            'objectives = ["acuracy"]\n' + KEYS,
            "objectives has 'acuracy'; use accuracy, spikes, operations, or TARGET.FIGURE with that "
            "target in 'builds'",
        ),
        (
            'objectives = ["c.flash"]\n' + KEYS + "[builds.fpga]",
            "objectives has 'c.flash'; use accuracy, spikes, operations, fpga.FIGURE",
        ),
        (
            'objectives = ["accuracy", "spikes"]\npruner = "median"\n' + KEYS,
            "pruner is 'median', which goes by the accuracy of epochs, but the objectives are "
            "accuracy, spikes; use 'none', or 'accuracy' alone",
        ),
        ("trials = 3", "nothing is searched; give keys of the recipe in 'keys'"),
        (
            '[builds.c.options]\nrate = { choices = ["1"], also = ["train.lr"] }',
            "builds.c.options.rate: 'also' is for keys of the recipe; leave it out",
        ),
    ],
)
def test_a_wrong_space_is_a_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(UsageError) as refused:
        setting(text, tmp_path)
    assert sentence in str(refused.value)
    assert len(refused.value.lines) == 1
    assert str(refused.value).startswith("space ")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "[keys]\ntrain.lrr = { low = 1e-3, high = 1e-2 }",
            "the space holds no recipe: recipe tiny.toml: unknown key 'train.lrr' (value 0.0",
        ),
        (
            "[keys]\nnetwork.layers.7.channels = { low = 1, high = 2 }",
            "'7' is no key of the recipe; the list has 0 to 2",
        ),
        (
            "[keys]\ntrain.epochs = { low = 1.5, high = 2.5 }",
            "give a whole number",
        ),
        (KEYS + "[builds.fpgaa]", "no target is called 'fpgaa'; did you mean 'fpga'?"),
        (
            KEYS + '[builds.c.options]\ndevise = "x"',
            "target c has no option 'devise'; did you mean 'device'?",
        ),
        (
            KEYS + '[builds.c.options]\ndevice = { choices = ["nrf0"] }',
            "device is 'nrf0'",
        ),
        (
            'objectives = ["c.flesh"]\n' + KEYS + "[builds.c]",
            "objective 'c.flesh' is measured by nothing; did you mean 'c.flash'?",
        ),
    ],
)
def test_what_no_trial_could_come_of_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(LehrError) as refused:
        setting(text, tmp_path).require()
    assert refused.value.exit_code == 2
    assert sentence in str(refused.value)


def test_float_weights_are_not_searched(tmp_path: Path) -> None:
    floats = tiny_toml().replace('weights = "binarized"', 'weights = "float"')
    with pytest.raises(UsageError, match="a search measures integer networks; leave it out"):
        setting(KEYS, tmp_path, floats).require()


def test_values_reach_the_recipe_and_the_builds(tmp_path: Path) -> None:
    text = """
[keys]
"train.lr" = { low = 1e-3, high = 1e-2, log = true }
train.epochs = { low = 1, high = 9, step = 2, also = ["finetune.epochs"] }
network.layers.0.threshold = { choices = [{ start = 1.0 }, { start = 0.5, final = 2.0, rate = 0.1 }] }
network.beta = { choices = ["3/4", "7/8"] }
[builds.fpga.options]
device = "up5k"
lanes = { choices = [4, 8] }
"""
    this = setting(text, tmp_path)
    this.require()
    drawn = distributions(this.search)
    assert drawn["train.lr"] == FloatDistribution(1e-3, 1e-2, log=True)
    assert drawn["train.epochs"] == IntDistribution(1, 9, step=2)
    assert drawn["network.beta"] == CategoricalDistribution(['"3/4"', '"7/8"'])
    second = '{"final": 2.0, "rate": 0.1, "start": 0.5}'
    point = chosen(
        this.search,
        {
            "train.lr": 0.0012345678901234567,
            "train.epochs": 5,
            "network.layers.0.threshold": second,
            "network.beta": '"7/8"',
            "builds.fpga.options.lanes": "8",
        },
    )
    assert point.options == {"fpga": {"device": "up5k", "lanes": "8"}}
    recipe = parse(this.job(point).recipe, "trial")  # through TOML text, to the last bit
    assert recipe == this.recipe(point)
    assert recipe.train.lr == 0.0012345678901234567
    assert recipe.finetune is not None
    assert (recipe.train.epochs, recipe.finetune.epochs, recipe.network.beta) == (5, 5, "7/8")
    layers = [layer.model_dump() for layer in recipe.network.layers]
    assert [layer["threshold"]["start"] for layer in layers] == [0.5, 0.5, 1.0]
    assert [layer["threshold"]["final"] for layer in layers] == [2.0, 1.0, 3.0]


def test_a_recipe_may_hold_its_space(tmp_path: Path) -> None:
    space = setting('objectives = ["spikes"]\n' + KEYS, tmp_path).search
    with_space = tiny_toml() + '\n[search]\nobjectives = ["spikes"]\n[search.keys]\n'
    recipe = parse(with_space + '"train.lr" = { low = 1e-3, high = 1e-2 }\n', "r.toml")
    assert recipe.search == space
    assert recipe.model_copy(update={"search": None}) == parse(tiny_toml(), "tiny.toml")
    with pytest.raises(UsageError, match="'search.keys.train.lr': it is no range and no list"):
        parse(with_space + '"train.lr" = { low = 1e-3 }\n', "r.toml")


def test_the_digest_is_of_recipe_and_space_and_not_of_the_number_of_trials(tmp_path: Path) -> None:
    one = setting(KEYS, tmp_path)
    assert setting("trials = 7\n" + KEYS, tmp_path).digest == one.digest
    others = (
        setting("seed = 1\n" + KEYS, tmp_path),
        setting(KEYS.replace("1e-2", "2e-2"), tmp_path),
        setting(KEYS, tmp_path, tiny_toml().replace("seed = 5", "seed = 6")),
    )
    assert len({one.digest, *(other.digest for other in others)}) == 4


@pytest.mark.parametrize("name", ["flash", "thresholds"])
def test_the_examples_are_spaces_around_digits(name: str) -> None:
    from lehr.train.recipefile import text_of

    space = read_space(EXAMPLES / f"search_{name}.toml")
    assert isinstance(space, Search)
    Setting(text_of("digits"), "digits", (), space).require()
