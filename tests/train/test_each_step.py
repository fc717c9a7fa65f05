"""Objectives of every step: TET, and networks that answer at each step."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from commands import Lehr
from tiny import SETTINGS, tiny_toml

from lehr import nirfile
from lehr.errors import FileRefused, UsageError
from lehr.npz import npz_bytes
from lehr.simulate import compare, simulate
from lehr.train.data import Dataset, Split, load_dataset
from lehr.train.floats.model import FloatNet
from lehr.train.learning.evaluation import accuracy
from lehr.train.learning.loop import Trained, train
from lehr.train.objectives.each_step import Every, Tet
from lehr.train.objectives.objective import Count, Membrane, objective
from lehr.train.recipe import Recipe
from lehr.train.recipefile import parse, to_toml
from lehr.train.runs.concerns import concerns
from lehr.train.twin.network import trace

STEPS, CHANNELS, KEYWORDS = 24, 12, 3


def entropy(scores: list[float], label: int) -> float:
    """Cross-entropy of one softmax, as one writes it."""
    return math.log(sum(math.exp(score) for score in scores)) - scores[label]


def random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def test_tet_is_the_mean_of_the_cross_entropies_of_all_steps() -> None:
    membranes, labels = random(5, 3, 4), [0, 3, 1]
    goal = Tet(Membrane(4, "sum"), 0.0, 0.0)
    each = [
        entropy(membranes[t, n].tolist(), labels[n])
        for t in range(len(membranes))
        for n in range(3)
    ]
    loss = float(goal.loss([], membranes, torch.tensor(labels)))
    assert loss == pytest.approx(sum(each) / 15, rel=1e-5)
    mean = float(Membrane(4, "sum").loss([], membranes, torch.tensor(labels)))
    assert loss > mean  # Jensen's inequality
    square = sum((value - 1) ** 2 for value in membranes.flatten().tolist()) / 60
    drawn = Tet(Membrane(4, "sum"), 0.0, 0.25).loss([], membranes, torch.tensor(labels))
    assert float(drawn) == pytest.approx(0.75 * sum(each) / 15 + 0.25 * square, rel=1e-5)


def test_tet_counts_spikes_as_they_come() -> None:
    fired = (random(5, 2, 3) > 0).float()
    labels, counts, each = [2, 0], [[0.0] * 3, [0.0] * 3], []
    for t in range(5):
        for n in range(2):
            counts[n] = [a + b for a, b in zip(counts[n], fired[t, n].tolist(), strict=True)]
            each.append(entropy(counts[n], labels[n]))
    goal = Tet(Count(3, lambda *_: torch.zeros(())), 0.0, 0.0)
    assert float(goal.loss([fired], fired, torch.tensor(labels))) == pytest.approx(
        sum(each) / 10, rel=1e-5
    )
    answers = fired.sum(0).argmax(1)  # the answer is that of all steps
    assert goal.right([fired], fired, answers).all()
    assert not goal.right([fired], fired, 1 - answers.clamp(max=1)).all()


def test_labels_of_steps_are_asked_for_where_they_are() -> None:
    membranes, goal = random(4, 2, 3), Every(3)
    labels = [[-1, 0, 2, -1], [1, -1, -1, 1]]
    each = [
        entropy(membranes[t, n].tolist(), label)
        for n, row in enumerate(labels)
        for t, label in enumerate(row)
        if label >= 0
    ]
    assert len(each) == 4
    loss = goal.loss([], membranes, torch.tensor(labels))
    assert float(loss) == pytest.approx(sum(each) / 4, rel=1e-5)
    answers = membranes.argmax(2).T.clone()
    answers[0, :2] = -1
    right = goal.right([], membranes, answers)
    assert right.tolist() == [True] * 6
    answers[1, 3] = (answers[1, 3] + 1) % 3
    assert int(goal.right([], membranes, answers).sum()) == 5
    smooth = Every(3, 0.3).loss([], membranes, torch.tensor(labels))
    all_classes = [
        sum(entropy(membranes[t, n].tolist(), other) for other in range(3)) / 3
        for n, row in enumerate(labels)
        for t, label in enumerate(row)
        if label >= 0
    ]
    assert float(smooth) == pytest.approx((0.7 * sum(each) + 0.3 * sum(all_classes)) / 4, rel=1e-5)
    one = torch.tensor([2, 0])  # one label for all steps
    same = goal.loss([], membranes, one[:, None].expand(2, 4))
    assert float(goal.loss([], membranes, one)) == pytest.approx(float(same))
    nothing = torch.full((2, 4), -1)
    assert float(goal.loss([], membranes, nothing)) == 0
    assert len(goal.right([], membranes, nothing)) == 0


def keywords(count: int, seed: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Noise, and in it a word: four channels that fire for eight steps. The word is the label.

    From the third step of the word up to its last one; other steps have none.
    """
    drawn = np.random.default_rng(seed)
    x = (drawn.random((count, STEPS, CHANNELS)) < 0.1).astype(np.uint8)
    labels = np.full((count, STEPS), -1, np.int64)
    for sample in range(count):
        word, start = drawn.integers(KEYWORDS), drawn.integers(STEPS - 8)
        x[sample, start : start + 8, 4 * word : 4 * word + 4] |= drawn.random((8, 4)) < 0.7
        labels[sample, start + 2 : start + 8] = word
    return x, labels


