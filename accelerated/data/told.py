"""What a network is told of each item: its class, a text, a picture or more; checked first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...reference.tasks.super_resolution import enlarged
from ...reference.text.tokenizer import Tokenizer
from ..process import checked, to_model_range
from ..randomness import Purpose, coins
from .classes import numbers_of

if TYPE_CHECKING:
    from ..diffusion import GaussianDiffusion
    from ..networks.network import Network


def told(
    diffusion: GaussianDiffusion,
    classes: Any,
    condition: Any,
    count: int,
    size: tuple[int, ...] | None = None,
) -> NDArray[Any] | None:
    """Return the condition of ``count`` items, (count, ...), or None for a network without one.

    Args:
        diffusion: whose network is told; it knows the names of classes, and what cuts texts.
        classes: for a network with classes one for all, or (count,): numbers, or names.
        condition: for a network that takes another condition, (count, ...); for one that is told
            texts one for all, or as many as there are items, or their ids; for one that is shown
            pictures these, as users see them, a whole number of times smaller than the images.
        size: the sides of the images, if not those of the diffusion.

    Raises:
        ValueError: none where one is needed, one where none is taken, or one that does not fit.
    """
    found = _told(diffusion, classes, condition, count, size)
    return _as_states(diffusion, found)


def _told(
    diffusion: GaussianDiffusion,
    classes: Any,
    condition: Any,
    count: int,
    size: tuple[int, ...] | None,
) -> NDArray[Any] | None:
    model, names, tokenizer = diffusion.model, diffusion.class_names, diffusion.tokenizer
    num_classes = model.config.num_classes
    if condition is not None and model.config.cond_channels:
        condition = _shown(diffusion, condition, size or diffusion.image_size)
    if classes is None:
        if condition is None and num_classes is not None:
            raise ValueError(
                f"classes are missing: say which of the {num_classes} each image is of"
            )
        return check_condition(model, condition, count, names, tokenizer)
    if condition is not None:
        raise ValueError("classes and condition are two names of one thing: give one of them")
    if num_classes is None:
        return check_condition(model, classes, count, tokenizer=tokenizer)
    known = numbers_of(classes, num_classes, names)
    if known.shape not in ((), (count,)):
        raise ValueError(f"classes of shape {known.shape} must be one, or ({count},)")
    return np.broadcast_to(known, count)


def check_condition(
    model: Network,
    condition: Any,
    count: int,
    names: Sequence[str] = (),
    tokenizer: Tokenizer | None = None,
) -> NDArray[Any] | None:
    """Return a condition as the network is given it: whole numbers as int32, others as float32.

    Raises:
        ValueError: as :func:`told`.
    """
    shown = model.config.cond_channels
    if condition is None and model.conditional:
        what = "shown a small picture of each item" if shown else "told what each item is"
        raise ValueError(f"condition is missing: the network is {what}")
    if condition is None:
        return None
    if model.captioned:
        condition = ids_of(model, condition, count, tokenizer)
    known = np.asarray(condition)
    if not model.conditional:
        raise ValueError(f"condition of shape {known.shape} is for a network that takes one")
    if known.shape[:1] != (count,):
        raise ValueError(f"condition of shape {known.shape} must be ({count}, ...)")
    if model.config.num_classes is not None:
        return numbers_of(known, model.config.num_classes, names, "condition")
    if shown and (known.ndim != 4 or known.shape[1] != shown):
        raise ValueError(f"condition of shape {known.shape} must be pictures (B, {shown}, H, W)")
    return known.astype(np.int32) if known.dtype.kind in "iu" else known.astype(np.float32)


def of_training(
    diffusion: GaussianDiffusion,
    condition: Any,
    count: int,
    seed: int,
    step: int,
    positions: Sequence[int],
) -> NDArray[Any] | None:
    """A condition as ``check_condition`` has it, of which a share is withheld.

    Where the states of texts are known it has these, in place of their ids.
    """
    model, tokenizer = diffusion.model, diffusion.tokenizer
    known = check_condition(model, condition, count, tokenizer=tokenizer)
    return _as_states(diffusion, with_untold(model, known, seed, step, positions, tokenizer))


def _as_states(diffusion: GaussianDiffusion, known: NDArray[Any] | None) -> NDArray[Any] | None:
    """Ids as what the text encoder has made of them, where that was computed before."""
    return known if known is None or diffusion.states is None else diffusion.states(known)


def with_untold(
    model: Network,
    known: NDArray[Any] | None,
    seed: int,
    step: int,
    positions: Sequence[int],
    tokenizer: Tokenizer | None = None,
) -> NDArray[Any] | None:
    """A condition of which a share is withheld in training: no class or picture, or the empty text.

    So a network learns what all items have in common too, as guidance needs it (2207.12598).
    """
    config = model.config
    share = config.cond_drop_prob
    if known is None or not share:
        return known
    if model.captioned:
        withheld = coins(seed, Purpose.UNTOLD, step, positions, share)
        nothing = ids_of(model, "", 1, tokenizer)[:, : known.shape[1]]
        return np.where(withheld[:, None], nothing, known)
    if config.takes_condition:
        told = known.copy()
        told[coins(seed, Purpose.CLASS, step, positions, share)] = config.null_condition
        return told
    return known


def negative_of(diffusion: GaussianDiffusion, negative: Any) -> NDArray[Any] | None:
    """What an item is guided away from: for a network that is told texts, the empty one if none."""
    model, tokenizer = diffusion.model, diffusion.tokenizer
    if not model.captioned:
        return None if negative is None else np.asarray(negative)
    texts = (
        negative or ""
        if negative is None or isinstance(negative, str)
        else np.asarray(negative)[None]
    )
    (row,) = np.asarray(_as_states(diffusion, ids_of(model, texts, 1, tokenizer)))
    return np.asarray(row)


def ids_of(
    model: Network, texts: Any, count: int, tokenizer: Tokenizer | None = None
) -> NDArray[np.int32]:
    """The ids of texts, (count, length): of one for all, or of as many; ids are checked alone.

    Raises:
        ValueError: no tokenizer, another number of texts, or ids that the network has not.
    """
    length, rows = model.config.length, model.config.vocabulary  # type: ignore[attr-defined]
    if isinstance(texts, str) or not isinstance(texts, np.ndarray):
        if tokenizer is None:
            raise ValueError("texts need a tokenizer (diffusion.tokenizer): set one, or give ids")
        texts = tokenizer.rows([texts] * count if isinstance(texts, str) else texts, length)
    if texts.dtype.kind not in "iu" or texts.ndim != 2 or texts.shape[1] > length:
        raise ValueError(
            f"ids of shape {texts.shape} and type {texts.dtype} must be whole numbers (count, N), "
            f"N at most {length}"
        )
    if texts.size and not 0 <= texts.min() <= texts.max() < rows:
        raise ValueError(f"ids from {texts.min()} to {texts.max()} must be from 0 to {rows - 1}")
    ids: NDArray[np.int32] = texts.astype(np.int32)
    return ids


def _shown(diffusion: GaussianDiffusion, pictures: Any, size: tuple[int, ...]) -> NDArray[Any]:
    """Pictures as users see them, enlarged to ``size``, as the process sees them."""
    config, normalize = diffusion.model.config, diffusion.config.auto_normalize
    given = np.shape(pictures)
    factor = max(1, size[0] // given[2]) if len(given) == 4 and given[2] else 1
    small = tuple(side // factor for side in size)
    if tuple(factor * side for side in small) != size:
        factor, small = 1, size
    x = checked("condition", pictures, (config.cond_channels, *small), normalize)
    return to_model_range(enlarged(x, factor), normalize)
