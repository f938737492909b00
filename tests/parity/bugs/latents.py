"""Bugs in how latents become data."""

from __future__ import annotations

from ..planting import Bug

HELD = "tests/accelerated/test_latents.py::"
UPDATE = f"{HELD}test_an_update_sees_what_the_reference_says"

LATENTS = [
    Bug(
        "latents are drawn with their variance for a deviation",
        "latents.draw",
        "np.float32(0.5) * log_variance",
        "log_variance",
        "latents: latents",
    ),
    Bug(
        "latents are divided by the scale factor",
        "latents.draw",
        "np.float32(scale) * (",
        "np.float32(1.0 / scale) * (",
        "latents: latents",
    ),
    Bug(
        "what is decoded is scaled a second time",
        "latents.undo",
        "x_0 / np.float32(scale)",
        "x_0 * np.float32(scale)",
        "latents: latents",
    ),
    Bug(
        "the scale factor takes the logarithm of the variance for it",
        "latents.scale_factor",
        "np.exp(log_variance)",
        "np.abs(log_variance)",
        "latents: latents",
    ),
    Bug(
        "the scale factor forgets that means are not 0",
        "latents.scale_factor",
        " - mean_of_all * mean_of_all",
        "",
        "latents: latents",
    ),
    Bug(
        "latents and the process have the same noise",
        "trainer.batches.Batches._micro_batch",
        "Purpose.LATENT",
        "Purpose.NOISE",
        UPDATE,
    ),
    Bug(
        "mirrored pictures have the latents of the others",
        "trainer.batches.Batches._micro_batch",
        "flip.astype(int)",
        "1 - flip.astype(int)",
        UPDATE,
    ),
    Bug(
        "every text has the states of the next",
        "data.states.States.__call__",
        "self._place(row)",
        "(self._place(row) + 1) % len(self._rows)",
        UPDATE,
    ),
    Bug(
        "a row is trusted whatever its checksum",
        "data.rows.Rows._read",
        "if _checksum(data) != checksum:",
        "if len(data) < self._size:",
        f"{HELD}test_latents_are_encoded_once_and_anew_where_they_are_damaged",
    ),
]
