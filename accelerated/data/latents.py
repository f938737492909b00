"""Pictures of a folder as the moments of their latents, which an autoencoder has computed once.

Of each picture a file has mean and logarithm of the variance, (2C, h, w), and where pictures are
shown mirrored also those of the mirrored one: a mirrored latent is not the latent of that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..process import to_model_range
from ..system.say import bar
from .cache import fingerprint
from .decode import RULE
from .records import RecordImages, Records
from .rows import Rows

Encode = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""From a picture (C, H, W) in [-1, 1] to its moments (2C, h, w)."""

AT_ONCE = 32
"""Pictures that are decoded from their files at a time."""


class LatentImages(RecordImages):
    """Images whose items are moments, float32 (B, K, 2C, h, w): K is 2 where they are mirrored too.

    All else is that of the pictures: which there are, their names, classes and captions.

    Args:
        pictures: a folder's.
        shape: (C, h, w) of the latents.
        flips: whether mirrored ones are shown.

    Attributes:
        scale: what latents are multiplied by, once that is known.
    """

    scale: float = 1.0

    def __init__(
        self, pictures: RecordImages, shape: tuple[int, ...], *, flips: bool = False
    ) -> None:
        self._moments = _Moments(pictures.records)
        super().__init__(self._moments, strict=pictures._strict, left_out=pictures._left_out)
        self.shape, self._flips, self._pictures = shape, flips, pictures
        self.names, self.gone = pictures.names, pictures.gone
        self.classes, self.labels = pictures.classes, pictures.labels
        self.captioned, self.said = pictures.captioned, pictures.said
        self._captions, self._broken = pictures._captions, dict(pictures._broken)
        self.checked = True  # what cannot be decoded has no moments

    @property
    def shown(self) -> RecordImages:
        return self._pictures

    def open(self, folder: Path, by: str, kind: str) -> Rows:
        """The file of the moments, in that folder; some may be missing.

        Args:
            by: a text by which autoencoders differ.
            kind: of crop.

        Raises:
            ValueError: it cannot be written.
        """
        channels, *sides = self.shape
        shape = (1 + self._flips, 2 * channels, *sides)
        records = self._pictures.records
        files = ((name, records.name(place)) for place, name in enumerate(self.names))
        what = f"{by} {kind} {RULE} {records.shape} {fingerprint(files)}"
        digest = hashlib.sha256(what.encode()).hexdigest()[:16]
        file = folder / f"latents-{'x'.join(map(str, shape))}-{digest}.rows"
        self._moments.rows = Rows(file, self.places, shape)
        return self._moments.rows

    def encode(
        self, make: Callable[[], Encode], *, progress: bool, stops: Callable[[], bool]
    ) -> bool:
        """Compute the moments that are missing; False where it was to stop.

        Args:
            make: gives what encodes, if anything is to be.
            progress: show a bar.
            stops: asked after every picture.

        Raises:
            ValueError: the file cannot be written.
        """
        rows = self._moments.rows
        assert rows is not None
        missing = [p for p in rows.missing(progress=progress) if p not in self._broken]
        if not missing:
            return True
        encode: Encode | None = None  # which those alone that cannot be decoded do not need
        with bar(None, "encoding pictures", len(missing), disable=not progress) as shown:
            for start in range(0, len(missing), AT_ONCE):
                places = missing[start : start + AT_ONCE]
                read = self._pictures.records.read(places, [()] * len(places))
                for place, found in zip(places, read, strict=True):
                    if isinstance(found, str):
                        self.skip(place, found)
                    else:
                        encode = make() if encode is None else encode
                        sides = [found, found[..., ::-1]] if self._flips else [found]
                        rows[place] = np.stack([encode(to_model_range(side)) for side in sides])
                    shown.update()
                    if stops():
                        return False
        return True

    def encoded(self) -> list[int]:
        """The places that have moments."""
        return [place for place in range(self.places) if place not in self._broken]


class _Moments:
    """Rows as records."""

    rows: Rows | None = None

    def __init__(self, pictures: Records) -> None:
        self.shape, self.draws = pictures.shape, 0
        self._pictures = pictures

    def __len__(self) -> int:
        return len(self._pictures)

    def name(self, place: int) -> str:
        return self._pictures.name(place)

    def read(
        self, places: Sequence[int], draws: Sequence[Sequence[float]]
    ) -> Sequence[NDArray[np.float32]]:
        assert self.rows is not None
        return [self.rows[place] for place in places]
