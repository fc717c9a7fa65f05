"""Codes of sequences, WAV files and bands of sounds.

The right values are those of plain loops over single samples, of Python's wave module, and of
scipy's response of a filter.
"""

from __future__ import annotations

import struct
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from budgets import budget
from hypothesis import given
from hypothesis import strategies as st
from scipy.io import wavfile
from scipy.signal import butter, freqz_sos
from sounds import RATE, plainly, tone, write_wav

from lehr.errors import FileRefused
from lehr.sequences.bands import band_edges, band_envelopes
from lehr.sequences.crossings import coded, gathered
from lehr.sequences.keys import Code
from lehr.sequences.wav import read_wav

WALKS = st.lists(st.sampled_from([-3.0, -0.75, -0.5, -0.1, 0.0, 0.2, 0.5, 1.3]), min_size=2)


@pytest.mark.parametrize("code", ["delta", "level-crossing"])
@budget(40, 400)
@given(st.lists(WALKS, min_size=1, max_size=3), st.sampled_from([0.1, 0.5, 0.7, 2.0]))
def test_codes_are_those_of_plain_loops(
    code: Code, walks: list[list[float]], threshold: float
) -> None:
    length = min(map(len, walks))
    values = np.array([np.cumsum(walk[:length]) for walk in walks]).T
    thresholds = np.array([threshold * (1 + c) for c in range(values.shape[1])], np.float64)
    expected = [
        plainly(column.tolist(), float(d), code)
        for column, d in zip(values.T, thresholds, strict=True)
    ]
    events = coded(values, thresholds, code)
    assert events.tolist() == np.concatenate(expected, axis=1).tolist()


def test_codes_by_hand() -> None:
    values = np.array([[0.0], [0.9], [1.0], [1.5], [-0.2], [0.0], [3.1]])
    one = np.array([1.0])
    assert coded(values, one, "delta").T.tolist() == [[0, 0, 1, 0, 0, 0, 1], [0, 0, 0, 0, 1, 0, 0]]
    # level 0 is reached at -0.2 from 1 on; at 0.0 it still is the last one
    assert coded(values, one, "level-crossing").T.tolist() == [
        [0, 0, 1, 0, 0, 0, 3],
        [0, 0, 0, 0, 1, 0, 0],
    ]
    counted = gathered(coded(values, one, "level-crossing"), 3, 3, 255)
    assert counted.tolist() == [[1, 0], [0, 1], [3, 0]]
    assert gathered(coded(values, one, "level-crossing"), 5, 3, 1).tolist() == [
        [1, 0],
        [0, 1],
        [1, 0],
        [0, 0],
        [0, 0],
    ]
    assert gathered(coded(values, one, "delta"), 1, 3, 1).tolist() == [[1, 0]]


def test_thresholds_that_code_nothing_are_refused() -> None:
    values = np.ones((3, 2))
    with pytest.raises(ValueError, match="^the threshold of channel 1 is 0, not > 0$"):
        coded(values, np.array([1.0, 0.0]), "delta")
    with pytest.raises(ValueError, match=r"^channel 0 has values of 2\^31 thresholds of 1e-10 or"):
        coded(values, np.array([1e-10, 1.0]), "level-crossing")


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_wav_of_each_width_and_scipy_agree(tmp_path: Path, width: int) -> None:
    values = np.random.default_rng(width).uniform(-1, 1, (50, 3))
    values[0] = (-1, 1, 0)
    path = write_wav(tmp_path / "a.wav", values, 11025, width)
    read, rate = read_wav(path)
    assert (rate, read.shape) == (11025, (50, 3))
    assert np.abs(read - values).max() <= 2.0 ** (1 - 8 * width)
    _, theirs = wavfile.read(path)
    scale = {1: 128.0, 2: 2.0**15, 3: 2.0**31, 4: 2.0**31}[width]
    assert np.array_equal(read, (theirs.astype(np.float64) - (128 if width == 1 else 0)) / scale)


