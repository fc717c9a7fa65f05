"""The fast engine: the same results as `lehr.simulate.reference`, compiled, event-driven, layer by layer over all steps."""
