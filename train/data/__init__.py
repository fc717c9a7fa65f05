"""Data sets: one embedded, the others read from their official files in a folder."""

from lehr.train.data.dataset import Dataset, Split, load_dataset

__all__ = ["Dataset", "Split", "load_dataset"]
