"""Target akida: a chain of layers for BrainChip's Akida, in its own model format."""

from lehr.targets.akida.target import Akida

__all__ = ["Akida"]
