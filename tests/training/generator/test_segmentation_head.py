"""The segmentation head on digits: strokes against paper, and nothing else is trained."""

import numpy as np
import pytest
import torch

from host.decoder.decoder import OwnDecoder, own_decoder
from host.decoder.segmentation_head import segmented
from tests.digits_domain import DigitsDomain
from tests.host.decoder.small_generator import small_generator, some_offsets
from training.generator.segmentation_head import (
    IGNORED,
    mean_f1,
    modal_map,
    shrunk,
    train_segmentation,
)


def test_strokes_are_found_better_than_by_the_modal_map_and_nothing_else_moves(digits: DigitsDomain) -> None:
    decoder, lesson = own_decoder(digits.generator), digits.latent_lesson
    offsets = lesson.offsets[0].astype(np.float32)
    labels = (lesson.pictures.mean(axis=3) > 130).astype(np.uint8)
    before = {name: value.clone() for name, value in decoder.network.state_dict().items()}
    banks = [path.read_bytes() for path in digits.banks]
    head = train_segmentation(decoder, offsets[:200], labels[:200], classes=2, epochs=6)
    found = segmented(head, decoder, offsets[200:])
    trivial = np.broadcast_to(modal_map(labels[:200], 2), labels[200:].shape)
    assert mean_f1(found, labels[200:], 2) > mean_f1(trivial, labels[200:], 2) + 0.1
    assert all(torch.equal(value, decoder.network.state_dict()[name]) for name, value in before.items())
    assert banks == [path.read_bytes() for path in digits.banks]


def test_f1_counts_classes_that_occur_and_pixels_that_count() -> None:
    true = np.array([[[0, 0, 1, IGNORED]]], np.uint8)
    found = np.array([[[0, 1, 1, 0]]], np.uint8)
    assert mean_f1(found, true, 3) == pytest.approx(2 / 3)
    assert mean_f1(true, true, 3) == 1


def test_modal_map_and_size() -> None:
    labels = np.array([[[0, 1], [2, 2]], [[0, 1], [2, 0]], [[1, 1], [2, 2]]], np.uint8)
    assert modal_map(labels, 3).tolist() == [[0, 1], [2, 2]]
    large = np.kron(labels, np.ones((1, 4, 4), np.uint8))
    assert np.array_equal(shrunk(large, 2), labels)


def test_labels_that_do_not_fit_are_refused() -> None:
    decoder = OwnDecoder(small_generator())
    for labels in (np.zeros((2, 4, 4), np.uint8), np.full((2, 8, 8), 3, np.uint8)):
        with pytest.raises(ValueError, match="labels of shape"):
            train_segmentation(decoder, some_offsets(2), labels, 3, 1)
