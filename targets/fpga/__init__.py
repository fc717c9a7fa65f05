"""Target fpga: a network as readable Verilog-2001, an event-driven engine shared by all layers."""

from lehr.targets.fpga.target import Fpga

__all__ = ["Fpga"]
