"""Training data: images of one size, read by index."""

from .arrays import Images
from .digits import digit_labels, load_digits
from .images import open_images, read_batch, skipped_text
from .prefetch import Prefetch

__all__ = [
    "Images",
    "Prefetch",
    "digit_labels",
    "load_digits",
    "open_images",
    "read_batch",
    "skipped_text",
]
