"""Numbers and weights whose shapes have no one meaning where they stand, each with its sentence."""

from __future__ import annotations

import nir
import numpy as np
import pytest
from nir_graphs import chain

from lehr.errors import FileRefused
from lehr.export.nirgraph import from_nir
from lehr.export.nirgraph.shapes import spread


@pytest.mark.parametrize(
    ("written_shape", "shape", "right"),
    [
        ((), (3, 4), True), ((1,), (3,), True), ((1, 1, 1, 1), (3,), True), ((1, 3), (3,), True), ((3, 1, 1), (3,), True),
        ((3,), (3, 1, 1), True), ((1, 3, 1, 1), (3, 4, 5), True), ((3, 1), (3, 1, 5), True), ((1, 3, 1), (3, 1, 5), True), ((1, 4, 5), (3, 4, 5), True),
        ((3,), (3, 4, 5), False), ((5,), (3, 4, 5), False), ((1, 3), (3, 4, 5), False), ((2, 3), (3,), False), ((2, 3, 4, 5), (3, 4, 5), False), ((4,), (3,), False), ((3, 1), (3, 4, 5), False),
    ],
)  # fmt: skip
def test_numbers_are_laid_out_as_numpy_would_where_they_have_one_meaning(
    written_shape: tuple[int, ...], shape: tuple[int, ...], right: bool
) -> None:
    value = np.arange(1.0, 1 + np.prod(written_shape)).reshape(written_shape)
    laid = spread(value, shape)
    assert (laid is not None) is right
    if laid is not None:
        assert laid.shape == shape
        assert set(laid.ravel()) == set(value.ravel())
        flat = value.ravel() if value.size == laid.size else None
        assert flat is None or laid.ravel().tolist() == flat.tolist()
        if written_shape == (1, 3, 1, 1):
            assert laid[:, 2, 3].tolist() == [1, 2, 3]


REFUSED: dict[str, tuple[nir.NIRGraph, str]] = {
    "a vector for a map": (
        chain({"n": nir.IF(np.ones(3), np.ones(3))}, (3, 6, 6), (3, 6, 6)),
        "n: has shape [3] but gets [3, 6, 6]; where it is one number per channel, give it shape "
        "[3, 1, 1]",
    ),
    "weights transposed": (
        chain({"l": nir.Linear(np.ones((6, 3))), "n": nir.IF(np.ones(3), np.ones(3))}, (6,), (3,)),
        "l: Linear takes (3,) but gets (6,); its weight is [6, 3]: transposed? NIR has [outputs, "
        "inputs]",
    ),
    "weights transposed, after a batch's axis": (
        chain({"l": nir.Linear(np.ones((6, 3))), "n": nir.IF(np.ones(3), np.ones(3))}, (1, 6), (3,)),
        "l: Linear takes (3,) but gets (6,); its weight is [6, 3]: transposed? NIR has [outputs, "
        "inputs]",
    ),
    "no Flatten": (
        chain({"l": nir.Linear(np.ones((3, 24))), "n": nir.IF(np.ones(3), np.ones(3))}, (2, 3, 4), (3,)),
        "l: Linear takes (24,) but gets (2, 3, 4); put a Flatten before it",
    ),
    "weights transposed, with a bias": (
        chain({"l": nir.Affine(np.ones((6, 3)), np.ones(3)), "n": nir.IF(np.ones(3), np.ones(3))}, (6,), (3,)),
        "l: bias has 3 numbers for 6 outputs; is weight transposed? NIR has [outputs, inputs]",
    ),
    "a kernel with its inputs first": (
        chain({"c": nir.Conv2d(None, np.ones((2, 4, 3, 3)), 1, 1, 1, 1, np.zeros(2))}, (2, 6, 6), (4, 6, 6)),
        "c: Conv2d takes (4, height, width) but gets (2, 6, 6); its weight is [2, 4, 3, 3]: "
        "transposed? NIR has [outputs, inputs / groups,"
        " height, width]",
    ),
    "a kernel with its channels last": (
        chain({"c": nir.Conv2d(None, np.ones((3, 3, 2, 4)), 1, 1, 1, 1, np.zeros(3))}, (2, 6, 6), (4, 6, 6)),
        "c: Conv2d takes (3, height, width) but gets (2, 6, 6); its weight is [3, 3, 2, 4]: "
        "transposed? NIR has [outputs, inputs / groups,"
        " height, width]",
    ),
    "a kernel that no turning helps": (
        chain({"c": nir.Conv2d(None, np.ones((8, 4, 3, 3)), 1, 1, 1, 1, np.zeros(8))}, (3, 6, 6), (8, 6, 6)),
        "c: Conv2d takes (4, height, width) but gets (3, 6, 6); check the layer before it",
    ),
    "padding that asks for memory": (
        chain({"c": nir.Conv2d(None, np.ones((1, 2, 3, 3)), 1, 1 << 30, 1, 1, np.zeros(1))}, (2, 6, 6), (1, 6, 6)),
        "c: puts out [1, 2147483652, 2147483652], 4,611,686,035,607,257,104 values; the limit is "
        "16,777,216: use a smaller layer",
    ),
    "an input that asks for memory": (
        chain({"n": nir.IF(np.array(1.0), np.array(1.0))}, (1 << 20, 1 << 20), (1,)),
        "input: shape is [1048576, 1, 1048576], 1,099,511,627,776 values; the limit is 16,777,216: "
        "use a smaller input",
    ),
    "a batch of two": (
        chain({"n": nir.IF(np.array(1.0), np.array(1.0))}, (2, 1, 6, 6), (1,)),
        "input: shape is an array of shape (4,); give 1 to 3 integers of at least 1, without the "
        "batch's axis",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_shapes_that_have_no_one_meaning(what: str) -> None:
    nir_graph, message = REFUSED[what]
    with pytest.raises(FileRefused) as refused:
        from_nir(nir_graph)
    assert str(refused.value) == message
