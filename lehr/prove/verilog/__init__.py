"""Proofs of the Verilog of an fpga artefact, by Yosys and Bitwuzla."""
