"""What a trained denoiser is good for besides drawing; ``reference/tasks`` states each."""

from __future__ import annotations

from .paths import Solver

__all__ = ["Solver"]
