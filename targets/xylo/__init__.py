"""Target xylo: SynSense's Xylo, its configuration, the images of its memories, its vendor's simulator to run them in."""

from lehr.targets.xylo.target import Xylo

__all__ = ["Xylo"]
