"""The control of an fpga artefact, from start to done."""
