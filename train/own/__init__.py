"""A user's own torch model: binarized, with annealed thresholds and delays."""
