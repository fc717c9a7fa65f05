"""Neurons and layers of other libraries than snnTorch, known by the names of their classes.

Nothing of these libraries is imported.
"""
