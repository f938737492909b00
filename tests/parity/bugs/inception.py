"""Bugs in the features that FID is measured in."""

from __future__ import annotations

from ..planting import Bug

FILE = "networks.inception"
FEATURES = "inception: features"
RESIZING = "inception: resizing"

INCEPTION = [
    Bug(
        "a mean at the edge counts what stands beyond it",
        f"{FILE}.pool",
        "count_include_pad=False",
        "count_include_pad=True",
        FEATURES,
    ),
    Bug(
        "the last block of Inception takes a mean, as its paper has it",
        f"{FILE}.pool",
        'name == "mean"',
        'name != "halve"',
        FEATURES,
    ),
    Bug(
        "a convolution that looks within the image alone looks beyond two of its edges",
        f"{FILE}.Step.construct",
        "x[:, :, 1:-1, 1:-1]",
        "x[:, :, :-2, :-2]",
        FEATURES,
    ),
    Bug(
        "the ends of a branch change places",
        f"{FILE}.Way.construct",
        "for end in self.ends",
        "for end in list(self.ends)[::-1]",
        FEATURES,
    ),
    Bug(
        "images are resized with half-pixel centres",
        f"{FILE}.between",
        "np.arange(want, dtype=np.float32) * np.float32(have / want)",
        "np.maximum((np.arange(want, dtype=np.float32) + 0.5) * np.float32(have / want) - 0.5, 0)",
        RESIZING,
    ),
    Bug(
        "images are resized with their corners aligned",
        f"{FILE}.between",
        "np.float32(have / want)",
        "np.float32((have - 1) / max(want - 1, 1))",
        RESIZING,
    ),
    Bug(
        "pixels of 8 bits are centred at 127.5",
        f"{FILE}.Prepare.construct",
        "(x - 128.0) / 128.0",
        "(x - 127.5) / 127.5",
        RESIZING,
    ),
]
