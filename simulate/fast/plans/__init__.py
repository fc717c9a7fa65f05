"""From a network to operations: what lies where, in which integers, and which kernel computes it."""
