"""Teachers and weights of other runs: what is learnt, what is taken over, what is refused."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import SETTINGS, tiny_recipe, tiny_toml

from lehr.errors import FileRefused, UsageError
from lehr.export.checkpoint import load_run, run_digest
from lehr.train.data import Dataset, load_dataset
from lehr.train.floats.model import FloatNet
from lehr.train.keys.training import Teaching
from lehr.train.learning.loop import train
from lehr.train.learning.other_runs import begin_with
from lehr.train.objectives.loss import Loss
from lehr.train.objectives.objective import objective
from lehr.train.objectives.teacher import Teacher
from lehr.train.processes import Part
from lehr.train.recipe import Recipe
from lehr.train.recipefile import parse, to_toml
from lehr.train.runs.progress import Progress
from lehr.train.runs.running import train_run

LAYERS: list[dict[str, Any]] = SETTINGS["network"]["layers"]


def recipe_of(
    *, layers: list[dict[str, Any]] = LAYERS, net: Any = None, **train_keys: Any
) -> Recipe:
    return Recipe.model_validate(
        {
            **SETTINGS,
            "network": {**SETTINGS["network"], "layers": layers, **(net or {})},
            "train": {**SETTINGS["train"], **train_keys},
        }
    )


@pytest.fixture(scope="module")
def data() -> Dataset:
    return load_dataset(tiny_recipe().data, None)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, data: Dataset) -> Path:
    """Runs of before: of spikes, of integrators, of float weights, and of the temporal task."""
    folder = tmp_path_factory.mktemp("runs")
    last = {"type": "integrator", "features": 10, "bias": True}
    train_run(recipe_of(epochs=8), data, folder / "spikes")
    entropy = {"objective": "cross-entropy", "epochs": 8}
    train_run(recipe_of(layers=[*LAYERS[:2], last], **entropy), data, folder / "membranes")
    train_run(recipe_of(net={"weights": "float"}, epochs=12), data, folder / "floats")
    return folder


def fresh(recipe: Recipe, data: Dataset) -> FloatNet:
    torch.manual_seed(0)
    return FloatNet(recipe.network, data.shape)


def test_weights_of_another_run_are_those_at_the_start(runs: Path, data: Dataset) -> None:
    recipe = recipe_of(init_from=str(runs / "spikes"))
    start, model = fresh(recipe, data), fresh(recipe, data)
    begin_with(model, recipe, data)
    latents = [latent.weight for latent in load_run(runs / "spikes").latents.values()]
    assert len(latents) == 3
    for mine, theirs in zip(model.weights.values(), latents, strict=True):
        np.testing.assert_array_equal(mine.detach().numpy(), theirs)
    assert not torch.equal(model.weights[1], start.weights[1])
    two = recipe_of(init_from={"run": str(runs / "spikes"), "layers": [0, 2]})
    some = fresh(two, data)
    begin_with(some, two, data)
    kept = [torch.equal(some.weights[n], start.weights[n]) for n in (1, 2, 3)]
    assert kept == [False, True, False]
    floats = fresh(recipe, data)
    begin_with(floats, recipe_of(init_from=str(runs / "floats")), data)
    assert len(floats.weights[1].unique()) == floats.weights[1].numel()


def test_a_run_that_begins_with_another_s_weights_is_ahead(runs: Path, data: Dataset) -> None:
    plain, ahead = (
        train(recipe_of(epochs=1, init_from=run).model_copy(update={"finetune": None}), data)
        for run in (None, str(runs / "spikes"))
    )
    assert ahead.metrics[0]["loss"] < 0.8 * plain.metrics[0]["loss"]
    assert ahead.others == {str(runs / "spikes"): run_digest(runs / "spikes")}
    assert plain.others == {}


def test_layers_that_do_not_fit_are_named(runs: Path, data: Dataset) -> None:
    wider = [LAYERS[0], {**LAYERS[1], "channels": 9}, LAYERS[2]]
    run = str(runs / "spikes")
    recipe = recipe_of(layers=wider, init_from=run)
    with pytest.raises(UsageError) as error:
        train(recipe, data)
    assert error.value.args == (
        f"train.init_from is '{run}', whose layer 1 has weights of shape (8, 6, 2, 2), but "
        "network.layers.1 has weights of shape (9, 6, 2, 2); list the layers that fit in "
        "train.init_from.layers",
        f"train.init_from is '{run}', whose layer 2 has weights of shape (10, 32), but "
        "network.layers.2 has weights of shape (10, 36); list the layers that fit in "
        "train.init_from.layers",
    )
    few = recipe_of(init_from={"run": run, "layers": [3]})
    with pytest.raises(UsageError) as error:
        begin_with(fresh(few, data), few, data)
    assert str(error.value) == (
        "train.init_from.layers has 3, but network.layers.3 is no layer with weights; use some of "
        "0, 1, 2"
    )


def divergence(teacher: list[float], student: list[float], heat: float) -> float:
    """Kullback and Leibler's, of two softmaxes at a temperature, as one writes it."""

    def chances(scores: list[float]) -> list[float]:
        powers = [math.exp(score / heat) for score in scores]
        return [power / sum(powers) for power in powers]

    pairs = zip(chances(teacher), chances(student), strict=True)
    return sum(p * math.log(p / q) for p, q in pairs)


