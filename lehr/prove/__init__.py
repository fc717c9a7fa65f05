"""Proofs for every input and every state, by tools that are not lehr's."""
