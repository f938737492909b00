"""Imported before the tests, which import MindSpore: it reads its environment once."""

import ddpm_mindspore.accelerated  # noqa: F401
