"""Proofs of the fast engine's kernels, from their own source."""