@pytest.mark.parametrize("name", ["spikes", "membranes", "floats"])
def test_the_distance_from_a_teacher(runs: Path, data: Dataset, name: str) -> None:
    teaching = {"run": str(runs / name), "share": 0.25, "temperature": 3.0}
    recipe = recipe_of(teacher=teaching)
    teacher = Teacher(Teaching.model_validate(teaching), data, torch.device("cpu"))
    x, y = torch.from_numpy(data.test.x[:8]).float(), torch.from_numpy(data.test.y[:8])
    model, goal = fresh(recipe, data), objective(recipe, data)
    spikes, membranes = model.run(x)
    counts, taught = spikes[-1].sum(0).tolist(), teacher.logits(x).tolist()
    assert len({tuple(scores) for scores in taught}) > 4
    each = [divergence(a, b, 3.0) for a, b in zip(taught, counts, strict=True)]
    expected = 0.75 * float(goal.loss(spikes, membranes, y).detach()) + 0.25 * 9 * sum(each) / 8
    loss = Loss(recipe, goal, teacher)(x, spikes, membranes, y, Part.of(8))
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-4)
    loss.backward()
    assert model.weights[1].grad is not None
    assert not any(p.grad is not None for p in teacher._model.parameters())


def test_membranes_of_integers_are_scaled_to_what_they_say(runs: Path, data: Dataset) -> None:
    teacher = Teacher(Teaching(run=str(runs / "membranes")), data, torch.device("cpu"))
    run = load_run(runs / "membranes")
    assert 2**-24 < teacher.scale < 1
    x, y = torch.from_numpy(data.validation.x).float(), torch.from_numpy(data.validation.y)
    scores = teacher.logits(x) / teacher.scale
    losses = {
        power: float(torch.nn.functional.cross_entropy(scores * 2.0**power, y))
        for power in range(-24, 1)
    }
    assert 2.0 ** min(losses, key=lambda power: losses[power]) == teacher.scale
    assert run.network.readout == "membrane_sum_argmax_lowest"
    assert float(scores.abs().max()) > 100  # integers, far from what a softmax takes


