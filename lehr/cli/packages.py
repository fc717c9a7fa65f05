"""What is said where a Python package is missing: which one, and the line that installs it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, requires
from importlib.util import find_spec

_OTHER_NAMES: Mapping[str, str] = {"sklearn": "scikit-learn"}
"""Packages that pip calls otherwise than Python does."""
_REQUIREMENT = re.compile(r"(?P<package>[\w.-]+)(?:.*extra == ['\"](?P<extra>[\w-]+)['\"])?")


def missing_package(error: ImportError) -> str | None:
    """One sentence for a package that cannot be imported; None where the module is lehr's own, which is a bug."""
    module = error.name or ""
    top = module.partition(".")[0]
    if top in ("", "lehr"):
        return None
    package = _OTHER_NAMES.get(top, top)
    if _installed(top):
        reason = str(error).splitlines()[0]
        return f"package {package} is installed but does not import ({reason}); pip install --force-reinstall {package}"
    extra = _extra(package)
    return f"package {package} is not installed; pip install " + (
        f"'lehr[{extra}]'" if extra else package
    )


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return True


def _extra(package: str) -> str | None:
    """Return the extra of lehr that brings a package; None where it is a dependency of all of lehr, or none."""
    try:
        lines = requires("lehr") or []
    except PackageNotFoundError:  # a checkout that is not installed
        return None
    brings = {
        match["package"].lower(): match["extra"]
        for line in reversed(lines)
        if (match := _REQUIREMENT.match(line))
    }
    return brings.get(package.replace("_", "-").lower())
