"""Pictures for people: grids of images, samples beside real images, the loss curve."""

from __future__ import annotations

import gc
import io
import json
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from ..system.files import replace_file
from .charts import running_mean
from .laid_out import GAP, LAYOUT

_VISIBLE = 48  # pixels that a small image is enlarged to, at least
_INK = "#404040"
# Where Pillow's own font ends, with Latin: fonts that a system may have, by their files.
_WIDE_FONTS = (
    *("NotoSansCJK-Regular.ttc", "SourceHanSansSC-Regular.otf", "wqy-microhei.ttc"),
    *("wqy-zenhei.ttc", "simhei.ttf", "PingFang.ttc"),
)
_COLOUR = "#1f5fa8"


def grid(
    images: NDArray[np.uint8],
    columns: int | None = None,
    scale: int | None = None,
    gap: int = GAP,
) -> Image.Image:
    """Lay images out in rows on a white page.

    Args:
        images: uint8 (N, C, H, W), C = 1 grey, 3 RGB or 4 RGB and alpha.
        columns: images in a row (default: as many as there are rows, or one more).
        scale: whole number of pixels that each pixel becomes, without blurring (default: as many
            as make the longer side at least 48, so that a person can see small images).
        gap: white pixels between images and around them.

    Raises:
        ValueError: another dtype, shape or number of channels, no image, or a number below 1
            (gap: below 0).
    """
    count, channels, height, width = _check(images)
    columns = math.ceil(math.sqrt(count)) if columns is None else columns
    scale = math.ceil(_VISIBLE / max(height, width)) if scale is None else scale
    if columns < 1 or scale < 1 or gap < 0:
        raise ValueError(f"columns {columns} and scale {scale} must be at least 1, gap {gap} 0")
    columns = min(columns, count)
    rows = math.ceil(count / columns)
    step_y, step_x = height * scale + gap, width * scale + gap
    page = np.full((rows * step_y + gap, columns * step_x + gap, channels), 255, np.uint8)
    large = images.transpose(0, 2, 3, 1).repeat(scale, axis=1).repeat(scale, axis=2)
    for i, image in enumerate(large):
        y, x = gap + i // columns * step_y, gap + i % columns * step_x
        page[y : y + height * scale, x : x + width * scale] = image
    return _image(page)


