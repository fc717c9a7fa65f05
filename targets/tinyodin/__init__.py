"""Target tinyodin: the crossbar of 256 neurons in open Verilog.

It is programmed over SPI; events go in and come out.
"""

from lehr.targets.tinyodin.target import TinyOdin

__all__ = ["TinyOdin"]
