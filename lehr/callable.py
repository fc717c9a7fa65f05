"""Packages that are called as the functions that they are named after.

So there is lehr.simulate(net, x) beside lehr.simulate.engines.
"""

from __future__ import annotations

import inspect
import sys
from importlib import import_module
from types import ModuleType
from typing import Any


class CallablePackage(ModuleType):
    """A package of lehr that stands for the function of the same name in lehr.api, too."""

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(self._function)

    @property
    def _function(self) -> Any:
        return getattr(import_module("lehr.api"), self.__name__.rpartition(".")[2])

    @property
    def __doc__(self) -> str:  # type: ignore[override]
        """Describe the function first, and then the package."""
        function, own = self._function, self.__dict__.get("__doc__") or ""
        called = f"{function.__name__}{inspect.signature(function)}"
        return f"{called}\n\n{inspect.getdoc(function)}\n\n{own}"

    def __call__(self, *values: Any, **named: Any) -> Any:
        """Call the function."""
        return self._function(*values, **named)


def make_callable(package: str) -> None:
    """Let an imported package, by its whole name, be called."""
    sys.modules[package].__class__ = CallablePackage
