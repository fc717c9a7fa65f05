"""Sequences of values that are no events, such as sounds and sensors' arrays, coded as spikes.

`lehr.sequences.encoding` has the numbers by which they are, `lehr.sequences.samples` takes a file
as a network's input.
"""
