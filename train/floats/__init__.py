"""Phase A: the network of a recipe in floats, with quantized weights and its own gradients."""
