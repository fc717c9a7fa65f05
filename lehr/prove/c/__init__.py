"""Proofs of the generated C, by CBMC and entry by entry."""
