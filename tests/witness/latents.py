"""What judges the networks of latent diffusion by those of ``diffusers`` and ``transformers``.

The truth is the reference in float64, with which their float64 has to agree to rounding errors. The
float32 answer on MindSpore may be further from it than their float32 and NumPy's, whichever is
worse, by a small factor only.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from mindspore import Tensor

from ddpm_mindspore.accelerated.networks.autoencoder import Autoencoder
from ddpm_mindspore.accelerated.networks.latent_unet import LatentUnet
from ddpm_mindspore.accelerated.networks.transformer import Transformer
from ddpm_mindspore.accelerated.system.runtime import select_device
from ddpm_mindspore.reference.config import AutoencoderConfig, LatentUnetConfig, TransformerConfig
from ddpm_mindspore.reference.networks import autoencoder, latent_unet, transformer

from .their_networks import (
    Array,
    asked,
    in_float64,
    their_autoencoder,
    their_text_encoder,
    their_unet,
    value,
)

Params: TypeAlias = Mapping[str, Array]

FLOAT64 = 1e-13
FACTOR = 4.0


class Values(Mapping[str, Array]):
    """Parameters that are made when they are asked for: all of the full size would not fit."""

    def __init__(self, shapes: dict[str, tuple[int, ...]], dtype: Any) -> None:
        self._shapes, self._dtype = shapes, dtype

    def __getitem__(self, name: str) -> Array:
        return value(name, self._shapes[name]).astype(self._dtype)

    def __contains__(self, name: object) -> bool:
        return name in self._shapes

    def __iter__(self) -> Iterator[str]:
        return iter(self._shapes)

    def __len__(self) -> int:
        return len(self._shapes)


def rms(x: Array) -> float:
    return float(np.sqrt(np.mean(np.square(x, dtype=np.float64))))


def network_call(network: Callable[..., Any], *arrays: Array) -> Array:
    select_device("CPU")
    return np.asarray(network(*map(Tensor, arrays)).asnumpy())


class Subject(NamedTuple):
    """What is judged, each side made when it is asked: one of the full size is there at a time.

    Attributes:
        shapes: of the parameters.
        theirs: makes their network, in float32.
        ask: what it is asked, with the network first.
        ours: the reference.
        on_mindspore: makes our network, and asks it.
    """

    shapes: dict[str, tuple[int, ...]]
    theirs: Callable[[], Any]
    ask: Callable[..., Any]
    ours: Callable[..., Array]
    on_mindspore: Callable[..., Array]


def judge(name: str, subject: Subject, *given: Array, table: Any, deep: bool = False) -> None:
    """Compare all of them.

    Their float64 may be FLOAT64 away from the truth. Where networks are ``deep``, as many roundings
    of float64 as the float32 on MindSpore may be roundings of float32, on both sides.
    """
    wide = [a.astype(np.float64) if a.dtype == np.float32 else a for a in given]
    truth = subject.ours(Values(subject.shapes, np.float64), *wide)
    scale = rms(truth)
    numpy32 = rms(subject.ours(Values(subject.shapes, np.float32), *given) - truth) / scale
    theirs = subject.theirs()
    torch32 = rms(asked(partial(subject.ask, theirs), *given) - truth) / scale
    theirs.double()
    with in_float64():
        torch64 = rms(asked(partial(subject.ask, theirs), *wide) - truth) / scale
    del theirs
    gc.collect()
    mindspore32 = rms(subject.on_mindspore(*given) - truth) / scale
    allowed = FACTOR * max(numpy32, torch32)
    # The truth, in float64 too, is as far from what it would be without any rounding.
    exact = 2.0 * allowed * 2.0**-29 if deep else FLOAT64
    table.add(f"{name}: PyTorch float64", f"{torch64:.1e}", f"{exact:.0e}")
    table.add(
        "    MindSpore float32 (beside PyTorch's, NumPy's)",
        f"{mindspore32:.1e} ({torch32:.1e}, {numpy32:.1e})",
        f"{allowed:.1e}",
    )
    assert torch64 <= exact
    assert mindspore32 <= allowed


# What each part is asked.


def of_unet(config: LatentUnetConfig) -> Subject:
    def ask(theirs: Any, x: Any, times: Any, context: Any) -> Any:
        return theirs(x, times, context, return_dict=False)[0]

    def ours(params: Params, x: Array, times: Array, context: Array) -> Array:
        return latent_unet.latent_unet(params, config, x, times, condition=context)

    def on_mindspore(*given: Array) -> Array:
        network = LatentUnet(values=value, **config.to_dict())
        return network_call(lambda x, t, c: network(x, t, None, None, c), *given)

    shapes = latent_unet.param_shapes(config)
    return Subject(shapes, partial(their_unet, config), ask, ours, on_mindspore)


def of_autoencoder(config: AutoencoderConfig, half: str) -> Subject:
    def encode(theirs: Any, x: Any) -> Any:
        return theirs.encode(x).latent_dist.parameters

    def decode(theirs: Any, z: Any) -> Any:
        return theirs.decode(z, return_dict=False)[0]

    def ours(params: Params, given: Array) -> Array:
        if half == "decoder":
            return autoencoder.decode(params, config, given)
        return np.concatenate(autoencoder.encode(params, config, given), axis=1)

    def on_mindspore(given: Array) -> Array:
        network = Autoencoder(values=value, **config.to_dict())
        return network_call(network.decode if half == "decoder" else network.encode, given)

    ask = decode if half == "decoder" else encode
    shapes = autoencoder.param_shapes(config)
    return Subject(shapes, partial(their_autoencoder, config), ask, ours, on_mindspore)


def of_text_encoder(config: TransformerConfig) -> Subject:
    def ask(theirs: Any, ids: Any) -> Any:
        return theirs(ids.long(), return_dict=False)[0]

    def ours(params: Params, ids: Array) -> Array:
        return transformer.transformer(params, config, ids)

    def on_mindspore(ids: Array) -> Array:
        return network_call(Transformer(values=value, **config.to_dict()), ids)

    shapes = transformer.param_shapes(config)
    return Subject(shapes, partial(their_text_encoder, config), ask, ours, on_mindspore)
