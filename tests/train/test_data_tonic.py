"""tonic: our frames are those of its ToFrame, and recipes may name its transforms."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from commands import Lehr
from tiny import tiny_recipe

from lehr.errors import ToolMissing, UsageError
from lehr.train.data import load_dataset
from lehr.train.data.frames import CameraEvents, camera_frames
from lehr.train.data.nmnist import read_events
from lehr.train.recipe import DataRecipe
from lehr.train.recipefile import parse, to_toml

needs_tonic = pytest.mark.skipif(
    importlib.util.find_spec("tonic") is None,
    reason="tonic is not installed: pip install 'lehr[tonic]'",
)
DATA = os.environ.get("LEHR_DATA")
DENOISE = {"name": "Denoise", "filter_time": 2_000}
REFRACTORY = {"name": "RefractoryPeriod", "delta": 3_000}
HOT = {"name": "DropPixel", "hot_pixel_frequency": 50}


def records(events: CameraEvents) -> npt.NDArray[np.void]:
    """Return events as tonic takes them."""
    table = np.zeros(len(events.time), [(name, np.int64) for name in "xytp"])
    columns = (events.x, events.y, events.time, events.polarity)
    for name, column in zip("xytp", columns, strict=True):
        table[name] = column
    return table


def tonic_frames(
    events: CameraEvents, size: int, steps: int, step_us: int
) -> npt.NDArray[np.int64]:
    """tonic's counts of events, `[steps, 2, size, size]`."""
    from tonic.transforms import ToFrame

    cut = ToFrame((size, size, 2), time_window=step_us, start_time=0, end_time=steps * step_us)
    return np.asarray(cut(records(events)), np.int64)


def random_events(seed: int, count: int = 400, size: int = 12, until: int = 60_000) -> CameraEvents:
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, size, (2, count))
    return CameraEvents(np.sort(rng.integers(0, until, count)), x, y, rng.integers(0, 2, count))


@needs_tonic
@pytest.mark.parametrize("seed", range(5))
def test_frames_of_random_events_are_those_of_tonic(seed: int) -> None:
    events = random_events(seed)
    expected = tonic_frames(events, 12, 10, 5_000)
    assert expected.max() > 1  # where several events fall together, a frame of ours has a 1
    assert np.array_equal(events.frames((2, 12, 12), 10, 5), np.minimum(expected, 1))
    moved = CameraEvents(np.maximum(events.time - 5_000, 0), events.x, events.y, events.polarity)
    assert not np.array_equal(moved.frames((2, 12, 12), 10, 5), np.minimum(expected, 1))


@needs_tonic
@pytest.mark.parametrize("seed", range(3))
def test_counts_and_the_first_event_as_time_0_are_tonic_s(seed: int) -> None:
    """tonic counts, and starts at the first event where it is told no time."""
    from tonic.transforms import ToFrame

    late = random_events(seed)
    events = CameraEvents(late.time + 7_301, late.x, late.y, late.polarity)
    recipe = DataRecipe(name="nmnist", steps=10, step_ms=5, frames="count", origin="first-event")
    expected = np.asarray(ToFrame((12, 12, 2), time_window=5_000)(records(events)), np.int64)[:10]
    assert expected.max() > 1
    assert np.array_equal(camera_frames(events, recipe, (12, 12)), expected)
    for key, other in (("frames", "binary"), ("origin", "recording")):
        ours = camera_frames(events, recipe.model_copy(update={key: other}), (12, 12))
        assert ours.any()
        assert not np.array_equal(ours, expected)


@needs_tonic
@pytest.mark.skipif(DATA is None, reason="LEHR_DATA names no folder with N-MNIST files")
def test_frames_of_real_recordings_are_those_of_tonic() -> None:
    assert DATA
    for number in range(1, 101):
        events = read_events(Path(DATA) / "nmnist" / f"{number}.bs2")
        assert len(events.time) > 1_000
        ours = events.frames((2, 34, 34), 15, 20)
        assert ours.any()
        assert np.array_equal(ours, np.minimum(tonic_frames(events, 34, 15, 20_000), 1)), number


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """N-MNIST as published, of random events."""
    for part, count in (("Train", 12), ("Test", 4)):
        for number in range(count):
            events = random_events(number)
            data = b"".join(
                bytes((x, y)) + (p << 23 | t).to_bytes(3, "big")
                for t, x, y, p in zip(
                    *(a.tolist() for a in (events.time, events.x, events.y, events.polarity)),
                    strict=True,
                )
            )
            path = tmp_path / part / str(number % 10) / f"{number:05}.bin"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    return tmp_path


