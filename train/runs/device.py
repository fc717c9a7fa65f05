"""The device a run computes on, set up so that integers stay exact and bits come out again."""

from __future__ import annotations

import os

import torch

from lehr.errors import UsageError

CUBLAS_WORKSPACE = ":4096:8"
"""A workspace of fixed size for matrix products on a GPU.

Without, they may differ from run to run (cuBLAS, "Results reproducibility").
"""


def prepared(name: str) -> torch.device:
    """Return the device of that name, ready to train on; `auto` is a GPU where there is one.

    On a GPU, TF32 is switched off for the whole process, or sums of integers would be cut to 10
    bits of mantissa, and torch is told to use deterministic algorithms alone.

    Args:
        name: `cpu`, `cuda` or `auto`, as a recipe has it.

    Raises:
        UsageError: when there is no such device.
    """
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise UsageError(
            "train.device: cuda, but torch finds no CUDA device; use cpu or auto, or install a "
            "torch that is built for CUDA"
        )
    if name == "cpu" or not available:
        return torch.device("cpu")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", CUBLAS_WORKSPACE)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False  # which chooses algorithms by their time
    torch.use_deterministic_algorithms(True)
    return torch.device("cuda")
