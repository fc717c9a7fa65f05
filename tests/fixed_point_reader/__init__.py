"""docs/fixed-point-nir.md in plain Python.

Networks read from `.nir` files and run in Python's own integers, one neuron after another.

It imports nothing of lehr, on purpose: h5py and numpy only open the files. It is slow, on purpose
too: what a tool of somebody else has to do stands here as the page says it.
"""