def recipe(*transforms: dict[str, Any], **more: Any) -> DataRecipe:
    return DataRecipe.model_validate(
        {"name": "nmnist", "steps": 12, "step_ms": 5, "transforms": transforms, **more}
    )


@needs_tonic
def test_transforms_of_a_recipe_are_tonics_in_their_order(folder: Path) -> None:
    plain = load_dataset(recipe(), folder).test.x
    arrays = {
        names: load_dataset(recipe(*keys), folder).test.x
        for names, keys in {
            "denoised": (DENOISE,),
            "refractory": (REFRACTORY,),
            "hot": (HOT,),
            "both": (DENOISE, REFRACTORY),
            "other": (REFRACTORY, DENOISE),
        }.items()
    }
    for x in arrays.values():
        assert 0 < x.sum() < plain.sum()
        assert (x <= plain).all()
    assert len({x.tobytes() for x in arrays.values()}) == 5
    # an event stays if its pixel had none in the 3 ms before it, counting those that are dropped,
    # and one just before time 0
    events, kept = random_events(0), []
    last: dict[tuple[int, int], int] = {}
    for index, (t, x, y) in enumerate(
        zip(events.time.tolist(), events.x.tolist(), events.y.tolist(), strict=True)
    ):
        if t - last.get((x, y), -3_000) > 3_000:
            kept.append(index)
        last[x, y] = t
    expected = CameraEvents(
        events.time[kept], events.x[kept], events.y[kept], events.polarity[kept]
    ).frames((2, 34, 34), 12, 5)
    assert np.array_equal(arrays["refractory"][0], expected)


@needs_tonic
def test_transforms_come_before_downsampling_and_may_leave_nothing(folder: Path) -> None:
    small = load_dataset(recipe(DENOISE, downsample=2), folder).test.x
    large = load_dataset(recipe(DENOISE), folder).test.x
    assert np.array_equal(small, large.reshape(*large.shape[:3], 17, 2, 17, 2).max(axis=(4, 6)))
    nothing = {"name": "DropPixel", "hot_pixel_frequency": 0.001}
    assert not load_dataset(recipe(nothing, DENOISE), folder).test.x.any()


def test_without_tonic_the_message_says_how_to_get_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, lehr: Lehr
) -> None:
    monkeypatch.setitem(sys.modules, "tonic", None)
    message = (
        "data.transforms are computed by tonic, which is not installed; pip install 'lehr[tonic]'"
    )
    with pytest.raises(ToolMissing) as error:
        load_dataset(recipe(DENOISE), folder)
    assert str(error.value) == message
    keys = (
        "data.name=nmnist",
        "data.steps=12",
        "data.step_ms=5",
        'data.transforms=[{name="Denoise", filter_time=2000}]',
    )
    sets = [part for key in keys for part in ("--set", key)]
    ran = lehr("recipes", "samples", "digits", *sets, "--data", folder, "-o", folder / "in.npz")
    assert (ran.code, ran.err) == (6, f"error: {message}\n")
    assert load_dataset(recipe(), folder).test.x.any()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            '[{name="Drop"}]',
            "'data.transforms.0.name' is 'Drop'; use 'Denoise', 'RefractoryPeriod', 'DropPixel'",
        ),
        ('[{name="Denoise"}]', "'data.transforms.0.filter_time' is missing; add it"),
        (
            '[{name="Denoise", filter_time=0}]',
            "'data.transforms.0.filter_time' is 0; give at least 1",
        ),
        (
            '[{name="DropPixel", hot_pixel_frequency=9, p=1}]',
            "unknown key 'data.transforms.0.p' (value 1); remove it or correct its spelling",
        ),
    ],
)
def test_wrong_transforms(lehr: Lehr, tmp_path: Path, value: str, message: str) -> None:
    ran = lehr(
        "recipes",
        "samples",
        "nmnist",
        "--set",
        f"data.transforms={value}",
        "--data",
        tmp_path,
        "-o",
        tmp_path / "in.npz",
    )
    assert ran.code == 2
    assert message in ran.err


def test_a_run_keeps_its_transforms() -> None:
    changed = tiny_recipe().model_copy(update={"data": recipe(DENOISE, HOT)})
    assert parse(to_toml(changed).decode(), "recipe.toml") == changed


def test_other_data_sets_take_no_transforms() -> None:
    data = DataRecipe.model_validate({"name": "digits", "transforms": [DENOISE]})
    with pytest.raises(
        UsageError, match=r"^data.transforms is .*, which data set digits does not take; remove it$"
    ):
        load_dataset(data, None)
