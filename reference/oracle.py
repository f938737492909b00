"""Exact denoisers: data whose best possible x0_hat is known in closed form.

A sampler can be right only as far as its denoiser is. For mixtures of Gaussians the best denoiser,
E[x_0 | x_t], is a formula, so whatever a sampler then gets wrong is its own doing.
"""

from __future__ import annotations

import autograd.numpy as np
from autograd.scipy.special import logsumexp
from numpy.typing import ArrayLike

from .process import check_arguments
from .schedule import Array, Schedule, levels_at


class Mixture:
    """A mixture of K Gaussians N(means[k], covs[k]), drawn with probability weights[k].

    Args:
        weights: (K,), positive, summing to 1.
        means: (K, *shape), where shape is that of one data point: (D,) or (C, H, W).
        covs: (K, D, D), D = the number of values in one data point; symmetric with no negative
            eigenvalue. Zero is allowed: a point mass, so a data set is a mixture as well.

    Attributes: the three arguments as float64 arrays, and ``shape``.

    Raises ValueError for arguments that are no such mixture.
    """

    def __init__(self, weights: ArrayLike, means: ArrayLike, covs: ArrayLike) -> None:
        self.weights = np.array(weights, dtype=np.float64)
        self.means = np.array(means, dtype=np.float64)
        self.covs = np.array(covs, dtype=np.float64)
        self.shape: tuple[int, ...] = self.means.shape[1:]
        self._check()
        self._centres = self.means.reshape(len(self.weights), -1)
        # covs[k] = axes[k] diag(spreads[k]) axes[k]^T: noise adds to the spreads alone.
        spreads, self._axes = np.linalg.eigh(self.covs)
        if np.any(spreads < -1e-10 * np.abs(spreads).max()):
            raise ValueError(f"covs have the negative eigenvalue {spreads.min()}: none may be")
        self._spreads = np.maximum(spreads, 0.0)

    def predict_x0(self, schedule: Schedule, x_t: Array, t: Array) -> Array:
        """E[x_0 | x_t], the estimate with the least mean square error, of the shape of x_t.

        With a = alpha_bar_t, component k makes x_t ~ N(sqrt(a) mu_k, S_k), where
        S_k = a Sigma_k + (1 - a) I. Given x_t and k, the mean of x_0 is

            mu_k + sqrt(a) Sigma_k S_k^{-1} (x_t - sqrt(a) mu_k),

        and these means are averaged by the probabilities of k given x_t.

        ``x_t`` has shape (B, *shape) and ``t`` shape (B,), in (0, T]. Computed in float64, returned
        in the dtype of x_t. Raises ValueError for shapes, dtypes or times that do not fit.
        """
        check_arguments(schedule, t, x_t=x_t)
        if x_t.shape[1:] != self.shape:
            raise ValueError(f"x_t has shape {x_t.shape}: the data need {('B', *self.shape)}")
        signal, noise = (level[:, None, None] for level in levels_at(schedule, t))  # (B, K, D)
        a = signal**2
        flat = x_t.reshape(len(x_t), 1, -1).astype(np.float64)
        y = np.einsum("bkd,kde->bke", flat - signal * self._centres, self._axes)
        var = a * self._spreads + noise**2
        log_weight = np.log(self.weights) - 0.5 * np.sum(y**2 / var + np.log(var), axis=-1)
        shift = np.einsum("bke,kde->bkd", signal * self._spreads / var * y, self._axes)
        share = np.exp(log_weight - logsumexp(log_weight, axis=1, keepdims=True))
        x0_hat = np.einsum("bk,bkd->bd", share, self._centres + shift)
        like_x_t: Array = x0_hat.reshape(x_t.shape).astype(x_t.dtype)
        return like_x_t

    def marginal(self, schedule: Schedule, t: int) -> tuple[Array, Array]:
        """Mean (of one data point's shape) and covariance (D, D) of x_t, for t = 0..T.

        sqrt(a) m and a C + (1 - a) I, where a = alpha_bar_t, and m and C are those of the data.
        Raises ValueError for a t outside 0..T.
        """
        if not 0 <= t <= schedule.T:
            raise ValueError(f"t {t} is outside 0..{schedule.T}")
        mean = self.weights @ self._centres
        apart = self._centres - mean
        cov = np.einsum("k,kde->de", self.weights, self.covs)
        cov = cov + np.einsum("k,kd,ke->de", self.weights, apart, apart)
        a = schedule.alpha_bar[t]
        return (np.sqrt(a) * mean).reshape(self.shape), a * cov + (1.0 - a) * np.eye(len(cov))

    def sample(self, rng: np.random.Generator, n: int) -> Array:
        """n data points x_0, shape (n, *shape)."""
        k = rng.choice(len(self.weights), size=n, p=self.weights)
        z = rng.standard_normal((n, self._centres.shape[1])) * np.sqrt(self._spreads[k])
        x_0: Array = self._centres[k] + np.einsum("be,bde->bd", z, self._axes[k])
        return x_0.reshape(n, *self.shape)

    def _check(self) -> None:
        count, size = len(self.means), int(np.prod(self.shape))
        if self.weights.shape != (count,) or self.covs.shape != (count, size, size):
            raise ValueError(
                f"weights {self.weights.shape}, means {self.means.shape} and covs "
                f"{self.covs.shape} do not fit: their shapes must be (K,), (K, *shape), (K, D, D)"
            )
        if np.any(self.weights <= 0) or not np.isclose(self.weights.sum(), 1.0):
            raise ValueError(f"weights {self.weights} must be positive and sum to 1")
        if not np.allclose(self.covs, self.covs.swapaxes(1, 2)):
            raise ValueError("covs must be symmetric matrices")


def gaussian(mean: ArrayLike, cov: ArrayLike) -> Mixture:
    """The data N(mean, cov): mean of one data point's shape, cov (D, D). Raises as ``Mixture``."""
    return Mixture(np.ones(1), np.array(mean)[None], np.array(cov)[None])


def conditional(
    mean: ArrayLike, cov: ArrayLike, matrix: ArrayLike, y: ArrayLike, sigma_y: float
) -> tuple[Array, Array]:
    """Mean and covariance of x ~ N(mean, cov) given y = A x + sigma_y n.

    m + K (y - A m) and C - K A C, with K = C A^T (A C A^T + sigma_y^2)^+. This is what inpainting
    and restoration should draw from; ``mean`` (D,), ``cov`` (D, D), ``matrix`` (d, D), ``y`` (d,).
    """
    m, c, a, seen = (np.asarray(value, np.float64) for value in (mean, cov, matrix, y))
    of_y = a @ c @ a.T + sigma_y**2 * np.eye(len(a))
    gain = c @ a.T @ np.linalg.pinv(of_y, rcond=1e-12, hermitian=True)
    return m + gain @ (seen - a @ m), c - gain @ a @ c
