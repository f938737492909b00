"""Training data: images of one size, read by index."""

from .arrays import Images, Items
from .built_in import BUILT_IN
from .crops import Crop
from .digits import digit_labels, load_digits
from .images import class_names, open_images, read_batch, read_items, read_spread, skipped_text
from .left_out import note_broken, report
from .names import read_names, write_names
from .prefetch import Prefetch

__all__ = [
    "BUILT_IN",
    "Crop",
    "Images",
    "Items",
    "Prefetch",
    "class_names",
    "digit_labels",
    "load_digits",
    "note_broken",
    "open_images",
    "read_batch",
    "read_items",
    "read_names",
    "read_spread",
    "report",
    "skipped_text",
    "write_names",
]
