"""Where a run computes.

On the host, or on a GPU with exact integers and the same bits every time.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from strategies import small_network
from tiny import tiny_recipe

from lehr.errors import UsageError
from lehr.simulate import compare, simulate
from lehr.train.data import Dataset, load_dataset
from lehr.train.floats import lif
from lehr.train.learning import loop
from lehr.train.learning.loop import train
from lehr.train.recipe import Recipe
from lehr.train.runs.device import prepared
from lehr.train.runs.progress import Progress
from lehr.train.twin.network import Twin, trace

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


def flags() -> tuple[bool, ...]:
    """What may cost exactness, or bits that come again."""
    cuda, cudnn = cast(Any, torch.backends.cuda.matmul), cast(Any, torch.backends.cudnn)
    return (
        cuda.allow_tf32,
        cudnn.allow_tf32,
        cudnn.benchmark,
        not torch.are_deterministic_algorithms_enabled(),
    )


@pytest.fixture
def careless() -> Iterator[None]:
    """Sets what `prepared` must change, and puts everything back."""
    cuda, cudnn = cast(Any, torch.backends.cuda.matmul), cast(Any, torch.backends.cudnn)
    before = flags()
    cuda.allow_tf32 = cudnn.allow_tf32 = cudnn.benchmark = True
    yield
    cuda.allow_tf32, cudnn.allow_tf32, cudnn.benchmark, _ = before
    torch.use_deterministic_algorithms(False)
    os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None)


def tiny_on(device: str, **keys: object) -> Recipe:
    """The tiny recipe, computed there."""
    recipe = tiny_recipe()
    return recipe.model_copy(
        update={"train": recipe.train.model_copy(update={"device": device, **keys})}
    )


@pytest.fixture(scope="module")
def data() -> Dataset:
    return load_dataset(tiny_recipe().data, None)


def test_without_a_gpu(monkeypatch: pytest.MonkeyPatch, data: Dataset) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert prepared("cpu") == prepared("auto") == torch.device("cpu")
    with pytest.raises(UsageError) as refused:
        train(tiny_on("cuda"), data)
    message = "train.device: cuda, but torch finds no CUDA device; use cpu or auto, or install a torch that is built for CUDA"
    assert str(refused.value) == message


@pytest.mark.parametrize("name", ["cuda", "auto"])
@pytest.mark.usefixtures("careless")
def test_with_a_gpu_nothing_rounds_and_nothing_varies(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert prepared("cpu") == torch.device("cpu")
    assert flags() == (True, True, True, True)
    assert prepared(name) == torch.device("cuda")
    assert flags() == (False, False, False, False)
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


def test_a_batch_is_trained_where_the_recipe_says(
    monkeypatch: pytest.MonkeyPatch, data: Dataset
) -> None:
    """torch's device without memory takes all up to the first number that is read.

    The firing rates of a batch that was trained.
    """
    asked: list[str] = []
    updated: set[str] = set()

    def device(name: str) -> torch.device:
        asked.append(name)
        return torch.device("meta")

    def update(self: torch.optim.Optimizer) -> None:
        updated.update(
            p.grad.device.type for p in self.param_groups[0]["params"] if p.grad is not None
        )

    monkeypatch.setattr(loop, "prepared", device)
    monkeypatch.setattr(torch.optim.Adam, "step", update)
    with pytest.raises(RuntimeError, match="Cannot copy out of meta tensor"):
        train(
            tiny_on("auto", objective="cross-entropy"), data
        )  # the loss of counts reads a number too
    assert asked == ["auto"]
    assert updated == {"meta"}


def test_the_gpus_random_generator_is_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, data: Dataset
) -> None:
    """With one that only tells its state, as no GPU is needed for it to be asked."""
    state = torch.arange(16, dtype=torch.uint8)
    given: list[torch.Tensor] = []
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda: state)
    folder, recipe, keep = tmp_path / "run.unfinished", tiny_recipe(), Progress.keep

    def keep_and_stop(*state: Any) -> None:
        keep(*state)
        raise KeyboardInterrupt

    monkeypatch.setattr(Progress, "keep", keep_and_stop)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, data, progress=Progress.open(folder, recipe, resume=False))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "set_rng_state", given.append)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, data, progress=Progress.open(folder, recipe, resume=True))
    assert [kept.tolist() for kept in given] == [state.tolist()]


@needs_gpu
@pytest.mark.usefixtures("careless")
def test_a_gpu_gives_the_hosts_bits_where_sums_are_exact() -> None:
    device = prepared("cuda")
    net, x = small_network()
    with torch.no_grad():
        spikes, membranes = Twin(net).to(device).layers(torch.from_numpy(x).to(device).float())
    host = trace(Twin(net), x)
    for name, expected in host.spikes.items():
        assert (spikes[name].transpose(0, 1).cpu().numpy() == expected).all(), name
        assert (membranes[name].transpose(0, 1).cpu().numpy() == host.membranes[name]).all(), name
    rule = lif.float_rule(3.0, torch.float32)
    current = torch.randn(50, 4, 300)
    one, other = (
        lif.scan(
            on,
            torch.tensor(0.7, device=on.device),
            torch.tensor(0.1, device=on.device),
            0.93,
            rule,
            50,
        )
        for on in (current, current.to(device))
    )
    assert torch.equal(one[0], other[0].cpu())
    assert torch.equal(one[1], other[1].cpu())


@needs_gpu
@pytest.mark.usefixtures("careless")
def test_training_on_a_gpu(data: Dataset) -> None:
    one, other = (train(tiny_on("cuda"), data) for _ in range(2))
    assert one.metrics == other.metrics
    assert one.network == other.network
    assert one.network is not None
    assert one.twin is not None
    assert next(one.twin.parameters()).is_cuda
    result = simulate(one.network, data.test.x, trace=one.network.neurons)
    compare(result.trace, trace(one.twin.cpu(), data.test.x)).require_equal("twin")
