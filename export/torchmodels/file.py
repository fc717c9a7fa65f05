"""A model that a function in a user's own Python file makes."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

from torch import nn

from lehr.errors import UsageError
from lehr.spelling import nearest

MODULE = "lehr_user_model"
"""The name under which the file is imported: `if __name__ == "__main__"` in it is not run."""


def load_model(path: Path, factory: str) -> nn.Module:
    """Import a file, which runs the code in it, and call one of its functions without arguments.

    The file imports its neighbours as it does when it is run; what it prints goes to stderr.

    Args:
        path: of the file.
        factory: name of a function, or a class, that makes the model.

    Raises:
        UsageError: when there is no such file or function, when the code in it fails, or when it
            makes no torch module.
    """
    if not path.is_file():
        raise UsageError(
            f"{path} does not exist; give a Python file and a function in it, as model.py:factory"
        )
    spec = importlib.util.spec_from_file_location(MODULE, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path} is no Python file; give one, as model.py:factory")
    imported = importlib.util.module_from_spec(spec)
    with _imported_from(path.parent), contextlib.redirect_stdout(sys.stderr):
        sys.modules[MODULE] = imported  # where dataclasses look for the module of a class
        try:
            spec.loader.exec_module(imported)
            if not callable(getattr(imported, factory, None)):
                own = [
                    name
                    for name, each in vars(imported).items()
                    if callable(each) and getattr(each, "__module__", "") == MODULE
                ]
                near = nearest(factory, own)
                asked = f"{near} give one that returns the model, as model.py:factory".strip()
                raise UsageError(f"{path} has no function {factory!r}; {asked}")
            model = getattr(imported, factory)()
        except UsageError:
            raise
        except (Exception, SystemExit) as error:
            reason = str(error).partition("\n")[0]
            raise UsageError(
                f"{path}:{factory} failed ({type(error).__name__}: {reason}); run it in Python by "
                "itself to see where"
            ) from error
        finally:
            del sys.modules[MODULE]
    if not isinstance(model, nn.Module):
        raise UsageError(
            f"{path}:{factory} returns {type(model).__name__}, no torch module; return the trained "
            "model"
        )
    return model


@contextlib.contextmanager
def _imported_from(folder: Path) -> Iterator[None]:
    """Let a file import those that lie beside it."""
    sys.path.insert(0, str(folder.resolve()))
    try:
        yield
    finally:
        sys.path.remove(str(folder.resolve()))