def streaming(**train_keys: Any) -> Recipe:
    layers = [
        {"type": "linear", "features": 32, "threshold": {"start": 1.0, "final": 2.0, "rate": 0.05}},
        {"type": "integrator", "features": KEYWORDS, "bias": True, "readout": "every"},
    ]
    return Recipe.model_validate(
        {
            **SETTINGS,
            "data": {"name": "npz", "path": "words.npz", "steps": STEPS},
            "network": {"steps": STEPS, "beta": "3/4", "slope": 2.0, "layers": layers},
            "train": {**SETTINGS["train"], "objective": "cross-entropy", "epochs": 6, **train_keys},
        }
    )


@pytest.mark.parametrize("by_step", [True, False])
def test_a_network_that_guesses_once_a_sample_is_at_chance_level(
    words: Dataset, by_step: bool
) -> None:
    """One that always says the first word: of steps, it is right in as many as have that label."""
    labels = words.validation.y if by_step else words.validation.y.max(1)
    data = replace(words, validation=Split(words.validation.x, labels))
    model = FloatNet(streaming().network, words.shape).eval()
    with torch.no_grad():
        model.layers[1].neurons.bias.copy_(torch.tensor([1e4, 0, 0]))
    entry = {"phase": "A", "epoch": 1, "candidate": False, "thresholds": [2.0]}
    of_chance = [said for said in concerns(streaming(), model, [entry], data) if "chance" in said]
    samples, steps = len(labels), int((labels != -1).sum()) if by_step else labels.size * STEPS
    share = float((labels[labels != -1] == 0).mean())
    rng = np.random.default_rng(0)  # of 100,000 who guess one word for each sample
    shares = rng.binomial(samples, 1 / KEYWORDS, 100_000) / samples
    low, high = (float(np.quantile(shares, at, method="nearest")) for at in (0.025, 0.975))
    assert of_chance == [
        f"the float network is at chance level: {100 * share:.2f} % of {steps:,} steps with a "
        f"label of {samples} validation samples are right, and who guesses, once for each sample, "
        f"among {KEYWORDS} classes has {100 * low:.2f} % to {100 * high:.2f} % (95 % interval); "
        "train longer, train.epochs (now 6), or with another train.lr (now 0.005)"
    ]


