"""Target hiaer: a network of axons, neurons and connections for HiAER-Spike, through its hs_api."""

from lehr.targets.hiaer.target import Hiaer

__all__ = ["Hiaer"]