def riff(fmt: bytes, data: bytes, said: int | None = None) -> bytes:
    size = len(data) if said is None else said
    body = b"WAVEfmt " + struct.pack("<I", len(fmt)) + fmt + b"LIST" + struct.pack("<I", 3)
    body += b"abc\0data" + struct.pack("<I", size) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def fmt(tag: int, channels: int = 1, bits: int = 16, rate: int = RATE) -> bytes:
    block = channels * bits // 8
    return struct.pack("<HHIIHH", tag, channels, rate, rate * block, block, bits)


def test_the_extensible_format_is_read(tmp_path: Path) -> None:
    guid = struct.pack("<HHIH", 22, 24, 4, 1) + bytes.fromhex("000000001000800000aa00389b71")
    path = tmp_path / "a.wav"
    path.write_bytes(riff(fmt(0xFFFE, bits=24) + guid, b"\x01\x00\x00\xff\xff\xff\x00\x00\x80"))
    values, rate = read_wav(path)
    assert rate == RATE
    assert values.ravel().tolist() == [2.0**-23, -(2.0**-23), -1.0]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"RIFX", "is no WAV file, as it does not begin as one"),
        (riff(fmt(2), b"ab"), "holds ADPCM, not PCM"),
        (riff(fmt(3, bits=32), b"abcd"), "holds floating point, not PCM"),
        (riff(fmt(85), b"ab"), "holds MP3, not PCM"),
        (riff(fmt(0x1234), b"ab"), "holds format 0x1234, not PCM"),
        (riff(fmt(0xFFFE), b"ab"), "holds format 0xfffe, not PCM"),
        (riff(fmt(1, bits=12), b"ab"), "holds samples of 12 bits"),
        (
            riff(fmt(1, channels=0), b"ab"),
            "is said to have 0 channels of 16 bits in 0 bytes at 8000 Hz, which cannot be",
        ),
        (
            riff(fmt(1, rate=0), b"ab"),
            "is said to have 1 channels of 16 bits in 2 bytes at 0 Hz, which cannot be",
        ),
        (riff(fmt(1), b"abc"), "has 3 bytes of samples, no multiple of 1 channels of 16 bits"),
        (riff(fmt(1)[:10], b"ab"), "has a chunk 'fmt ' of 10 bytes, not 16"),
        (riff(fmt(1), b"")[:50], "has no chunk 'data'"),
    ],
)
def test_other_wav_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(data)
    with pytest.raises(FileRefused) as refused:
        read_wav(path)
    assert str(refused.value) == f"{path} {message}; save it as PCM of 8, 16, 24 or 32 bits"


def test_wav_that_ends_early_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(riff(fmt(1), b"abcd", 8))
    with pytest.raises(FileRefused) as refused:
        read_wav(path)
    assert str(refused.value) == (
        f"{path} ends early: chunk 'data' is said to have 8 bytes, and has 4; get it again whole"
    )


def test_edges_lie_evenly_on_the_scale_of_bandwidths() -> None:
    edges = band_edges(12, 100, 3600)
    assert (edges[0], edges[-1]) == (100, 3600)
    # the scale is the integral of 1 / ERB(f), ERB(f) = 24.7 (1 + 0.00437 f) (equation 3 there)
    fine = [np.linspace(*pair, 4001) for pair in pairwise(edges)]
    erbs = [float(np.trapezoid(1 / (24.7 * (1 + 0.00437 * f)), f)) for f in fine]
    assert np.ptp(erbs) < 1e-6
    assert erbs[0] * 12 == pytest.approx(22.74, abs=0.01)


def test_a_band_is_as_loud_as_scipy_s_response_says() -> None:
    """Of a steady tone, the rectified half wave has the mean gain / pi."""
    edges = band_edges(6, 100, 3600)
    for hertz in (161.3, 403.7, 1009.3, 2503.7):
        envelopes = band_envelopes(tone(hertz, 2 * RATE), RATE, edges)[RATE:]
        for band in range(6):
            sections = butter(2, edges[band : band + 2], "bandpass", fs=RATE, output="sos")
            at: Any = [hertz]
            response: Any = freqz_sos(sections, at, fs=RATE)[1]
            expected = abs(response[0]) / np.pi
            assert envelopes[:, band].mean() == pytest.approx(expected, rel=0.01, abs=1e-4)
