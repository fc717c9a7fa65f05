"""WAV files of uncompressed samples.

Source: Microsoft & IBM 1991, "Multimedia Programming Interface and Data Specifications 1.0", its
chapter on RIFF WAVE; Microsoft, "Multiple channel audio data and WAVE files", on the extensible
format, which files of 24 bits and of more than two channels mostly have.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lehr.errors import FileRefused
from lehr.reading import read_bytes

Floats = npt.NDArray[np.float64]

MAX_BYTES = 1 << 28
"""Of a file that is read: 50 minutes of 16 bits at 44.1 kHz."""
_AGAIN = "save it as PCM of 8, 16, 24 or 32 bits"
_PCM, _EXTENSIBLE = 1, 0xFFFE
_SUBFORMAT = bytes.fromhex("000000001000800000aa00389b71")
"""What follows the tag in the identifier of an extensible format."""
_NAMES = {2: "ADPCM", 3: "floating point", 6: "A-law", 7: "mu-law", 17: "IMA ADPCM", 85: "MP3"}


def read_wav(path: Path) -> tuple[Floats, int]:
    """Return the samples of a WAV file, float64 `[T, channels]` from -1 to below 1, and its rate.

    A sample of n bits is divided by 2^(n - 1); those of 8 bits are stored without sign, 128 is 0.
    The rate is in hertz.

    Raises:
        FileRefused: when it is no whole WAV file of PCM of 8, 16, 24 or 32 bits.
    """
    data = read_bytes(path, MAX_BYTES, "cut it into pieces")
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise FileRefused(f"{path} is no WAV file, as it does not begin as one; {_AGAIN}")
    chunks = _chunks(path, data)
    for name in (b"fmt ", b"data"):
        if name not in chunks:
            raise FileRefused(f"{path} has no chunk '{name.decode()}'; {_AGAIN}")
    channels, rate, bits = _format(path, chunks[b"fmt "])
    stored = chunks[b"data"]
    if len(stored) % (channels * bits // 8):
        raise FileRefused(
            f"{path} has {len(stored):,} bytes of samples, no multiple of {channels} channels of "
            f"{bits} bits; {_AGAIN}"
        )
    return _values(stored, bits).reshape(-1, channels), rate


def _chunks(path: Path, data: bytes) -> dict[bytes, bytes]:
    """Return the first chunk of each name, up to that of the samples."""
    chunks: dict[bytes, bytes] = {}
    at = 12
    while b"data" not in chunks and at + 8 <= len(data):
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        body = data[at + 8 : at + 8 + size]
        if len(body) < size:
            raise FileRefused(
                f"{path} ends early: chunk {name.decode('latin-1')!r} is said to have {size:,} "
                f"bytes, and has {len(body):,}; get it again whole"
            )
        chunks.setdefault(name, body)
        at += 8 + size + size % 2
    return chunks


def _format(path: Path, chunk: bytes) -> tuple[int, int, int]:
    """Return channels, rate and bits of a sample."""
    if len(chunk) < 16:
        raise FileRefused(f"{path} has a chunk 'fmt ' of {len(chunk)} bytes, not 16; {_AGAIN}")
    tag, channels, rate, _, block, bits = struct.unpack("<HHIIHH", chunk[:16])
    if tag == _EXTENSIBLE and len(chunk) >= 40 and chunk[26:40] == _SUBFORMAT:
        tag = int.from_bytes(chunk[24:26], "little")
    if tag != _PCM:
        raise FileRefused(
            f"{path} holds {_NAMES.get(tag, f'format {tag:#06x}')}, not PCM; {_AGAIN}"
        )
    if bits not in (8, 16, 24, 32):
        raise FileRefused(f"{path} holds samples of {bits} bits; {_AGAIN}")
    if not channels or not rate or block != channels * bits // 8:
        raise FileRefused(
            f"{path} is said to have {channels} channels of {bits} bits in {block} bytes at "
            f"{rate} Hz, which cannot be; {_AGAIN}"
        )
    return channels, rate, bits


def _values(stored: bytes, bits: int) -> Floats:
    if bits == 8:
        return (np.frombuffer(stored, np.uint8).astype(np.float64) - 128) / 128
    width = bits // 8
    parts = np.frombuffer(stored, np.uint8).reshape(-1, width)
    words = np.zeros((len(parts), 4), np.uint8)
    words[:, 4 - width :] = parts  # the highest bytes, so that 2^31 is 1 for every width
    return words.view("<i4")[:, 0] / 2.0**31