def test_a_taught_run_learns_from_scores_alone(runs: Path, data: Dataset) -> None:
    """With all of the loss the teacher's, and labels that are wrong, the teacher is followed."""
    recipe = recipe_of(
        teacher={"run": str(runs / "floats"), "share": 1.0}, epochs=20, objective="cross-entropy"
    ).model_copy(update={"finetune": None})
    wrong = (data.train.y + 1) % 10
    model = train(recipe, Dataset(type(data.train)(data.train.x, wrong), *_others(data))).model
    teacher = Teacher(Teaching(run=str(runs / "floats")), data, torch.device("cpu"))
    x = torch.from_numpy(data.train.x).float()
    answers = model.run(x)[0][-1].sum(0).argmax(1)
    agree = float((answers == teacher.logits(x).argmax(1)).float().mean())
    labels = float((answers.numpy() == wrong).mean())
    assert agree > 0.2 > 0.15 > labels  # a tenth is chance


def _others(data: Dataset) -> tuple[Any, ...]:
    return data.validation, data.test, data.classes, data.kind, data.steps


def test_runs_on_other_data_are_refused(runs: Path, tmp_path: Path, data: Dataset) -> None:
    coded = Recipe.model_validate(
        {
            **SETTINGS,
            "data": {**SETTINGS["data"], "encoding": "rate", "steps": 6},
            "train": {**SETTINGS["train"], "teacher": str(runs / "spikes")},
        }
    )
    with pytest.raises(UsageError) as error:
        train(coded, load_dataset(coded.data, None))
    assert str(error.value) == (
        f"train.teacher.run is '{runs / 'spikes'}', whose network takes u8 of shape (1, 8, 8), but "
        "the data are spikes of shape (1, 8, 8); name a run on the same data"
    )
    floats = coded.model_copy(update={"train": recipe_of(teacher=str(runs / "floats")).train})
    with pytest.raises(UsageError) as error:
        train(floats, load_dataset(coded.data, None))
    assert str(error.value) == (
        f"train.teacher.run is '{runs / 'floats'}', whose samples are held for all steps, but the "
        "data's are another in each step; name a run on the same data"
    )
    eleven = recipe_of(
        layers=[*LAYERS[:2], {**LAYERS[2], "features": 11}], teacher=str(runs / "spikes")
    )
    with pytest.raises(UsageError) as error:
        train(eleven, data)
    assert str(error.value) == (
        f"train.teacher.run is '{runs / 'spikes'}', whose last layer has 10 neurons, but this "
        "network's has 11; name a run of as many"
    )
    with pytest.raises(UsageError) as none:
        train(recipe_of(teacher=str(tmp_path / "none")), data)
    assert str(none.value) == (
        f"train.teacher.run is '{tmp_path / 'none'}': no such folder; give one that 'lehr train' "
        "made"
    )
    damaged = tmp_path / "damaged"
    shutil.copytree(runs / "spikes", damaged)
    (damaged / "checkpoint.safetensors").write_bytes(b"x")
    with pytest.raises(FileRefused):
        train(recipe_of(init_from=str(damaged)), data)


@pytest.mark.parametrize("key", ["teacher", "init_from"])
def test_no_training_goes_on_with_another_run(
    runs: Path, tmp_path: Path, data: Dataset, key: str
) -> None:
    other, folder = tmp_path / "other", tmp_path / "run.unfinished"
    shutil.copytree(runs / "spikes", other)
    keys: dict[str, Any] = {key: str(other)}
    recipe = recipe_of(**keys)
    assert parse(to_toml(recipe).decode(), "tiny") == recipe
    train(recipe, data, progress=Progress.open(folder, recipe, resume=False))
    Progress.open(folder, recipe, resume=True)
    shutil.rmtree(other)
    shutil.copytree(runs / "floats", other)
    with pytest.raises(UsageError) as error:
        Progress.open(folder, recipe, resume=True)
    assert str(error.value) == (
        f"{folder} has learnt from {other}, which is another run by now; put that back, or remove "
        f"{folder}"
    )


