"""What an fpga artefact adds up, from its memory images to a neuron's sum."""
