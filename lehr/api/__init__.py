"""The functions of `import lehr`: each command of the command line as a function of Python."""

from lehr.api.artifacts import build, check, targets, verify
from lehr.api.converting import convert
from lehr.api.exporting import export, quantize
from lehr.api.models import read, recipes, write
from lehr.api.proving import prove
from lehr.api.reporting import report
from lehr.api.running import compare, simulate
from lehr.api.searching import search
from lehr.api.training import train

__all__ = [
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
