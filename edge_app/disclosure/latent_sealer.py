"""What the service asks of the code that seals latents, which an attribute sensor has not even installed."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge_app.link.egress_rules import SealedRule


class LatentSealer(SealedRule, Protocol):
    """Makes of each latent an envelope, and knows its own."""

    def record_of(self, values: NDArray[np.float32], ts: str, clock: str) -> Callable[[int], bytes]:
        """What makes the record of one latent for its ``seq``. Shape: ``values`` (L, D).

        Raises:
            SealError: A latent that cannot be sealed, or a host key past its days.
        """
        ...
