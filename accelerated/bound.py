"""The variational bound on tensors, from which a learned variance learns.

``reference/bound.py`` is the definition. Shapes: levels (B, K); all else (B, C, *spatial).
"""

from __future__ import annotations

import math

from mindspore import Tensor, ops

from ..reference.bound import LEVELS
from ..reference.levels import DECODER, LOG_VAR_RANGE, PRECISION, SNR_DROP, VLB_WEIGHT
from .process import column

_HALF = 1.0 / (LEVELS - 1)
"""Half of the distance of two grey levels."""

_ERFCX = (
    -2.025598951e-05,
    6.3369458396e-05,
    0.00022157155026,
    -0.0003579204479,
    -0.0014640709107,
    0.0012174105922,
    0.0087246076398,
    -0.0080189630787,
    -0.054220266615,
    0.16404945414,
    -0.16603038353,
    -0.092763762775,
    1.2769783814,
)
"""(1 + 2 z) erfcx(z) as a polynomial in (z - 2) / (z + 2), from the highest power on: a Chebyshev
interpolant whose error is below 5e-9 for all z >= 0, a tenth of a rounding in float32."""


def halves(output: Tensor, like: Tensor) -> tuple[Tensor, Tensor | None]:
    """A network's output as what it predicts, and what tells the variances, if it does."""
    channels = like.shape[1]
    if output.shape[1] == channels:
        return output, None
    prediction, raw = ops.split(output, channels, 1)
    return prediction, raw


def joined(prediction: Tensor, raw: Tensor | None) -> Tensor:
    """The way back."""
    return prediction if raw is None else ops.concat((prediction, raw), 1)


def share_of(raw: Tensor) -> Tensor:
    """The share of log beta in the logarithm of the variance."""
    return 0.5 * raw + 0.5


def bound_loss(x_0: Tensor, x0_hat: Tensor, raw: Tensor, levels: Tensor) -> Tensor:
    """The terms of the bound at each item's t, as ``vlb_weight`` weighs them: a scalar.

    The mean over each image, times its weight, mean over the batch; no gradient goes to x0_hat.
    """
    difference = x_0 - ops.stop_gradient(x0_hat)
    r = share_of(raw) * column(levels, LOG_VAR_RANGE, raw)
    last = column(levels, DECODER, raw) > 0.5
    terms = ops.where(last, decoder(x_0, difference, r, levels), kl(difference, r, levels))
    batch, count = terms.shape[0], math.prod(terms.shape[1:])
    per_image = ops.matmul(terms.reshape(batch, count), ops.ones((count, 1), terms.dtype))
    weight = levels[:, VLB_WEIGHT].reshape(1, batch)
    return ops.matmul(weight, per_image).reshape(()) / (batch * count)


def kl(difference: Tensor, r: Tensor, levels: Tensor) -> Tensor:
    """Nats for each value where the step leads to t >= 1; ``r``: log var - log beta_tilde.

    (difference of the means)^2 / beta_tilde_t is (snr_{t-1} - snr_t) (x_0 - x0_hat)^2 (arXiv
    2107.00630, eq. 13).
    """
    square = column(levels, SNR_DROP, r) * difference * difference
    narrower = ops.exp(-r)
    return 0.5 * (r + (narrower - 1.0) + narrower * square)


def decoder(x_0: Tensor, difference: Tensor, r: Tensor, levels: Tensor) -> Tensor:
    """Nats for each value where the step leads to the data: -log of the share of its bin."""
    precision = column(levels, PRECISION, r) * ops.exp(-0.5 * r)
    lowest, highest = x_0 < _HALF - 1.0, x_0 > 1.0 - _HALF
    away = ops.where(lowest, -difference, ops.where(highest, difference, ops.abs(difference)))
    closed = ops.where(ops.logical_or(lowest, highest), 0.0, 1.0)
    edges = ops.concat(((_HALF - away) * precision, (-_HALF - away) * precision))
    high, low = ops.split(log_ndtr(edges), x_0.shape[0])
    # At least something: where it is not, the other of the two kinds of terms is taken.
    left = ops.maximum((1.0 - closed) - closed * ops.expm1(low - high), 1e-30)
    return -(high + ops.log(left))


def log_ndtr(x: Tensor) -> Tensor:
    """The logarithm of the standard normal distribution function, in both tails.

    With z = |x| / sqrt 2 it is log erfc(z) - log 2 on the left, and log(1 - erfc(z) / 2) on the
    right, where log erfc(z) = log erfcx(z) - z^2.
    """
    z = ops.abs(x) * math.sqrt(0.5)
    y = (z - 2.0) / (z + 2.0)
    scaled = _ERFCX[0] * y + _ERFCX[1]
    for coefficient in _ERFCX[2:]:
        scaled = scaled * y + coefficient
    log_erfc = ops.log(scaled / (1.0 + 2.0 * z)) - z * z
    right = ops.log(1.0 - 0.5 * ops.exp(log_erfc))
    return ops.where(x > 0.0, right, log_erfc - math.log(2.0))
