"""The exact-integer twin of a network that is being trained, and the way to it from floats."""
