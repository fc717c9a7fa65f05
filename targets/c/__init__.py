"""Target c: a network as portable C99, without heap, floating point or undefined behaviour."""

from lehr.targets.c.loader import Model, Step, load
from lehr.targets.c.target import C

__all__ = ["C", "Model", "Step", "load"]
