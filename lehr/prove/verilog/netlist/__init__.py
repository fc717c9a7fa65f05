"""The placed netlist of an fpga artefact against its Verilog."""
