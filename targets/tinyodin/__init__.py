"""Target tinyodin: the crossbar of 256 neurons in open Verilog, programmed over SPI, with events in and out."""

from lehr.targets.tinyodin.target import TinyOdin

__all__ = ["TinyOdin"]
