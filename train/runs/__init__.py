"""A training run as a folder: its progress, its remains, and what is said about it."""
