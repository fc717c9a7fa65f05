"""What numba compiles: every file of this folder is behind the machine code that is kept."""
