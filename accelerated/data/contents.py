"""What a file is: judged by what is in it, whatever its name."""

from __future__ import annotations

import codecs
from typing import BinaryIO, Literal

from PIL import Image

Content = Literal["image", "text", "TIFF", "other"]

# Formats that begin with a mark of their own. Others, as TGA, are guessed, and read by their ending
# only; so are TIFF files, as cameras' raw files are TIFFs too, of which Pillow reads a thumbnail.
_MARKED = ("PNG", "JPEG", "GIF", "WEBP", "AVIF", "JPEG2000", "BMP", "PPM", "QOI")
_TIFF = (b"II*\0", b"MM\0*")
_HEAD = 4096

# How a whole file ends.
_ENDS = {"JPEG": b"\xff\xd9", "MPO": b"\xff\xd9", "PNG": b"IEND\xaeB`\x82", "GIF": b";"}


def content(path: str) -> Content:
    """Say what a file without the ending of an image holds.

    Raises:
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:  # noqa: PTH123  (a Path for each of a million files)
        head = file.read(_HEAD)
        if _is_marked(file):
            return "image"
    if head.startswith(_TIFF):
        return "TIFF"
    return "text" if _is_text(head) else "other"


def _is_marked(file: BinaryIO) -> bool:
    try:
        with Image.open(file, formats=[form for form in _MARKED if form in Image.OPEN]):
            return True
    except Image.DecompressionBombError:
        return True  # which is said when it is to be decoded
    except OSError as error:
        if error.errno is not None:  # the disk's, and not Pillow's "cannot identify"
            raise
        return False
    except Exception:  # decoders raise anything on broken bytes
        return False


def _is_text(head: bytes) -> bool:
    """Whether bytes are UTF-8, but for a character that is cut at their end, without zeros."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return b"\0" not in head


def seems_whole(path: str) -> bool:
    """Say whether an image ends as it should, as far as its header and its last bytes tell.

    A copy that was interrupted does not, nor does one that is followed by something else: then only
    decoding tells.

    Raises:
        Exception: what Pillow raises on a broken header, which may be anything.
    """
    with open(path, "rb") as file:  # noqa: PTH123  (a Path for each of a million files)
        with Image.open(file) as image:
            form = image.format or ""
        size = file.seek(0, 2)
        if form == "WEBP":
            file.seek(4)
            return size >= 8 + int.from_bytes(file.read(4), "little")
        end = _ENDS.get(form, b"")
        file.seek(max(0, size - len(end)))
        return file.read() == end if end else True
