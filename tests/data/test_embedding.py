"""An embedder over a data set: order, batches, broken pictures."""

from __future__ import annotations

import numpy as np
import pytest

from workzone.core.errors import DataError, InferenceError
from workzone.data.embedding import embed_dataset, normalised
from workzone.imaging.decode import decode_image


class MeanColour:
    name = "mean colour"

    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(self, images_rgb_u8):
        self.batches.append(len(images_rgb_u8))
        return normalised(np.stack([image.mean(axis=(0, 1)) for image in images_rgb_u8]))


def expected(dataset) -> np.ndarray:
    means = np.stack([decode_image(path).mean(axis=(0, 1)) for path in dataset.paths()])
    return means / np.linalg.norm(means, axis=1, keepdims=True)


@pytest.mark.parametrize("batch", [1, 7, 1000])
def test_vectors_are_those_of_the_pictures_in_their_order(own_dataset, batch, observer):
    embedder = MeanColour()
    found = embed_dataset(own_dataset, embedder, batch=batch, observer=observer)
    np.testing.assert_allclose(found, expected(own_dataset), atol=1e-6)
    assert found.dtype == np.float32
    assert max(embedder.batches) == min(batch, len(own_dataset))
    n = len(own_dataset)
    assert observer.steps[0] == ("embed pictures (mean colour)", 0, n)
    assert observer.steps[-1] == ("embed pictures (mean colour)", n, n)


def test_a_broken_picture_has_a_row_of_zeros(own_dataset):
    paths = own_dataset.paths()
    truth = expected(own_dataset)
    for row in (0, 5, 6, 7, 8):
        paths[row].write_bytes(b"broken")
        truth[row] = 0
    found = embed_dataset(own_dataset, MeanColour(), batch=4)
    np.testing.assert_allclose(found, truth, atol=1e-6)


def test_no_picture_at_all_is_an_error(own_dataset):
    for path in own_dataset.paths():
        path.write_bytes(b"broken")
    with pytest.raises(DataError, match="can be decoded"):
        embed_dataset(own_dataset, MeanColour())


def test_normalising_keeps_directions_and_zeros():
    found = normalised(np.array([[3.0, 4.0], [0.0, 0.0], [1e-30, 0.0]]))
    np.testing.assert_allclose(found, [[0.6, 0.8], [0, 0], [1, 0]], atol=1e-7)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_is_refused(value):
    with pytest.raises(InferenceError, match="1 of 2 embeddings are not finite"):
        normalised(np.array([[1.0, 0.0], [value, 0.0]]))
