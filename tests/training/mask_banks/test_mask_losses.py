"""Losses on masks against values worked out by hand."""

import pytest

pytest.importorskip("torch", reason="the losses need PyTorch (lsi-host[train])")

import torch
from torch import Tensor

from training.mask_banks.mask_losses import (
    MASK_LOSSES,
    energy_ladder,
    energy_targets,
    open_floor,
    open_fraction,
)
from training.mask_banks.masks import MaskLayer


def _bank(*fractions: float) -> Tensor:
    """Masks of 10 x 10 mirrors of which these parts are open."""
    opens = torch.tensor([[place < round(100 * part) for place in range(100)] for part in fractions])
    return opens.float().reshape(-1, 10, 10)


def test_the_open_fraction_is_the_mean_of_each_mask() -> None:
    assert open_fraction(_bank(0.25, 1.0)).tolist() == [0.25, 1.0]


@pytest.mark.parametrize(
    ("fractions", "loss"),
    [
        ((0.0,), 1.0),
        ((0.15,), 0.25),  # half of the floor is missing: (1/2)^2
        ((0.30,), 0.0),
        ((0.9,), 0.0),
        ((0.15, 0.9, 0.0, 0.4), (0.25 + 1.0) / 4),
    ],
)
def test_the_open_floor_by_hand(fractions: tuple[float, ...], loss: float) -> None:
    assert float(open_floor(_bank(*fractions))) == pytest.approx(loss, abs=1e-6)


def test_the_gradient_of_the_open_floor_fades_out_at_the_floor() -> None:
    fractions = torch.tensor([0.05, 0.2, 0.299, 0.31])
    masks = fractions[:, None, None].repeat(1, 2, 2).requires_grad_()
    open_floor(masks).backward()  # type: ignore[no-untyped-call]  # torch has no type for it
    assert masks.grad is not None
    pull = -masks.grad.sum(dim=(1, 2))
    # d/dx (1 - x/0.3)^2 / 4 masks = -(1 - x/0.3) / 0.6
    assert pull.tolist() == pytest.approx([0.83333 / 0.6, 0.33333 / 0.6, 0.00333 / 0.6, 0.0], abs=1e-4)


def test_the_open_floor_opens_masks_that_are_too_dark() -> None:
    layer = MaskLayer(4, torch.Generator().manual_seed(0), 16)
    with torch.no_grad():
        layer.logits.sub_(0.25)
    optimiser = torch.optim.Adam(layer.parameters(), lr=0.01)
    assert float(open_fraction(layer().detach()).max()) < 0.2
    for _ in range(40):
        optimiser.zero_grad()
        open_floor(layer()).backward()  # type: ignore[no-untyped-call]  # torch has no type for it
        optimiser.step()
    # A dither of 64 thresholds opens in steps of 1/64, and nothing pulls once the floor is reached.
    assert float(open_fraction(layer().detach()).min()) >= 0.28


def test_the_ladder_rises_by_one_per_cent_from_ten() -> None:
    assert sorted(energy_targets(4)) == pytest.approx([0.10, 0.11, 0.12, 0.13])
    assert sorted(energy_targets(81)) == pytest.approx([(10 + rung) / 100 for rung in range(81)])


def test_beyond_ninety_per_cent_the_ladder_starts_again() -> None:
    assert sorted(energy_targets(84))[:6] == pytest.approx([0.10, 0.10, 0.11, 0.11, 0.12, 0.12])
    assert max(energy_targets(84)) == pytest.approx(0.90)


def test_the_order_of_the_ladder_is_fixed_for_all_time() -> None:
    # for i in 0 1 2 3 4 5 6 7; do printf "0:$i" | sha256sum; done   sorted by digest: rung 7 is the least
    assert energy_targets(8) == pytest.approx((0.17, 0.14, 0.13, 0.12, 0.16, 0.10, 0.15, 0.11))


def test_another_seed_gives_another_order_of_the_same_targets() -> None:
    assert energy_targets(16, seed=1) != energy_targets(16)
    assert sorted(energy_targets(16, seed=1)) == sorted(energy_targets(16))


def test_the_energy_loss_is_the_mean_distance_from_the_targets() -> None:
    targets = energy_targets(4)
    assert float(energy_ladder(_bank(*targets))) == pytest.approx(0.0, abs=1e-6)
    moved = [target + step for target, step in zip(targets, (0.04, -0.02, 0.0, 0.10), strict=True)]
    assert float(energy_ladder(_bank(*moved))) == pytest.approx(0.04, abs=1e-6)


def test_the_losses_are_found_by_name_and_reach_the_logits() -> None:
    assert set(MASK_LOSSES) == {"open_floor", "energy_ladder"}
    layer = MaskLayer(4, torch.Generator().manual_seed(0), 16)
    with torch.no_grad():
        layer.logits.sub_(0.25)
    for loss in MASK_LOSSES.values():
        layer.zero_grad()
        loss(layer()).backward()  # type: ignore[no-untyped-call]  # torch has no type for it
        assert layer.logits.grad is not None
        assert bool((layer.logits.grad != 0).any())
