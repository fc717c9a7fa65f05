"""The width analysis: an interpreter of update programs in bounds."""
