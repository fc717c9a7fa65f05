"""Recipes: what they refuse, in one sentence each, and how single keys are changed."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest
from tiny import tiny_recipe, tiny_toml

from lehr.errors import UsageError
from lehr.train.recipe import nearest_dyadic
from lehr.train.recipefile import bundled, load, parse, to_toml


def test_toml_comes_back_as_the_same_recipe() -> None:
    assert parse(to_toml(tiny_recipe()).decode(), "tiny") == tiny_recipe()


def test_every_bundled_recipe_is_one() -> None:
    assert "digits" in bundled()
    for name in bundled():
        assert load(name).name == name


def test_overrides() -> None:
    recipe = parse(
        tiny_toml(),
        "tiny",
        (
            "train.lr=1e-2",
            "network.layers.1.threshold.final=9.5",
            "network.beta=7/8",
            "data.train_samples=10",
        ),
    )
    assert recipe.train.lr == 1e-2
    assert recipe.network.annealed[1].final == 9.5
    assert recipe.network.decay == Fraction(7, 8)
    assert recipe.data.train_samples == 10


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "train.learning_rate=1",
            "recipe tiny: unknown key 'train.learning_rate' (value 1); remove it or correct its "
            "spelling",
        ),
        ("train.lr=-1", "recipe tiny: 'train.lr' is -1; give more than 0"),
        (
            "train.epoch=1",
            "recipe tiny: unknown key 'train.epoch' (value 1); did you mean 'train.epochs'?",
        ),
        ("epochs=3", "recipe tiny: unknown key 'epochs' (value 3); did you mean 'train.epochs'?"),
        (
            "network.layers.0.recurrent=true",
            "recipe tiny: unknown key 'network.layers.0.recurrent' (value True); 'linear' alone has "
            "it: use that, or remove it",
        ),
        (
            "network.layers.2.kernel=3",
            "recipe tiny: unknown key 'network.layers.2.kernel' (value 3); 'conv' and 'conv1d' alone "
            "have it: use one of them, or remove it",
        ),
        ("train.epochs=one", "recipe tiny: 'train.epochs' is 'one'; give a whole number"),
        ("train.epochs=1.5", "recipe tiny: 'train.epochs' is 1.5; give a whole number"),
        ("train.rates=[1]", "recipe tiny: 'train.rates.1' is missing; add it"),
        (
            "train.lr_schedule=cosin",
            "recipe tiny: 'train.lr_schedule' is 'cosin'; did you mean 'cosine'?",
        ),
        (
            "train.lr_schedule={ name = 'cosine' }",
            "recipe tiny: 'train.lr_schedule.period' is missing; add it",
        ),
        (
            "train.lr_schedule={ name = 'restarts', period = 4 }",
            "recipe tiny: 'train.lr_schedule.name' is 'restarts'; use 'cosine'",
        ),
        (
            "train.lr_schedule={ name = 'cosine', period = 0 }",
            "recipe tiny: 'train.lr_schedule.period' is 0; give at least 1",
        ),
        (
            "data.frames=counts",
            "recipe tiny: 'data.frames' is 'counts'; did you mean 'count'?",
        ),
        (
            "data.origin=first",
            "recipe tiny: 'data.origin' is 'first'; use 'recording' or 'first-event'",
        ),
        ("train.lr=fast", "recipe tiny: 'train.lr' is 'fast'; give a number"),
        ("train=3", "recipe tiny: 'train' is 3; give a table of keys"),
        ("network.layers=3", "recipe tiny: 'network.layers' is 3; give a list, as in [1, 2]"),
        (
            "network.layers.0.batch_norm=maybe",
            "recipe tiny: 'network.layers.0.batch_norm' is 'maybe'; use true, false or 'step'",
        ),
        (
            "network.layers.0.chanels=3",
            "recipe tiny: unknown key 'network.layers.0.chanels' (value 3); did you mean "
            "'network.layers.0.channels'?",
        ),
        (
            "network.layers.0.threshold.startt=1",
            "recipe tiny: unknown key 'network.layers.0.threshold.startt' (value 1); did you mean "
            "'network.layers.0.threshold.start'?",
        ),
        (
            "train.objective=cross-entrpy",
            "recipe tiny: 'train.objective' is 'cross-entrpy'; did you mean 'cross-entropy'?",
        ),
        (
            "data.name=fsd",
            "recipe tiny: data.name is 'fsd', which is no data set; did you mean 'fsdd'? use one of digits, "
            "mnist, fashion-mnist, nmnist, dvs-gesture, shd, ssc, fsdd, japanese-vowels, temporal, events, npz, series",
        ),
        (
            "data.step_ms=2",
            "recipe tiny: data.step_ms is 2.0, which data set digits does not take; remove it",
        ),
        (
            "data.encoding=rate",
            "recipe tiny: data.encoding is 'rate', but data.steps is not given; set it to "
            "network.steps",
        ),
        (
            "data.name=temporal",
            "recipe tiny: data set temporal needs data.steps, which is not given; add it to the "
            "recipe",
        ),
        (
            "train.objective=x",
            "recipe tiny: 'train.objective' is 'x'; use 'count', 'cross-entropy', 'tet', 'ramp' or 'spike'",
        ),
        (
            "network.beta=0.9",
            "recipe tiny: 'network.beta' is 0.9: no integer machine decays by it exactly; use "
            "k/2^n in 0..1 with n <= 16, such as '115/128'; correct it",
        ),
        (
            "network.beta=x",
            "recipe tiny: 'network.beta' is 'x': write it as a fraction k/2^n, such as '7/8'; "
            "correct it",
        ),
        (
            "network.layers.0.threshold.start=0",
            "recipe tiny: 'network.layers.0.threshold.start' is 0; give more than 0",
        ),
        ("network.weights=int9", "recipe tiny: 'network.weights' is 'int9'; did you mean 'int8'?"),
        ("train.prune=1.0", "recipe tiny: 'train.prune' is 1.0; give less than 1"),
        (
            "network.layers.0.type='pool'",
            "recipe tiny: 'network.layers.0.type' is 'pool'; use 'conv', 'conv1d', 'linear', 'integrator', 'add'",
        ),
        (
            "network.layers.0.type='con'",
            "recipe tiny: 'network.layers.0.type' is 'con'; did you mean 'conv'?",
        ),
        (
            "network.layers.7.kernel=1",
            "--set network.layers.7.kernel: '7' is no key of the recipe; ",
        ),
        ("seed", "--set 'seed' is no assignment; write it as train.lr=1e-3"),
        ("name.first=1", "--set name.first: 'first' is no key of the recipe; "),
    ],
)
def test_refusals(override: str, message: str) -> None:
    with pytest.raises(UsageError) as error:
        parse(tiny_toml(), "tiny", (override,))
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_all_mistakes_are_told_at_once() -> None:
    wrong = ("train.epoch=1", "seed=x", "seed", "name.first=1", "network.beta=0.9")
    with pytest.raises(UsageError) as error:
        parse(tiny_toml(), "tiny", wrong)
    first, *lines = str(error.value).splitlines()
    assert first == "5 refusals:"
    assert sorted(line.strip().split(";")[0] for line in lines) == [
        "--set 'seed' is no assignment",
        "--set name.first: 'first' is no key of the recipe",
        "recipe tiny: 'network.beta' is 0.9: no integer machine decays by it exactly",
        "recipe tiny: 'seed' is 'x'",
        "recipe tiny: unknown key 'train.epoch' (value 1)",
    ]


@pytest.mark.slow
def test_a_mistake_in_a_recipe_is_told_before_torch_is_imported() -> None:
    check = (
        "import sys; from commands import run; ran = run('train', 'digits', '--set', "
        "'train.epoch=1');"
        "assert ran.code == 2, ran.err; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", check], cwd=Path(__file__).parent.parent, check=True)


def test_a_bundled_recipe_is_known_by_a_name_like_its_own() -> None:
    with pytest.raises(
        UsageError,
        match=r"neither a file nor a bundled recipe; did you mean 'fashion-mnist-short'\?$",
    ):
        load("fashion-mnist-shrt")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ("network.weight_step=fixed",),
            "weight_step is 'fixed', but 'binarized' weights have none; leave it out",
        ),
        (
            ("network.weights=ternary", "network.weight_step=learned"),
            "weight_step is 'learned', but 'ternary' weights have none",
        ),
        (
            ("train.prune=0.5", "network.weights=float"),
            "train.prune is 0.5, but network.weights is 'float', which is not exported; leave one "
            "out",
        ),
        (
            ("train.prune=0.5", "train.patience=3"),
            "train.prune takes all epochs of phase A, which train.patience may end early; leave "
            "one out",
        ),
    ],
)
def test_quantization_that_contradicts_the_rest_is_refused(
    overrides: tuple[str, ...], message: str
) -> None:
    with pytest.raises(UsageError) as error:
        parse(tiny_toml(), "tiny", overrides)
    assert message in str(error.value)


def test_missing_key_and_broken_toml() -> None:
    with pytest.raises(UsageError, match="^recipe tiny: 'network' is missing; add it$"):
        parse(
            'name = "x"\ndescription = "y"\ndata = {name = "digits"}\ntrain = {epochs = 1, batch_size = 1, lr = 1}\n',
            "tiny",
        )
    with pytest.raises(
        UsageError, match=r"^recipe tiny is not TOML: .*line 1.*; correct it there$"
    ):
        parse("name = = 3", "tiny")


def test_convolution_after_linear_is_refused() -> None:
    fields = tiny_recipe().model_dump(mode="json", exclude_none=True)
    fields["network"]["layers"].reverse()
    import tomli_w

    with pytest.raises(
        UsageError, match="a conv layer follows a linear one; put all conv layers first"
    ):
        parse(tomli_w.dumps(fields), "tiny")


def test_unknown_recipe_names_the_bundled_ones(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError,
        match="recipe 'nope' is neither a file nor a bundled recipe; use a path or one of .*digits",
    ):
        load("nope")
    (tmp_path / "latin.toml").write_bytes(b"name = '\xe9'")
    with pytest.raises(UsageError, match=r"latin.toml cannot be read"):
        load(str(tmp_path / "latin.toml"))


@pytest.mark.parametrize(
    ("beta", "dyadic"),
    [(0.868, "111/128"), (0.9297, "119/128"), (0.95, "243/256"), (0.99, "253/256"), (1.2, "1")],
)
def test_nearest_dyadic(beta: float, dyadic: str) -> None:
    assert nearest_dyadic(beta) == Fraction(dyadic)
