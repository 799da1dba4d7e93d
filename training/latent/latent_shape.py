"""Size of a latent encoder, and its limit. Without PyTorch."""

from dataclasses import dataclass
from typing import Final

from lsi.errors import ConfigError

MAX_PARAMETERS: Final = 2_000_000
SIZES: Final = (4, 16, 32, 64, 128, 256)
"""Numbers of masks that a nested bank serves beside its own d: the paper's table."""


@dataclass(frozen=True, slots=True)
class LatentEncoderShape:
    """Size of an encoder: d measurements to (layers, width) numbers and ``outputs`` logits, presence last.

    ``trunk`` are the units of the shared part, ``token`` those of each layer's token.

    Raises:
        ConfigError: A number below 1, or more than ``MAX_PARAMETERS``.
    """

    d: int
    layers: int
    width: int
    outputs: int
    trunk: int = 448
    token: int = 96
    blocks: int = 1

    def __post_init__(self) -> None:
        numbers = (self.d, self.layers, self.width, self.outputs, self.trunk, self.token, self.blocks)
        if min(numbers) < 1:
            raise ConfigError(f"An encoder of {numbers}.", hint="1 or more of each.")
        if self.parameters > MAX_PARAMETERS:
            found = f"An encoder of d = {self.d} to {self.layers} x {self.width} has {self.parameters:,}"
            raise ConfigError(f"{found} parameters; {MAX_PARAMETERS:,} are allowed.", hint="a smaller trunk.")

    @property
    def parameters(self) -> int:
        """Weights and biases that the device computes with."""
        trunk, token, layers = self.trunk, self.token, self.layers
        block = 2 * trunk + 2 * (trunk * trunk + trunk)
        spread = 2 * trunk + (trunk + 1) * layers * token
        mixer = 2 * token + 2 * (token + 1) * token + 2 * token + layers**2 + layers + (token + 1) * token
        last = (token + 1) * self.width + layers * self.width
        head = (layers * self.width + 1) * self.outputs
        return (self.d + 1) * trunk + self.blocks * block + spread + mixer + last + head
