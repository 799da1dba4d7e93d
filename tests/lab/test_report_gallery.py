"""Masks in a page are the masks, and small."""

import base64
import io
import re

import numpy as np
from PIL import Image

from lab.report_gallery import MOST, mask_pictures
from lsi.patterns import PatternSet


def test_a_picture_of_a_mask_is_that_mask_white_where_open() -> None:
    masks = np.random.default_rng(0).random((2, 64, 64)) < 0.3
    first, second = mask_pictures(PatternSet(masks))
    assert 'alt="mask 1, 30 % open" width="64" height="64"' in first
    found = re.search(r'src="data:image/png;base64,([^"]+)"', second)
    assert found is not None
    with Image.open(io.BytesIO(base64.b64decode(found[1]))) as picture:
        assert np.array_equal(np.asarray(picture.convert("L")) > 0, masks[1])
    assert len(second) < 1500


def test_a_large_bank_shows_its_first_masks() -> None:
    assert len(mask_pictures(PatternSet(np.zeros((MOST + 3, 8, 8), np.bool_)))) == MOST
