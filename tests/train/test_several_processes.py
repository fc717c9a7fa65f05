"""Two processes train one network: with the gradients of one process, and to the same bits again.

`tests/cli/test_torchrun.py` has the command; here the processes are forked.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from one_batch import Arrays, first_batches
from tiny import SETTINGS, tiny_recipe
from together import together
from torch import Tensor, nn
from training_kinds import KINDS
from training_kinds import recipe as recipe_of_kind

from lehr.errors import UsageError
from lehr.export.checkpoint import load_run
from lehr.launched import Ended
from lehr.simulate import simulate
from lehr.train import processes
from lehr.train.data import Dataset, load_dataset
from lehr.train.floats import batch_norm
from lehr.train.recipe import Recipe
from lehr.train.runs import progress as progress_module
from lehr.train.runs.one_training import require_one_network, require_one_training
from lehr.train.runs.progress import Progress, progress_folder
from lehr.train.runs.running import TrainedRun, kept_progress, train_run

PENALISED = "a penalty on rates"


def asked(kind: str, batch_size: int) -> Recipe:
    """Return a recipe of that kind."""
    if kind == PENALISED:
        settings = {**SETTINGS, "train": {**SETTINGS["train"], "rate_penalty": {"target": 0.05}}}
    else:
        settings = recipe_of_kind(kind).model_dump(mode="json", exclude_none=True)
    settings = json.loads(json.dumps(settings))
    settings["data"]["train_samples"] = 96
    settings["train"]["batch_size"] = batch_size
    return Recipe.model_validate(settings)


def flat(kept: Arrays, of: str) -> Any:
    return np.concatenate([kept[name].ravel() for name in sorted(kept) if name.startswith(of)])


def distance(some: Any, others: Any) -> float:
    return float(np.linalg.norm(some - others) / np.linalg.norm(others))


@pytest.mark.few(3)
@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("kind", [*KINDS, PENALISED])
def test_gradients_are_those_of_one_process(kind: str, count: int, tmp_path: Path) -> None:
    # of 96 samples, so that the last batch has one, and a process none; but a batch of one has no
    # variance at a step
    by_step = kind == "delays"
    recipe = asked(kind, 31 if by_step else 19)
    batches = 4 if by_step else 6

    def run() -> None:
        kept = first_batches(recipe, batches)
        np.savez(tmp_path / f"{processes.rank()}.npz", allow_pickle=False, **kept)

    together(count, run)
    one = first_batches(recipe, batches)
    each = [dict(np.load(tmp_path / f"{rank}.npz")) for rank in range(count)]
    assert all(kept.keys() == one.keys() for kept in each)
    for batch in range(batches):
        whole = flat(one, f"{batch}.all.")
        assert distance(flat(each[0], f"{batch}.all."), whole) < 1e-5
        rates = one[f"{batch}.rates"]
        assert (rates > 0).all()
        assert (rates < 1).all()
        for kept in each:
            assert (kept[f"{batch}.rates"] == rates).all()
            assert (flat(kept, f"{batch}.all.") == flat(each[0], f"{batch}.all.")).all()
        if batch < batches - 1:  # what a process has before the gradients are added up
            assert min(distance(flat(kept, f"{batch}.mine."), whole) for kept in each) > 0.1
    last = f"{batches - 1}.mine."
    assert by_step or not flat(each[-1], last).any()
    thresholds = [name for name in one if name.endswith("threshold")]
    assert thresholds
    for name in thresholds:
        assert np.allclose(each[0][name], one[name], rtol=1e-5)


@pytest.mark.parametrize("shape", [(3,), (3, 2, 2)])
def test_batch_norm_is_that_of_the_whole_batch(shape: tuple[int, ...], tmp_path: Path) -> None:
    chance = torch.Generator().manual_seed(1)
    x = 3 + 2 * torch.randn(4, *shape, generator=chance, dtype=torch.float64)
    given = torch.randn(4, *shape, generator=chance, dtype=torch.float64)

    def normed(norm: nn.Module, mine: slice) -> dict[str, Tensor]:
        part = x[mine].clone().requires_grad_()
        out = norm.double()(part)
        (out * given[mine]).sum().backward()
        assert part.grad is not None
        return {"out": out.detach(), "grad": part.grad}

    def run() -> None:
        norm = (batch_norm.BatchNorm1d if len(shape) == 1 else batch_norm.BatchNorm2d)(3)
        kept = normed(norm, processes.Part.of(4).mine)
        processes.add_gradients(norm.parameters())
        grads = {f"grad.{name}": p.grad for name, p in norm.named_parameters()}
        torch.save({**kept, **grads, **norm.state_dict()}, tmp_path / str(processes.rank()))

    together(5, run)  # the last one has no samples
    norm = (nn.BatchNorm1d if len(shape) == 1 else nn.BatchNorm2d)(3)
    whole: dict[str, Any] = {**normed(norm, slice(None)), **norm.state_dict()}
    whole |= {f"grad.{name}": p.grad for name, p in norm.named_parameters()}
    parts = [torch.load(tmp_path / str(rank)) for rank in range(5)]
    assert [len(part["out"]) for part in parts] == [1, 1, 1, 1, 0]
    for name in ("out", "grad"):
        assert torch.allclose(torch.cat([part[name] for part in parts]), whole.pop(name))
    assert whole["running_var"].std() > 0.01
    for name, value in whole.items():
        for part in parts:
            assert torch.allclose(part[name], value, atol=1e-12), name


def rate_controlled() -> Recipe:
    """Return a recipe whose thresholds depend on the rates of every batch."""
    settings = json.loads(json.dumps(SETTINGS))
    for layer, start in zip(settings["network"]["layers"], (0.7, 0.7, 1.5), strict=True):
        layer["threshold"] = {"start": start, "schedule": "rate-controlled", "floor": 0.25}
        layer["dropout"] = 0.1
    settings["train"]["batch_size"] = 36  # of 192: the last one has 12
    return Recipe.model_validate(settings)


def trained(recipe: Recipe, folder: Path, resume: bool = False) -> TrainedRun:
    return train_run(
        recipe, load_dataset(recipe.data, None), folder, kept_progress(folder, recipe, resume)
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir()) if file.is_file()}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the run of two processes."""
    run = tmp_path_factory.mktemp("pair") / "run"
    together(2, lambda: trained(rate_controlled(), run))
    return run


