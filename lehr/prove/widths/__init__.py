"""Certificates of widths: what no step of a neuron leaves."""
