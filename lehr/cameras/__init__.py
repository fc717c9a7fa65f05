"""Files of event cameras, decoded block by block.

`lehr.cameras.formats` lists them; each other module decodes one family.
"""

from __future__ import annotations

from lehr.cameras.events import Events, Size
from lehr.cameras.formats import FORMATS, NAMES, SUFFIXES, camera_size, decoded
from lehr.cameras.records import Unit

__all__ = ["FORMATS", "NAMES", "SUFFIXES", "Events", "Size", "Unit", "camera_size", "decoded"]
