"""Training of a segmentation head on frozen offsets and a frozen generator, and how it is judged."""

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from host.decoder.decoder import OwnDecoder
from host.decoder.segmentation_head import SegmentationHead, features_of

IGNORED: Final = 255
"""Label of pixels that do not count."""
RATE: Final = 3e-3
BATCH: Final = 16

Offsets = NDArray[np.float32]
Labels = NDArray[np.uint8]


def train_segmentation(  # noqa: PLR0913, PLR0917 - what is learned from, and for how long
    decoder: OwnDecoder, offsets: Offsets, labels: Labels, classes: int, epochs: int, seed: int = 0
) -> SegmentationHead:
    """Train on an encoder's offsets (n, L, D) with labels (n, R, R): 0..classes - 1, or ``IGNORED``.

    Raises:
        ValueError: Labels of another size or with other classes.
    """
    known = labels[labels != IGNORED]
    if labels.shape != (len(offsets), decoder.size_px, decoder.size_px) or (known >= classes).any():
        message = f"labels of shape {labels.shape} for {len(offsets)} pictures of {decoder.size_px} px"
        raise ValueError(message)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        head = SegmentationHead(sum(decoder.network.shape.widths), classes, decoder.size_px)
        optimiser = torch.optim.Adam(head.parameters(), lr=RATE)
        wanted = torch.tensor(labels).long()
        for _ in range(epochs):
            for rows in torch.split(torch.randperm(len(offsets)), BATCH):
                logits = head(features_of(decoder, offsets[rows.numpy()]))
                loss = functional.cross_entropy(logits, wanted[rows], ignore_index=IGNORED)
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]  # torch has no type for it
                optimiser.step()
    return head.eval()


def mean_f1(found: Labels, true: Labels, classes: int) -> float:
    """F1 of each class over all pixels, then the mean over the classes that occur in ``true``."""
    counted = true != IGNORED
    scores = []
    for label in range(classes):
        is_true, is_found = true[counted] == label, found[counted] == label
        if is_true.any():
            scores.append(2 * (is_true & is_found).sum() / (is_true.sum() + is_found.sum()))
    return float(np.mean(scores))


def modal_map(labels: Labels, classes: int) -> Labels:
    """The commonest class of each pixel (R, R): what needs no measurement."""
    counts = np.stack([(labels == label).sum(axis=0) for label in range(classes)])
    common: Labels = counts.argmax(axis=0).astype(np.uint8)
    return common


def shrunk(labels: Labels, size_px: int) -> Labels:
    """Labels (n, R, R) at another size: that of the nearest pixel's centre."""
    places = ((np.arange(size_px) + 0.5) * labels.shape[-1] / size_px).astype(int)
    small: Labels = labels[:, places][:, :, places]
    return small
