"""The fast engine: compiled, event-driven, layer by layer; its results are the reference's."""