def state_of(run: Path) -> dict[str, Any]:
    state: dict[str, Any] = json.loads((run / "state.json").read_text("utf-8"))
    return state


def test_thresholds_go_by_the_rates_of_all_processes(pair: Path, tmp_path: Path) -> None:
    one = trained(rate_controlled(), tmp_path / "one")
    metrics = [json.loads(line) for line in (pair / "metrics.jsonl").read_text().splitlines()]
    moved = [entry["thresholds"] for entry in metrics if entry["phase"] == "A"]
    assert moved == [e["thresholds"] for e in one.trained.metrics if e["phase"] == "A"]
    # of 18 batches some have raised the second layer, and others not
    assert 0.7 * 1.01**2 < moved[-1][1] < 0.7 * 1.01**16
    network = load_run(pair).network
    data = load_dataset(rate_controlled().data, None)
    assert all(0 < rate < 1 for rate in simulate(network, data.test.x).rates.values())
    assert one.trained.network is not None
    for name, neuron in network.neurons.items():
        assert np.allclose(neuron.threshold, one.trained.network.neurons[name].threshold, rtol=0.1)
    assert state_of(pair)["processes"] == 2
    assert state_of(tmp_path / "one")["processes"] == 1


def test_a_killed_process_leaves_what_goes_on_to_the_same_bits(
    pair: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_module, "SHARE", 1)  # every epoch is kept
    recipe, run = rate_controlled(), tmp_path / "run"

    def killed() -> None:
        def report(entry: dict[str, Any]) -> None:
            if entry["epoch"] == 3 and processes.rank() == 1:
                os.kill(os.getpid(), signal.SIGKILL)

        kept = kept_progress(run, recipe, resume=False)
        with pytest.raises(Ended, match="another process of this training was ended"):
            train_run(recipe, load_dataset(recipe.data, None), run, kept, report)

    together(2, killed, ends=(0, -signal.SIGKILL))
    assert not run.exists()
    kept = json.loads((progress_folder(run) / "progress.json").read_text("utf-8"))
    assert kept["processes"] == 2
    assert kept["epoch"] in (2, 3)
    with pytest.raises(
        UsageError,
        match=r"run\.unfinished was trained by 2 processes, and this training has 1; go on in 2 "
        "processes of torchrun, or remove it",
    ):
        trained(recipe, run, resume=True)
    together(2, lambda: trained(recipe, run, resume=True))
    assert contents(run) == contents(pair)
    assert contents(run / "last") == contents(pair / "last")
    assert not progress_folder(run).exists()


def test_progress_of_one_process_is_not_taken_up_by_two(tmp_path: Path) -> None:
    recipe, run = tiny_recipe(), tmp_path / "run"

    def stop(entry: dict[str, Any]) -> None:
        if entry["epoch"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_run(recipe, load_dataset(recipe.data, None), run, None, stop)

    def refused() -> None:
        with pytest.raises(UsageError if processes.first() else Ended) as error:
            trained(recipe, run, resume=True)
        if processes.first():
            assert (
                "run.unfinished was trained by 1 process, and this training has 2; go on without "
                "torchrun, or remove it" in str(error.value)
            )
            os._exit(0)  # the other one waits for this

    together(2, refused)


def other_data() -> Dataset:
    settings = json.loads(json.dumps(SETTINGS))
    settings["data"]["train_samples"] = 191
    return load_dataset(Recipe.model_validate(settings).data, None)


def _begin(recipe: Recipe | None = None, data: Dataset | None = None, epoch: int = 0) -> None:
    recipe = recipe or tiny_recipe()
    progress = Progress(None, recipe, epoch=epoch)
    require_one_training(recipe, data or load_dataset(recipe.data, None), progress)


def _other_network() -> None:
    network = nn.Linear(3, 2)
    require_one_network(network, "after epoch 1 of phase A")
    if processes.rank() == 1:
        with torch.no_grad():
            network.weight[0, 0].mul_(1 + 1e-7)
    require_one_network(network, "after epoch 2 of phase A")


@pytest.mark.parametrize(
    ("first", "other", "sentence"),
    [
        (
            _begin,
            lambda: _begin(tiny_recipe().model_copy(update={"seed": 6})),
            "process 1 has another recipe than process 0; give all of them one command",
        ),
        (
            _begin,
            lambda: _begin(data=other_data()),
            "process 1 has other data than process 0; give all machines the same files",
        ),
        (
            _begin,
            lambda: _begin(epoch=1),
            "process 1 has other progress of an unfinished run than process 0; let all machines "
            "see one output folder",
        ),
        (
            _other_network,
            _other_network,
            "process 1 has another network after epoch 2 of phase A than process 0; use machines "
            "of one kind, whose processors sum floats alike",
        ),
    ],
)
def test_processes_that_differ_are_refused(
    first: Callable[[], None], other: Callable[[], None], sentence: str
) -> None:
    def run() -> None:
        _begin()
        with pytest.raises(UsageError) as error:
            (other if processes.rank() == 1 else first)()
        assert str(error.value) == sentence

    together(2, run)