def test_validation_samples_without_a_label_are_a_concern(words: Dataset) -> None:
    data = replace(
        words, validation=Split(words.validation.x, np.full_like(words.validation.y, -1))
    )
    model = FloatNet(streaming().network, words.shape).eval()
    entry = {"phase": "A", "epoch": 1, "candidate": False, "thresholds": [2.0]}
    assert concerns(streaming(), model, [entry], data)[0] == (
        "none of the 33 validation samples has a label at any step, so that no epoch is better "
        "than another; give more training samples labels, or set another data.seed"
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("words")
    (x, labels), (test_x, test_labels) = keywords(400, 0), keywords(60, 1)
    (folder / "words.npz").write_bytes(
        npz_bytes(
            {
                "train_input": x,
                "train_labels": labels,
                "test_input": test_x,
                "test_labels": test_labels,
            }
        )
    )
    return folder


@pytest.fixture(scope="module")
def words(folder: Path) -> Dataset:
    return load_dataset(streaming().data, folder)


@pytest.fixture(scope="module")
def listener(words: Dataset) -> Trained:
    return train(streaming(), words)


def test_the_integer_network_answers_at_every_step_as_the_twin_does(
    words: Dataset, listener: Trained
) -> None:
    net, twin, x, labels = listener.network, listener.twin, words.test.x, words.test.y
    assert net is not None
    assert twin is not None
    assert net.readout == "membrane_last_argmax_lowest"
    result = simulate(net, x, trace=net.neurons)
    assert 0 < result.rates["lif1"] < 1
    assert compare(trace(twin, x), result.trace).equal
    answers = result.trace.membranes["li2"].argmax(2)  # [N, T]
    asked = labels >= 0
    share = float((answers == labels)[asked].mean())
    assert share == pytest.approx(accuracy(twin, words.test, objective(streaming(), words)))
    assert share > 0.8  # a third is chance
    assert float((answers[:, -1] == result.prediction).mean()) > 0.5
    np.testing.assert_array_equal(answers[:, -1], result.prediction)
    output, one = net.neurons["li2"], np.array([0, 0, 1], np.int32)
    moved = replace(net, nodes={**net.nodes, "li2": replace(output, bias=output.bias + one)})
    assert not compare(result.trace, simulate(moved, x, trace=moved.neurons).trace).equal


def test_a_trace_has_the_answer_of_every_step(
    words: Dataset, listener: Trained, folder: Path, lehr: Lehr, tmp_path: Path
) -> None:
    """As docs/training/learning.md says it."""
    recipe, net, twin = tmp_path / "mine.toml", listener.network, listener.twin
    assert net is not None
    assert twin is not None
    recipe.write_bytes(to_toml(streaming()))
    nirfile.write(net, tmp_path / "model.nir")
    samples, out = tmp_path / "in.npz", tmp_path / "out.npz"
    ran = lehr("recipes", "samples", recipe, "--data", folder, "-o", samples)
    assert ran.code == 0, ran.err
    ran = lehr("simulate", tmp_path / "model.nir", "-i", samples, "--trace", "all", "-o", out)
    assert ran.code == 0, ran.err
    labels = np.load(samples)["step_labels"]
    np.testing.assert_array_equal(labels, words.test.y)
    answers = np.load(out)["membrane.li2"].argmax(2)
    right = answers[labels >= 0] == labels[labels >= 0]
    spikes, membranes = twin.run(torch.from_numpy(words.test.x).float())
    goal = objective(streaming(), words)
    same = goal.right(spikes, membranes, torch.from_numpy(labels))
    assert 0 < int(same.sum()) < len(same)
    assert int(same.sum()) == int(right.sum())


def test_one_label_a_sample_holds_for_all_its_steps(words: Dataset) -> None:
    def whole(split: Split) -> Split:
        return Split(split.x, split.y.max(1))

    data = replace(
        words,
        train=whole(words.train),
        validation=whole(words.validation),
        test=whole(words.test),
    )
    trained = train(streaming(epochs=1), data)
    goal = objective(streaming(), data)
    spikes, membranes = trained.model.run(torch.from_numpy(data.test.x).float())
    right = goal.right(spikes, membranes, torch.from_numpy(data.test.y))
    assert right.shape == (len(data.test) * STEPS,)
    assert 0 < float(right.float().mean()) < 1


def test_labels_of_steps_need_a_network_that_answers_at_every_step(words: Dataset) -> None:
    fields = streaming().model_dump(exclude_none=True)
    last = fields["network"]["layers"][-1]
    for readout in ("last", "sum"):
        last["readout"] = readout
        with pytest.raises(UsageError) as error:
            objective(Recipe.model_validate(fields), words)
        assert str(error.value) == (
            "labels are given for each of 24 steps, but the network answers once; end it in "
            "integrators of readout 'every', or give one label per sample"
        )
    last["readout"] = "every"
    fields["network"]["steps"] = 25
    with pytest.raises(UsageError) as error:
        objective(Recipe.model_validate(fields), words)
    assert str(error.value) == (
        "labels are given for 24 steps, but network.steps is 25; set them to one number"
    )


@pytest.mark.parametrize(
    ("train_labels", "test_labels", "message"),
    [
        (
            np.full((6, 4), -1),
            np.full((6, 4), -1),
            "train_labels hold -1 at every step, which says no class; give at least one step of a "
            "sample its class",
        ),
        (
            np.zeros((6, 4), int),
            np.zeros(6, int),
            "labels of a training sample are (4,), of a test sample (); give both one label, or "
            "one for each of as many steps",
        ),
        (
            np.full((6, 4), -2),
            np.zeros((6, 4), int),
            "train_labels hold -2 in sample 0; leave out samples that have no class, and number "
            "the classes from 0",
        ),
        (
            np.zeros((6, 4, 1), int),
            np.zeros((6, 4), int),
            "train_labels are int64 [6, 4, 1] for 6 samples; give one integer per sample",
        ),
        (
            np.full(6, -1),
            np.zeros(6, int),
            "train_labels hold -1 in sample 0; leave out samples that have no class, and number "
            "the classes from 0",
        ),
    ],
)
def test_labels_that_say_nothing_are_refused(
    tmp_path: Path, train_labels: Any, test_labels: Any, message: str
) -> None:
    x = np.ones((6, 4, 5), np.uint8)
    arrays = {"train_input": x, "train_labels": train_labels}
    arrays |= {"test_input": x, "test_labels": test_labels}
    (tmp_path / "words.npz").write_bytes(npz_bytes(arrays))
    recipe = streaming().data.model_copy(update={"steps": 4})
    with pytest.raises(FileRefused) as error:
        load_dataset(recipe, tmp_path)
    assert str(error.value).removeprefix(f"{tmp_path / 'words.npz'}").lstrip(": ") == message


INTEGRATOR = 'network.layers.2={type="integrator", features=10}'


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ("train.tet_share=0.1",),
            "train.tet_share is 0.1, but train.objective is 'count'; use 'tet', or leave it out",
        ),
        (
            ("train.tet_share=0.1", "train.objective=tet"),
            "train.tet_share is 0.1, but the last layer fires, and counts of spikes are drawn to "
            "no constant; end in integrators, or leave it out",
        ),
        (
            (INTEGRATOR.replace("}", ', readout="every"}'), "train.objective=tet"),
            "train.objective is 'tet', but network.layers.2.readout is 'every', which asks at "
            "every step already; use 'cross-entropy', or another readout",
        ),
        ((INTEGRATOR.replace("}", ', readout="evry"}'), "train.objective=tet"), ""),
    ],
)
def test_what_contradicts_itself_is_refused(overrides: tuple[str, ...], message: str) -> None:
    message = message or "'network.layers.2.readout' is 'evry'; did you mean 'every'?"
    with pytest.raises(UsageError) as error:
        parse(tiny_toml(), "tiny", overrides)
    assert str(error.value) == f"recipe tiny: {message}"


@pytest.mark.parametrize("overrides", [(), (INTEGRATOR, "train.tet_share=0.05")])
def test_tet_trains_networks_that_fire_and_that_integrate(overrides: tuple[str, ...]) -> None:
    recipe = parse(
        tiny_toml(),
        "tiny",
        ("train.objective=tet", "train.label_smoothing=0.05", "train.epochs=12", *overrides),
    )
    data = load_dataset(recipe.data, None)
    trained = train(recipe, data)
    losses = [entry["loss"] for entry in trained.metrics]
    assert losses[11] < losses[0]
    assert trained.twin is not None
    assert accuracy(trained.twin, data.test, objective(recipe, data)) > 0.2  # a tenth is chance
