"""Errors of another process, as JSON."""

from __future__ import annotations

import os
import traceback
from collections.abc import Mapping
from typing import Any

from lehr import errors
from lehr.errors import LehrError


def packed(error: Exception) -> dict[str, Any]:
    """Return an error as plain data, for `unpacked`."""
    if isinstance(error, LehrError):
        kind = next(
            kind.__name__ for kind in type(error).__mro__ if vars(errors).get(kind.__name__) is kind
        )
        return {"error": kind, "message": str(error)}
    if isinstance(error, MemoryError):
        return {"error": "MemoryError", "message": ""}
    if isinstance(error, OSError) and error.errno:
        return {
            "error": "OSError",
            "message": [error.errno, error.strerror, error.filename and str(error.filename)],
        }
    if isinstance(error, ImportError):
        return {"error": "ImportError", "message": [str(error), error.name]}
    if os.environ.get("LEHR_DEBUG"):
        traceback.print_exception(error)
    return {"error": "RuntimeError", "message": f"{type(error).__name__}: {error}"}


def unpacked(reply: Mapping[str, Any]) -> Exception:
    """Return the error again; one that is not lehr's own nor of the system is a RuntimeError."""
    kind, message = reply["error"], reply["message"]
    if kind == "MemoryError":
        return MemoryError()
    if kind == "OSError":
        return OSError(*message)
    if kind == "ImportError":
        return ImportError(message[0], name=message[1])
    error: Exception = getattr(errors, kind, RuntimeError)(message)
    return error
