"""TOML that a user wrote, as a table of keys."""

from __future__ import annotations

import tomllib
from typing import Any

from lehr.errors import UsageError


def table_of(text: str, what: str) -> dict[str, Any]:
    """Read TOML text; `what` names it in messages, such as `recipe my.toml`.

    Raises:
        UsageError: when it is none, with the place.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{what} is not TOML: {error}; correct it there") from None
    except RecursionError:
        raise UsageError(
            f"{what} nests deeper than a {what.partition(' ')[0]} does; correct it there"
        ) from None
