"""Samplers, one paper and one file each: from noise x_T to data, by a denoiser given as a function.

All of them take ``predict_x0(x_t, t) -> x0_hat``, where t is an array of shape (B,) and
x0_hat has the shape of x_t, and they take their noise as an argument.
"""

from __future__ import annotations

from . import ancestral, ddim

__all__ = ["ancestral", "ddim"]
