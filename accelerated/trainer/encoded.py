"""What a training on latents computes once, before its first update.

The moments of the pictures' latents, by the frozen autoencoder, and where the text encoder is
frozen too, its states of all that is said of them. They are in RUN/encoded (or in data_cache), each
with a checksum: what is missing or damaged, and nothing else, is computed when a training begins,
one picture and one text after the other, so that it does not matter where it was stopped. What has
computed them is then let go.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from mindspore import Tensor

from ..config import TrainerConfig
from ..data import Images
from ..data.latents import LatentImages
from ..data.rows import Rows
from ..data.states import States, distinct
from ..diffusion import GaussianDiffusion
from ..latents import scale_factor
from ..networks.text_unet import TextUnet
from ..precision import set_precision
from ..runs.folder import RunFolder
from ..runs.kept import digest
from ..runs.names import ENCODED
from ..system.memory import give_back
from ..system.say import bar, say
from ..weights.autoencoder import Coder, read_coder, write_coder
from .place import Place

MEASURED = "measured"
"""The scale factor that makes the deviation of all latents 1."""

_TEXTS = 1000  # that are cut at a time


class Data(NamedTuple):
    """What is trained, and on what.

    Attributes:
        diffusion: which is told states of texts, once they are known.
        images: latents, where there is an autoencoder.
        coder: that, or None.
    """

    diffusion: GaussianDiffusion
    images: Images
    coder: Coder | None


def coder_of(run: RunFolder, config: TrainerConfig, diffusion: GaussianDiffusion) -> Coder | None:
    """The autoencoder whose latents a run is trained on, if it is on any.

    Raises:
        ValueError: it cannot be read, or options that do not go with it.
    """
    if config.autoencoder is None:
        if config.scale_factor is not None:
            raise ValueError(
                f"scale_factor {config.scale_factor} is for latents: say whose (--autoencoder)"
            )
        return None
    coder = read_coder(run.path if config.resume else Path(config.autoencoder).expanduser())
    channels, latent = diffusion.model.config.channels, coder.config.latent_channels
    if channels != latent:
        raise ValueError(
            f"channels {channels} of the network, and latents of {config.autoencoder!r} have "
            f"{latent}: make it that"
        )
    if diffusion.config.auto_normalize:
        raise ValueError("latents do not lie in [0, 1]: leave auto_normalize off")
    if config.super_resolve is not None:
        raise ValueError(
            f"super_resolve {config.super_resolve} shows small pictures, and here are latents: "
            "leave it or the autoencoder out"
        )
    if config.crop.startswith("random"):
        raise ValueError(
            f"crop {config.crop!r} cuts pictures anew each time, and their latents are computed "
            "once: choose center or none"
        )
    if isinstance(config.scale_factor, float):
        return coder.with_scale(config.scale_factor)
    return coder


def encode(
    place: Place,
    config: TrainerConfig,
    data: Data,
    texts: Iterable[str],
    interrupted: threading.Event,
) -> Coder | None:
    """Compute what is missing; the autoencoder, whose scale factor is known now, if there is one.

    Args:
        place: where the run is trained. The first process does it, and the others read.
        data: of it, states of texts are told from now on where the text encoder is frozen.
        texts: what may be said besides the captions.
        interrupted: set, it ends this.

    Raises:
        KeyboardInterrupt: the event was set meanwhile.
        ValueError: a file that cannot be written.
    """
    diffusion, images, coder = data
    if coder is None:
        return None
    assert isinstance(images, LatentImages)
    folder = place.run.path / ENCODED
    if config.data_cache is not None:
        folder = Path(config.data_cache).expanduser()
    with place.turn():
        rows = images.open(folder, coder.digest, config.crop)
        with rows.alone():
            done = images.encode(
                coder.encoder, progress=place.world.leads, stops=interrupted.is_set
            )
            if not done:
                _stop(place, rows, "pictures")
        _make_room(place, rows)
        if config.scale_factor == MEASURED and not config.resume:
            coder = coder.with_scale(scale_factor(rows[i][0] for i in images.encoded()))
        if place.world.leads and not config.resume:
            write_coder(place.run, coder)
        assert coder.scale is not None
        images.scale = coder.scale
        if diffusion.model.config.text_is_frozen and diffusion.states is None:
            said = (text for i in images.encoded() for text in images.captions(i))
            diffusion.states = _states(place, folder, diffusion, ("", *texts), said, interrupted)
    give_back()
    return coder


def _states(
    place: Place,
    folder: Path,
    diffusion: GaussianDiffusion,
    first: Iterable[str],
    said: Iterable[str],
    interrupted: threading.Event,
) -> States:
    """The states of texts, of which those that are missing are computed."""
    model, tokenizer = diffusion.model, diffusion.tokenizer
    assert isinstance(model, TextUnet) and tokenizer is not None
    every, parts = [*dict.fromkeys((*first, *said))], []
    for start in range(0, len(every), _TEXTS):
        parts.append(tokenizer.rows(every[start : start + _TEXTS], model.config.length))
    ids = distinct([part.astype(np.int32) for part in parts])
    encoder = {p.name: p.asnumpy() for p in model.text.get_parameters()}
    by = hashlib.sha256(digest(encoder).encode() + ids.tobytes()).hexdigest()[:16]
    shape = (ids.shape[1], model.config.context_dim)
    rows = Rows(folder / f"texts-{'x'.join(map(str, shape))}-{by}.rows", len(ids), shape)
    with rows.alone():
        missing = rows.missing(progress=place.world.leads)
        if missing:
            set_precision(model.text, "O0", "float32")
        hidden = not (place.world.leads and missing)
        for i in bar(missing, "encoding texts", unit="text", disable=hidden):
            if interrupted.is_set():
                _stop(place, rows, "texts")
            rows[i] = model.text(Tensor(ids[i : i + 1])).asnumpy()[0]
    _make_room(place, rows)
    model.without_text_encoder()
    return States(ids, rows)


def _stop(place: Place, rows: Rows, what: str) -> None:
    if place.world.leads:
        done = len(rows) - len(rows.missing())
        say(
            f"stopped: {done} of {len(rows)} {what} are encoded; the same command goes on with "
            "them",
            error=True,
        )
    raise KeyboardInterrupt


def _make_room(place: Place, rows: Rows) -> None:
    """Remove from the run what was computed of other pictures or texts before."""
    folder, kind = rows.file.parent, rows.file.name.partition("-")[0]
    if place.world.leads and folder == place.run.path / ENCODED:
        for path in folder.glob(f"{kind}-*.rows"):
            if path != rows.file:
                path.unlink(missing_ok=True)
