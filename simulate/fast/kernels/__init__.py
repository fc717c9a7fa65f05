"""Sources that numba compiles: all of this folder is behind the machine code that is kept."""
