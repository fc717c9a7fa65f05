"""Target xylo: SynSense's Xylo, its configuration, and the images of its memories.

Its vendor's simulator runs them.
"""

from lehr.targets.xylo.target import Xylo

__all__ = ["Xylo"]
