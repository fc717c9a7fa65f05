"""ReckOn, C. Frenkel's recurrent spiking processor in open Verilog."""

from lehr.targets.reckon.target import Reckon

__all__ = ["Reckon"]
