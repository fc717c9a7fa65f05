"""Target loihi: Intel's Loihi, by the network file of lava-dl's netx."""

from lehr.targets.loihi.runner import LoihiRunner
from lehr.targets.loihi.target import Loihi

__all__ = ["Loihi", "LoihiRunner"]
