"""The read-out behind the masks: stored standardisation, a small network. No decoder."""

from math import isqrt
from typing import Final

from torch import Tensor, nn

from lsi.errors import ConfigError

MAX_PARAMETERS: Final = 350_000
"""Weights and biases of a read-out: what a small device still answers with in a tenth of a millisecond."""


class ReadOut(nn.Module):
    """Measurement (B, d) to logits (B, K + 1): the attributes, then presence.

    Standardises with running statistics that are stored with the weights.

    Args:
        d: Measurements.
        outputs: Logits, presence included.
        width: Units of both hidden layers.
        dropout: Part of the hidden units that training leaves out at random.
        batch_norm: Normalise the hidden units while training. It is folded into the layers before it when
            the read-out is taken out (``student.read_out_weights``), so it costs the device nothing.

    Raises:
        ConfigError: More than ``MAX_PARAMETERS`` weights and biases; the hint names the widest that fits.
    """

    def __init__(
        self, d: int, outputs: int, width: int = 512, dropout: float = 0.0, *, batch_norm: bool = False
    ) -> None:
        super().__init__()
        check_parameters(d, outputs, width)
        self.standardise = nn.BatchNorm1d(d, affine=False, momentum=0.01)
        hidden: list[nn.Module] = []
        for source in (d, width):
            hidden += [nn.Linear(source, width), *([nn.BatchNorm1d(width)] if batch_norm else []), nn.ReLU()]
            hidden += [nn.Dropout(dropout)] if dropout else []
        self.layers = nn.Sequential(*hidden, nn.Linear(width, outputs))

    @property
    def linears(self) -> list[nn.Linear]:
        """The layers with weights, first to last."""
        return [layer for layer in self.layers if isinstance(layer, nn.Linear)]

    @property
    def parameter_count(self) -> int:
        """Weights and biases of the layers; what is folded into them counts no more."""
        return sum(parameter.numel() for layer in self.linears for parameter in layer.parameters())

    def forward(self, measurement: Tensor) -> Tensor:
        """Logits of a batch of measurements."""
        logits: Tensor = self.layers(self.standardise(measurement))
        return logits


def check_parameters(d: int, outputs: int, width: int, biases: int = 1) -> None:
    """Refuse a read-out that is too large before any of it is made.

    Args:
        d: Measurements.
        outputs: Logits, presence included.
        width: Units of both hidden layers.
        biases: Biases per unit of the first layer; more than one in a nested read-out.

    Raises:
        ConfigError: Above ``MAX_PARAMETERS``, or a number below 1.
    """
    if min(d, outputs, width) < 1:
        found = f"A read-out of {d} measurements, {outputs} logits and {width} units."
        raise ConfigError(found, hint="1 or more of each.")
    # width^2 + linear * width + outputs parameters
    linear = d + biases + 1 + outputs
    count = width**2 + linear * width + outputs
    if count > MAX_PARAMETERS:
        widest = (isqrt(linear**2 + 4 * (MAX_PARAMETERS - outputs)) - linear) // 2
        found = (
            f"A read-out of {d} measurements, {outputs} logits and width {width} has {count:,} parameters;"
        )
        raise ConfigError(f"{found} {MAX_PARAMETERS:,} are allowed.", hint=f"a width of at most {widest}.")
