"""From a network to operations: places of values, their integers, and the kernels."""
