"""Target ranc: cores of 256 axons and 256 neurons, as RANC and TrueNorth have them."""

from lehr.targets.ranc.target import Ranc

__all__ = ["Ranc"]
