"""Event recordings: official files become the frames that their format says.

They are written here byte by byte; damaged ones are refused.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from recordings import aedat_bytes, nmnist_bytes

from lehr.errors import FileRefused, UsageError
from lehr.train.data import load_dataset
from lehr.train.data.gesture import read_aedat, read_labels
from lehr.train.data.nmnist import read_events
from lehr.train.recipe import DataRecipe

NMNIST = DataRecipe(name="nmnist", steps=3, step_ms=10)
GESTURE = DataRecipe(name="dvs-gesture", steps=2, step_ms=1, downsample=4)


@pytest.fixture
def official(tmp_path: Path) -> Path:
    """N-MNIST as published, twelve training samples and two test samples.

    The number of a sample is in its events.
    """
    for part, count in (("Train", 12), ("Test", 2)):
        for number in range(1, count + 1):
            path = tmp_path / part / str((number * 7) % 10) / f"{number:05}.bin"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(nmnist_bytes((0, number, 0, 1), (29_999, 33, 33, 0)))
        for digit in range(10):
            (tmp_path / part / str(digit)).mkdir(exist_ok=True)
    return tmp_path


def test_events_fall_into_their_frames(tmp_path: Path) -> None:
    (tmp_path / "1.bin").write_bytes(
        nmnist_bytes(
            (0, 5, 7, 1), (9_999, 5, 7, 1), (10_000, 6, 7, 0), (29_999, 0, 33, 1), (30_000, 1, 1, 1)
        )
    )
    frames = read_events(tmp_path / "1.bin").frames((2, 34, 34), 3, 10)
    # the second event falls where the first did, and a spike is 0 or 1; the last one is too late
    assert np.argwhere(frames).tolist() == [[0, 1, 7, 5], [1, 0, 7, 6], [2, 1, 33, 0]]
    assert frames.max() == 1


def test_more_events_than_a_byte_holds_are_255(tmp_path: Path) -> None:
    times = [(number, 5, 7, 1) for number in range(300)]
    (tmp_path / "1.bin").write_bytes(nmnist_bytes(*times, (10_000, 5, 7, 1), (10_001, 5, 7, 1)))
    frames = read_events(tmp_path / "1.bin").frames((2, 34, 34), 2, 10, 255)
    assert frames[:, 1, 7, 5].tolist() == [255, 2]
    assert frames.astype(int).sum() == 257


def test_counts_of_events_are_no_spikes(official: Path) -> None:
    path = next(official.glob("Test/*/00001.bin"))
    path.write_bytes(nmnist_bytes((2_000, 1, 1, 1), (2_001, 1, 1, 1), (11_500, 3, 4, 0)))
    counted = NMNIST.model_copy(update={"frames": "count"})
    data = load_dataset(counted, official)
    assert (data.kind, data.steps, data.shape) == ("u8", 3, (2, 34, 34))
    assert [(*place, data.test.x[0][tuple(place)]) for place in np.argwhere(data.test.x[0])] == [
        (0, 1, 1, 1, 2),
        (1, 0, 4, 3, 1),
    ]
    moved = load_dataset(counted.model_copy(update={"origin": "first-event"}), official)
    assert np.argwhere(moved.test.x[0]).tolist() == [[0, 0, 4, 3], [0, 1, 1, 1]]
    assert load_dataset(NMNIST, official).kind == "spikes"


def test_overflows_of_the_clock_are_undone(tmp_path: Path) -> None:
    (tmp_path / "1.bin").write_bytes(
        nmnist_bytes((100, 1, 1, 1), (0, 0, 240, 0), (50, 2, 1, 1), (0, 0, 240, 1), (60, 3, 1, 0))
    )
    events = read_events(tmp_path / "1.bin")
    assert events.time.tolist() == [100, 8192 + 50, 2 * 8192 + 60]
    assert events.x.tolist() == [1, 2, 3]
    assert events.polarity.tolist() == [1, 1, 0]


def test_official_folders_are_read_in_the_order_of_mnist(official: Path) -> None:
    data = load_dataset(NMNIST, official)
    assert (data.kind, data.steps, data.shape, data.classes) == ("spikes", 3, (2, 34, 34), 10)
    assert (len(data.train), len(data.validation), len(data.test)) == (11, 1, 2)
    assert data.test.y.tolist() == [7, 4]
    assert np.argwhere(data.test.x).tolist() == [
        [0, 0, 1, 0, 1],
        [0, 2, 0, 33, 33],
        [1, 0, 1, 0, 2],
        [1, 2, 0, 33, 33],
    ]
    numbers = [
        int(np.argmax(x[0, 1, 0])) for split in (data.train, data.validation) for x in split.x
    ]
    labels = [*data.train.y, *data.validation.y]
    assert sorted(numbers) == list(range(1, 13))
    assert labels == [(number * 7) % 10 for number in numbers]


def test_listed_samples_are_the_same_as_official_ones(
    official: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    flat = tmp_path_factory.mktemp("flat") / "nmnist"
    flat.mkdir()
    for part, start in (("train", 0), ("test", 60_000)):
        paths = sorted((official / part.capitalize()).rglob("*.bin"), key=lambda path: path.stem)
        rows = [f"{start + int(path.stem)}\t{path.parent.name}\n" for path in paths]
        (flat / f"{part}1K.txt").write_text("#sample #class\n" + "".join(rows))
        for path in paths:
            (flat / f"{start + int(path.stem)}.bs2").write_bytes(path.read_bytes())
    first, second = load_dataset(NMNIST, official), load_dataset(NMNIST, flat.parent)
    for a, b in (
        (first.train, second.train),
        (first.validation, second.validation),
        (first.test, second.test),
    ):
        assert np.array_equal(a.x, b.x)
        assert np.array_equal(a.y, b.y)


def test_the_seed_of_the_data_draws_the_validation_split(official: Path) -> None:
    arrays = [
        load_dataset(NMNIST.model_copy(update={"seed": seed}), official).validation.x
        for seed in range(6)
    ]
    assert len({x.tobytes() for x in arrays}) > 1
    assert np.array_equal(arrays[0], load_dataset(NMNIST, official).validation.x)


def test_only_what_is_asked_for_is_read(official: Path) -> None:
    order = load_dataset(NMNIST, official)
    missing = int(np.argmax(order.train.x[-1, 0, 1, 0]))
    next(official.glob(f"Train/*/{missing:05}.bin")).write_bytes(b"")
    assert np.array_equal(
        load_dataset(NMNIST.model_copy(update={"train_samples": 10}), official).train.x,
        order.train.x[:10],
    )
    with pytest.raises(FileRefused, match="has 0 bytes"):
        load_dataset(NMNIST, official)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "1.bin has 0 bytes, which are no events of 5 bytes; get it again"),
        (bytes(7), "1.bin has 7 bytes, which are no events of 5 bytes; get it again"),
        (
            nmnist_bytes((0, 1, 1, 1), (0, 34, 2, 1)),
            "1.bin has an event at column 34, row 2 of 34x34 pixels; get it again",
        ),
    ],
)
def test_damaged_events_are_refused(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "1.bin").write_bytes(data)
    with pytest.raises(FileRefused) as caught:
        read_events(tmp_path / "1.bin")
    assert str(caught.value) == f"{tmp_path}/{message}"


@pytest.mark.parametrize(
    ("lists", "error", "message"),
    [
        (
            {},
            UsageError,
            "has no folder Train, and 0 lists train*.txt; unpack nmnist's Train.zip and Test.zip "
            "there, or fetch them with --download",
        ),
        (
            {"train.txt": "1 0\n", "test.txt": "x\n"},
            FileRefused,
            "test.txt is no table of sample and class (",
        ),
        (
            {"train.txt": "1 0\n", "test.txt": "1 10\n"},
            FileRefused,
            "test.txt has a class that is not 0 to 9; get it again from its official source",
        ),
        (
            {"train.txt": "1 0\n2 1\n", "test.txt": "1 0\n"},
            UsageError,
            ".bs2 does not exist, but is listed; get all samples of nmnist",
        ),
    ],
)
def test_wrong_lists(
    tmp_path: Path, lists: dict[str, str], error: type[Exception], message: str
) -> None:
    for name, text in lists.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(error) as caught:
        load_dataset(NMNIST, tmp_path)
    assert message in str(caught.value)


@pytest.fixture
def gestures(tmp_path: Path) -> Path:
    """DVS128 Gesture as published: two recordings, of two gestures and one."""
    folder = tmp_path / "DvsGesture"
    folder.mkdir()
    (folder / "trials_to_train.txt").write_text("user01_led.aedat\n")
    (folder / "trials_to_test.txt").write_text("user02_led.aedat\n\n")
    early = [
        (99, 0, 0, 0),
        (100, 4, 8, 1),
        (1_099, 127, 126, 0),
        (1_100, 127, 0, 1),
        (5_000, 60, 60, 1),
    ]
    (folder / "user01_led.aedat").write_bytes(aedat_bytes((0, early[:3]), (0, early[3:])))
    (folder / "user01_led_labels.csv").write_text(
        "class,startTime_usec,endTime_usec\n3,100,2100\n11,5000,6000\n"
    )
    (folder / "user02_led.aedat").write_bytes(aedat_bytes((1, [(10, 1, 2, 1)])))
    (folder / "user02_led_labels.csv").write_text(
        f"class,startTime_usec,endTime_usec\n1,{2**31},{2**31 + 100}\n"
    )
    return tmp_path


def test_gestures_start_with_their_label(gestures: Path) -> None:
    data = load_dataset(GESTURE, gestures)
    assert (data.kind, data.steps, data.shape, data.classes) == ("spikes", 2, (2, 32, 32), 11)
    by_label = {
        int(y): np.argwhere(x).tolist()
        for split in (data.train, data.validation)
        for x, y in zip(split.x, split.y, strict=True)
    }
    assert by_label == {2: [[0, 0, 31, 31], [0, 1, 2, 1], [1, 1, 0, 31]], 10: [[0, 1, 15, 15]]}
    # the clock of the second recording has run over once
    assert (data.test.y.tolist(), np.argwhere(data.test.x).tolist()) == ([0], [[0, 0, 1, 0, 0]])


def test_byte_order_marks_of_lists_and_tables_are_left_out(gestures: Path) -> None:
    whole = load_dataset(GESTURE, gestures)
    for name in ("trials_to_train.txt", "user01_led_labels.csv", "user02_led_labels.csv"):
        path = gestures / "DvsGesture" / name
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    marked = load_dataset(GESTURE, gestures)
    for first, second in ((whole.train, marked.train), (whole.test, marked.test)):
        assert np.array_equal(first.x, second.x)
        assert np.array_equal(first.y, second.y)


def test_gestures_are_counted(gestures: Path) -> None:
    counted = GESTURE.model_copy(update={"frames": "count", "step_ms": 2})
    data = load_dataset(counted, gestures)
    assert data.kind == "u8"
    by_label = {
        int(y): sorted(x[x > 0].tolist())
        for split in (data.train, data.validation)
        for x, y in zip(split.x, split.y, strict=True)
    }
    assert by_label == {2: [1, 1, 1], 10: [1]}
    whole = load_dataset(counted.model_copy(update={"downsample": 128}), gestures)
    assert sorted(int(x.sum()) for x in (*whole.train.x, *whole.validation.x)) == [1, 3]
    assert max(whole.train.x.max(), whole.validation.x.max()) == 2


def test_other_events_and_invalid_ones_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.aedat"
    special = aedat_bytes((0, [(1, 1, 1, 1)]), kind=0)
    polarity = aedat_bytes((0, [(2, 2, 2, 1), (3, 3, 3, 0)]))
    body = polarity.partition(b"#!END-HEADER\r\n")[2]
    path.write_bytes(special + body)
    assert read_aedat(path).time.tolist() == [2, 3]
    changed = bytearray(body)
    changed[24] = 1  # one of the two is valid ...
    changed[28] &= 0xFE  # ... and it is not the first
    path.write_bytes(special + bytes(changed))
    assert read_aedat(path).time.tolist() == [3]
    changed[24] = (
        2  # the packet says that both are, as some writers do who leave the bits of events 0
    )
    path.write_bytes(special + bytes(changed))
    assert read_aedat(path).time.tolist() == [2, 3]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            b"#!AER-DAT2.0\r\n",
            "starts with b'#!AER-DAT2.0', not as an AEDAT 3.1 file; give one of that version",
        ),
        (
            aedat_bytes((0, [(1, 1, 1, 1)]))[:-1],
            "is cut short at byte 89: a packet of 1 events begins there; get it again",
        ),
        (aedat_bytes((0, [(1, 1, 1, 1)]))[:-9], "is cut short at byte 61; get it again"),
        (
            aedat_bytes((0, [(1, 128, 3, 1)])),
            "has an event at column 128, row 3 of 128x128 pixels; get it again",
        ),
        (
            aedat_bytes((0, [(1, 1, 1, 1)]), width=4),
            "has polarity events of 4 bytes at byte 89, not 8; get it again",
        ),
        (
            aedat_bytes((0, [])) + b"\1" * 28,
            "is cut short at byte 117: a packet of 16,843,009 events begins there; get it",
        ),
    ],
)
def test_damaged_recordings_are_refused(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "a.aedat"
    path.write_bytes(data)
    with pytest.raises(FileRefused) as caught:
        read_aedat(path)
    assert str(caught.value).startswith(f"{path} {message}")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (b"", r"has rows of shape \(0, 3?1?\), and is no table of class, start and end"),
        (b"12,0,1\n", "has a class that is not 1 to 11"),
        (b"1,0,9\n2,20,19\n", "gesture 2 lasts from 20 to 19 us, which is no time"),
        (b"1,5,5\n", "gesture 1 lasts from 5 to 5 us, which is no time"),
        (b"1,-5,5\n", "gesture 1 lasts from -5 to 5 us, which is no time"),
        (b"1,0,99999999999999999999\n", r"is no table of class, start and end \(.*\)"),
        (b"1,0\n", r"has rows of shape \(1, 2\), and is no table of class, start and end"),
        (
            b"1,0,x\n",
            r"is no table of class, start and end \(could not convert string 'x' to int64 at row 0, column 3.\)",
        ),
        (
            b"\xff,0,1\n",
            r"is no table of class, start and end \('utf-8' codec can't decode byte 0xff.*\)",
        ),
    ],
)
def test_wrong_tables_of_gestures(tmp_path: Path, rows: bytes, message: str) -> None:
    (tmp_path / "a.csv").write_bytes(b"class,start,end\n" + rows)
    with pytest.raises(
        FileRefused, match=f"a.csv:? {message}; get it again from its official source$"
    ):
        read_labels(tmp_path / "a.csv")


@pytest.mark.parametrize(
    "first",
    ["class,start,end\n", "", "\ufeff", "# class, start, end\n", "\ufeffclass,start,end\r\n"],
)
def test_a_table_has_all_of_its_gestures_with_and_without_a_header(
    tmp_path: Path, first: str
) -> None:
    (tmp_path / "a.csv").write_text(f"{first}1, 100,200\n2,300,400\n", encoding="utf-8")
    assert read_labels(tmp_path / "a.csv").tolist() == [[1, 100, 200], [2, 300, 400]]


@pytest.mark.parametrize("first", ["1.5,100,200", "1e0,100,200", "one,100,200", "class,start,200"])
def test_a_first_row_that_is_no_header_is_not_left_out(tmp_path: Path, first: str) -> None:
    (tmp_path / "a.csv").write_text(f"{first}\n2,300,400\n")
    with pytest.raises(
        FileRefused, match=r"a.csv is no table of class, start and end \(could not convert string"
    ):
        read_labels(tmp_path / "a.csv")


def test_a_gesture_in_which_nothing_was_recorded_is_no_silent_sample(gestures: Path) -> None:
    labels = gestures / "DvsGesture" / "user01_led_labels.csv"
    labels.write_text("class,startTime_usec,endTime_usec\n3,100,2100\n11,5001,6000\n")
    with pytest.raises(
        FileRefused,
        match="user01_led.aedat has no event from 5,001 to 6,000 us, where a gesture should be; get it again",
    ):
        load_dataset(GESTURE, gestures)


def test_missing_recordings_are_named(gestures: Path) -> None:
    (gestures / "DvsGesture" / "user02_led.aedat").unlink()
    with pytest.raises(
        UsageError,
        match="DvsGesture has no user02_led.aedat; unpack the official DvsGesture.tar.gz there, or let --download do so$",
    ):
        load_dataset(GESTURE, gestures)
    (gestures / "DvsGesture" / "trials_to_train.txt").write_text("../secret.aedat\n")
    with pytest.raises(UsageError, match="has no ../secret.aedat"):
        load_dataset(GESTURE, gestures)


@pytest.mark.skipif(
    "LEHR_DATA" not in os.environ,
    reason="LEHR_DATA names no folder with N-MNIST and DVS128 Gesture files",
)
def test_real_files() -> None:
    folder = Path(os.environ["LEHR_DATA"])
    data = load_dataset(DataRecipe(name="nmnist", steps=15, step_ms=20), folder)
    assert (len(data.train), len(data.validation), len(data.test)) == (917, 83, 100)
    assert np.bincount(data.test.y).tolist() == [8, 14, 8, 11, 14, 7, 10, 15, 2, 11]
    assert 0.02 < data.train.x.mean() < 0.1
    hand_made = folder / "dvsgesture_fixtures" / "aedat3_for_testing"
    events = read_aedat(hand_made.with_suffix(".aedat"))
    assert events.time.tolist() == [15, 88, 1254, 1265, 1288]
    assert events.x.tolist() == [127, 18, 15, 28, 17]
    assert read_labels(hand_made.with_name("aedat3_for_testing_labels.csv")).tolist() == [
        [4, 15, 90],
        [6, 1254, 1300],
    ]
