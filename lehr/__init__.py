"""lehr: from a trained spiking network to a chip, an FPGA or a C file, and no spike changes.

    import lehr

    net = lehr.read("model.nir")
    result = lehr.simulate(net, "in.npz")
    lehr.build(net, "c", "out", x="in.npz")
    lehr.verify("out").require()

The names in `lehr.__all__`, in `lehr.plot` and `lehr.zoo`, and those that the page
docs/reference/python.md lists are public; everything else may change from one version to the next.
Each is imported when it is first used: `import lehr` alone loads neither numpy nor torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lehr import plot as plot
    from lehr import zoo as zoo
    from lehr.api import build as build
    from lehr.api import check as check
    from lehr.api import compare as compare
    from lehr.api import convert as convert
    from lehr.api import export as export
    from lehr.api import prove as prove
    from lehr.api import quantize as quantize
    from lehr.api import read as read
    from lehr.api import recipes as recipes
    from lehr.api import report as report
    from lehr.api import search as search
    from lehr.api import simulate as simulate
    from lehr.api import targets as targets
    from lehr.api import train as train
    from lehr.api import verify as verify
    from lehr.api import write as write

__version__ = "0.1.0"
__all__ = [
    "__version__",
    "build",
    "check",
    "compare",
    "convert",
    "export",
    "prove",
    "quantize",
    "read",
    "recipes",
    "report",
    "search",
    "simulate",
    "targets",
    "train",
    "verify",
    "write",
]
_PACKAGES = ("export", "prove", "report", "simulate", "targets", "train")
"""Names that are packages as well, called as the functions of these names (lehr.callable)."""
_MODULES = ("plot", "zoo")
"""Packages that are no functions, beside those."""


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name in (*_PACKAGES, *_MODULES):
        return import_module(f"lehr.{name}")
    if name in __all__:
        return getattr(import_module("lehr.api"), name)
    raise AttributeError(
        f"module 'lehr' has no attribute {name!r}; it has {', '.join(__all__)}", name=name, obj=None
    )


def __dir__() -> list[str]:
    """List the public names, whether or not they were used."""
    dunder = {name for name in globals() if name.startswith("__")}
    return sorted({*dunder, *__all__, *_MODULES})
