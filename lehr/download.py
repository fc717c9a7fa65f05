"""A published file, fetched by pooch: whole, and of the digest that is known, or refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol, cast

from lehr.errors import FileRefused

DIGESTS = {"md5": "MD5", "sha256": "SHA-256"}
"""Kinds of digests, and what people call them."""


class Bar(Protocol):
    """What shows how far a transfer is, as pooch drives it: in bytes."""

    @property
    def total(self) -> int: ...  # noqa: D102
    @total.setter
    def total(self, value: int) -> None: ...
    def update(self, n: int) -> Any: ...  # noqa: D102
    def reset(self) -> Any: ...  # noqa: D102
    def close(self) -> Any: ...  # noqa: D102


def fetch(
    address: str, digest: str, into: Path, what: str, way_out: str, bar: Bar | None = None
) -> Path:
    """Fetch one file and compare it with its digest.

    Args:
        address: of the file, http or https.
        digest: that is known of it, as "md5:..." or "sha256:...", in hexadecimal.
        into: the path to write; its folder is there.
        what: the file is, if its digest is the known one, as in "the official file".
        way_out: what the user can do beside trying again.
        bar: shows how far the transfer is.

    Returns:
        `into`.

    Raises:
        FileRefused: when it cannot be fetched, or has another digest; there is no file then.
    """
    import pooch
    from requests import RequestException

    pooch.get_logger().setLevel("WARNING")  # the bar says the rest
    # A server that calls a .gz file an encoding would have it unpacked on the way: ask for its
    # bytes as they are.
    get: Any = pooch.HTTPDownloader(
        progressbar=cast(Any, bar or False),
        chunk_size=1 << 20,
        headers={"Accept-Encoding": "identity"},
    )
    try:
        return Path(pooch.retrieve(address, digest, into.name, into.parent, downloader=get))
    except RequestException as error:
        if error.response is not None:
            error.response.close()  # pooch leaves it open
        raise FileRefused(
            f"{address} cannot be fetched: {_reason(error)}; try again, or {way_out}"
        ) from None
    except ValueError:
        kind, _, value = digest.partition(":")
        raise FileRefused(
            f"{address} is not {what}, whose {DIGESTS[kind]} is {value}; try again, or {way_out}"
        ) from None


def _reason(error: Exception) -> str:
    """Say what went wrong on the way, without the library's own nesting."""
    from requests import exceptions

    match error:
        case exceptions.HTTPError(response=answer) if answer is not None:
            return f"the server says {answer.status_code} {answer.reason}"
        case exceptions.Timeout():
            return "the server does not answer"
        case exceptions.ChunkedEncodingError():
            return "the transfer was cut short"
        case exceptions.ConnectionError():
            return "there is no connection to the server"
        case _:
            return str(error)