def rows_of_classes(
    images: NDArray[np.uint8], names: Sequence[str], scale: int | None = None
) -> Image.Image:
    """Lay images out with a row for each class, named on its left: image i is of class i mod n.

    The last rows may be shorter. ``images``, ``scale``: as in :func:`grid`.

    Raises:
        ValueError: as in :func:`grid`.
    """
    _check(images)
    count = min(len(names), len(images))
    columns = math.ceil(len(images) / len(names))
    laid = np.full((count * columns, *images.shape[1:]), 255, np.uint8)
    for i, image in enumerate(images):
        laid[i % len(names) * columns + i // len(names)] = image
    page = _on_white(grid(laid, columns, scale))
    height = page.height / count
    shown, font = _legible(names[:count], size=max(15, min(page.width // 28, round(0.4 * height))))
    side = max(math.ceil(font.getlength(name)) for name in shown) + 12
    whole = Image.new("RGB", (side + page.width, page.height), "white")
    draw = ImageDraw.Draw(whole)
    for row, name in enumerate(shown):
        at = (side - 6, (row + 0.5) * height)
        draw.text(at, name, fill=_INK, font=font, anchor="rm")
    whole.paste(page, (side, 0))
    return whole


def _legible(names: Sequence[str], size: int) -> tuple[list[str], Any]:
    """The names and a font that has their letters, or where there is none the rows' numbers."""
    if all(ord(letter) < 0x250 for name in names for letter in name):
        return list(names), ImageFont.load_default(size=size)
    for file in _WIDE_FONTS:
        with suppress(OSError):
            return list(names), ImageFont.truetype(file, size)
    return [str(row + 1) for row in range(len(names))], ImageFont.load_default(size=size)


def comparison(
    *groups: NDArray[np.uint8],
    columns: int | None = None,
    scale: int | None = None,
    captions: Sequence[str] = ("drawn by the model", "real images"),
) -> Image.Image:
    """Lay samples out on the left and real images on the right, each under its caption: RGB.

    All are arrays as in :func:`grid`, in the same number of columns. The file that
    :func:`save_png` makes of it says where they are: ``laid_out.read_groups`` takes them out again.

    Raises:
        ValueError: as in :func:`grid`, and for images of different shapes.
    """
    most = max(_check(images)[0] for images in groups)
    if len({images.shape[1:] for images in groups}) > 1:
        shapes = " and ".join(str(images.shape) for images in groups)
        raise ValueError(f"images {shapes} must agree in all but the first number")
    columns = math.ceil(math.sqrt(most)) if columns is None else columns
    grids = [_on_white(grid(images, columns, scale)) for images in groups]
    # Large pictures are looked at from further away.
    size = max(15, max(g.width for g in grids) // 28)
    font = ImageFont.load_default(size=size)
    widths = [
        max(image.width, math.ceil(font.getlength(caption)) + size)
        for image, caption in zip(grids, captions, strict=True)
    ]
    top, side = 2 * size, size
    page = Image.new(
        "RGB", (sum(widths) + side * (len(groups) - 1), top + max(g.height for g in grids)), "white"
    )
    draw, left, layout = ImageDraw.Draw(page), 0, []
    for images, image, caption, width in zip(groups, grids, captions, widths, strict=True):
        draw.text((left + width / 2, top / 2), caption, fill=_INK, font=font, anchor="mm")
        at = left + (width - image.width) // 2
        page.paste(image, (at, top))
        across = min(columns, len(images))
        one = (image.width - GAP) // across - GAP
        layout.append([at, top, across, one // images.shape[3], len(images), *images.shape[2:]])
        left += width + side
    page.info[LAYOUT] = json.dumps(layout)
    return page


def save_png(image: Image.Image, path: Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write a PNG file in one go: whoever looks at ``path`` sees a whole picture, old or new.

    ``metadata``: text that the file carries, by keyword.
    """
    replace_file(path, png(image, metadata), flush=False)


def png(image: Image.Image, metadata: Mapping[str, str] | None = None) -> bytes:
    """A PNG file, with the text that it carries."""
    text, own = PngInfo(), {name: image.info[name] for name in (LAYOUT,) if name in image.info}
    for keyword, value in {**(metadata or {}), **own}.items():
        text.add_text(keyword, value)
    encoded = io.BytesIO()
    image.save(encoded, format="PNG", pnginfo=text)
    return encoded.getvalue()


def save_singles(
    images: NDArray[np.uint8],
    folder: Path,
    metadata: Mapping[str, str] | None = None,
    first: int = 0,
) -> None:
    """Write uint8 (N, C, H, W) as 00000.png, 00001.png, ... in their own size.

    The folder is made when it is not there. To ``metadata`` each adds its number, as "Image".
    ``first``: the number of the first image.
    """
    _check(images)
    folder.mkdir(parents=True, exist_ok=True)
    for i, image in enumerate(images.transpose(0, 2, 3, 1), start=first):
        save_png(_image(image), folder / f"{i:05d}.png", {**(metadata or {}), "Image": str(i)})


def loss_curve(steps: ArrayLike, losses: ArrayLike, path: Path) -> None:
    """Plot losses against steps as an 800x450 PNG: each as a point, their running mean as a line.

    The mean is over about a twentieth of the points. The loss axis is logarithmic when the mean
    falls by more than a factor of three. Losses that are not finite are left out and counted.

    Raises:
        ValueError: different lengths, or no finite loss.
    """
    x, y = np.asarray(steps, np.float64), np.asarray(losses, np.float64)
    if x.ndim != 1 or x.shape != y.shape:
        raise ValueError(f"steps {x.shape} and losses {y.shape} must be rows of the same length")
    finite = np.isfinite(y)
    if not finite.any():
        raise ValueError(f"none of the {len(y)} losses is finite: there is nothing to plot")
    x, y = x[finite], y[finite]
    mean = running_mean(y)
    title = f"training loss: {mean[-1]:.3g} (running mean at step {x[-1]:,.0f})"
    if not finite.all():
        title += f", {np.count_nonzero(~finite):,} not finite"
    with quiet("matplotlib"):
        replace_file(path, _plot(x, y, mean, title), flush=False)
    # A figure's parts refer to each other. Left until Python looks for such parts by itself, those
    # of one plot after another would be spread over ever more memory.
    gc.collect()


def _plot(
    x: NDArray[np.float64], y: NDArray[np.float64], mean: NDArray[np.float64], title: str
) -> bytes:
    # Slow to import, and needed once in a run. A Figure of its own leaves pyplot's state alone.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    figure = Figure(
        figsize=(8, 4.5), dpi=100, layout=ConstrainedLayoutEngine(h_pad=0.12, w_pad=0.12)
    )
    axes = figure.add_subplot()
    thin = slice(None, None, max(1, len(x) // 5000))
    size = 3 if len(x) > 500 else 6
    axes.plot(x[thin], y[thin], ".", ms=size, mew=0, alpha=0.35, color=_COLOUR, label="loss")
    axes.plot(x[thin], mean[thin], "-", lw=1.8, color=_COLOUR, label="running mean")
    if y.min() > 0 and mean.max() > 3 * mean.min():
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set(xlabel="step", ylabel="loss")
    axes.set_title(title, loc="left", color=_INK, fontsize=12, pad=12)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, lw=0.6)
    axes.legend(loc="upper right", frameon=False, markerscale=9 / size)
    encoded = io.BytesIO()
    FigureCanvasAgg(figure).print_png(encoded)
    return encoded.getvalue()


def _check(images: NDArray[Any]) -> tuple[int, int, int, int]:
    if images.dtype != np.uint8 or images.ndim != 4:
        raise ValueError(
            f"images are {images.dtype} {images.shape}: give uint8 (N, C, H, W), values 0..255"
        )
    count, channels, height, width = images.shape
    if channels not in (1, 3, 4):
        raise ValueError(f"images have {channels} channels: 1, 3 or 4 can be shown")
    if images.size == 0:
        raise ValueError(f"images {images.shape} hold no pixel")
    return count, channels, height, width


def _image(pixels: NDArray[np.uint8]) -> Image.Image:
    """Turn (H, W, C) into a picture."""
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode != "RGBA":
        return image.convert("RGB")
    page = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(page, image).convert("RGB")


@contextmanager
def quiet(name: str) -> Iterator[None]:
    """Keep a library's notices back, such as matplotlib's on building its font cache."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