def test_a_run_says_which_others_it_has_learnt_from(
    runs: Path, tmp_path: Path, data: Dataset
) -> None:
    folder = str(runs / "spikes")
    recipe = recipe_of(init_from=folder, epochs=1)
    train_run(recipe, data, tmp_path / "run")
    state = json.loads((tmp_path / "run" / "state.json").read_text("utf-8"))
    assert state["others"] == {folder: run_digest(runs / "spikes")}
    load_run(tmp_path / "run")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ("train.teacher=x", "train.objective=ramp"),
            "train.teacher.run is 'x', but train.objective is 'ramp', which has no scores of "
            "classes to learn; use another objective, or leave it out",
        ),
        (("train.teacher.share=0.5",), "'train.teacher.run' is missing; add it"),
        (
            ('train.teacher={run="x", share=1.5}',),
            "'train.teacher.share' is 1.5; give at most 1",
        ),
        (
            ('train.teacher={run="x", temprature=1.5}',),
            "unknown key 'train.teacher.temprature' (value 1.5); did you mean "
            "'train.teacher.temperature'?",
        ),
        (("train.init_from=3",), "'train.init_from' is 3; give a table of keys"),
    ],
)
def test_what_contradicts_itself_is_refused(overrides: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError) as error:
        parse(tiny_toml(), "tiny", overrides)
    assert str(error.value) == f"recipe tiny: {message}"


def test_layers_of_a_graph_are_found_by_their_places(tmp_path: Path) -> None:
    """With a sum of spikes between them, and with weights through which spikes come back."""
    layers: list[dict[str, Any]] = [
        {"type": "linear", "name": "one", "features": 12, "threshold": {"start": 1.0}},
        {
            "type": "linear",
            "name": "two",
            "features": 12,
            "recurrent": True,
            "threshold": {"start": 1.0},
        },
        {"type": "add", "from": ["one", "two"]},
        {"type": "linear", "features": 10, "threshold": {"start": 1.0}},
    ]
    coded = {**SETTINGS["data"], "encoding": "rate", "steps": 6}

    def graph_of(**train_keys: Any) -> Recipe:
        recipe = recipe_of(layers=layers, epochs=1, **train_keys)
        fields = {**recipe.model_dump(mode="json", exclude_none=True, by_alias=True), "data": coded}
        return Recipe.model_validate(fields)

    data = load_dataset(graph_of().data, None)
    train_run(graph_of(), data, tmp_path / "run")
    latents = load_run(tmp_path / "run").latents
    recipe = graph_of(init_from=str(tmp_path / "run"))
    model = FloatNet(recipe.network, data.shape, 1)
    begin_with(model, recipe, data)
    first, second, last = (weight.detach().numpy() for weight in model.weights.values())
    np.testing.assert_array_equal(first, latents["fc1"].weight)
    np.testing.assert_array_equal(second[:, :12], latents["fc2"].weight)
    np.testing.assert_array_equal(second[:, 12:], latents["back2"].weight)
    np.testing.assert_array_equal(last, latents["fc3"].weight)
    one = graph_of(init_from={"run": str(tmp_path / "run"), "layers": [3]})
    begin_with(fresh_of := FloatNet(one.network, data.shape, 1), one, data)
    np.testing.assert_array_equal(fresh_of.weights[3].detach().numpy(), latents["fc3"].weight)
    assert not np.array_equal(fresh_of.weights[1].detach().numpy(), latents["fc1"].weight)
    wrong = graph_of(init_from={"run": str(tmp_path / "run"), "layers": [2]})
    with pytest.raises(
        UsageError,
        match=r"^train\.init_from\.layers has 2, but network\.layers\.2 is no layer with weights",
    ):
        begin_with(fresh_of, wrong, data)


@pytest.mark.parametrize("name", ["spikes", "floats"])
def test_reading_another_run_draws_nothing(runs: Path, data: Dataset, name: str) -> None:
    """The weights at the start, and dropout, are those of the seed alone."""
    torch.manual_seed(3)
    before = torch.get_rng_state()
    Teacher(Teaching(run=str(runs / name)), data, torch.device("cpu"))
    assert torch.equal(before, torch.get_rng_state())
