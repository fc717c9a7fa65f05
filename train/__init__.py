"""Training with binarized weights and annealed thresholds, and the exact-integer twin."""

if __name__ == "train":
    raise ImportError("import lehr.train, not train: the folder is part of the package lehr")
