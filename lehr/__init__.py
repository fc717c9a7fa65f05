"""lehr: from a trained spiking network to a chip, an FPGA or a C file, with no spike changed on the way."""

__version__ = "0.1.0"
