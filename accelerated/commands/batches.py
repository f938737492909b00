"""What all commands that draw have in common: a run opened, and batches drawn into a folder."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Protocol

from numpy.typing import NDArray

from ..config import Sides, sides
from ..diffusion import GaussianDiffusion
from ..runs.config_file import versions
from ..runs.drawing import Drawing
from ..runs.kept import Kept
from ..runs.names import DRAWN
from ..runs.opened import OpenedRun, open_run
from ..system.runtime import select_device
from ..system.say import bar, say
from ..system.signals import first_interrupt_waits
from ..weights.shipped import SHIPPED, open_shipped, place_of


class Weights(Protocol):
    """What the options of such a command say of the run and of its weights."""

    @property
    def run(self) -> Path | None: ...
    @property
    def weights(self) -> str: ...
    @property
    def ema(self) -> float | Literal["default"]: ...
    @property
    def step(self) -> int | None: ...
    @property
    def device(self) -> str: ...


def opened(config: Weights) -> tuple[str, OpenedRun]:
    """The device, and the run with the weights that were asked for; remarks on them are said.

    The run may be one of the models that come with the program.

    Raises:
        ValueError: a device that is not here, no run, or weights that it does not have.
    """
    device = select_device(config.device)
    if config.run in SHIPPED:
        return device, open_shipped(SHIPPED[config.run])
    assert config.run is not None, "a command has to choose one"
    ema = None if config.ema == "default" else config.ema
    run = open_run(config.run, weights=config.weights, ema=ema, step=config.step)
    for remark in run.remarks:
        say(remark, error=True)
    return device, run


def written_to(output: Path | None, run: Path, name: str = DRAWN, here: str | None = None) -> Path:
    """Where drawings go: ``output``, or a folder of that name in the run.

    What a model of the program draws goes into the folder where one is (``here``, or ``name``).
    """
    if output is not None:
        return output
    return Path(here or name) if run in SHIPPED else run / name


def in_batches(
    drawing: Drawing | Kept,
    size: int,
    total: int | None,
    draw: Callable[[int, Callable[[], None]], NDArray[Any]],
    written: dict[str, Any],
    text: dict[str, str],
) -> bool:
    """Draw batch by batch, and write each when it is finished; whether it was interrupted.

    Args:
        size: items of each batch.
        total: evaluations of the network in all, of which a bar tells (None: unknown).
        draw: (first, on_step) to the batch that begins with number ``first``, as it is written;
            it calls ``on_step`` after every step.
        written: what drew them, for drawn.json.
        text: for the files of the pictures.

    Raises:
        OSError: a full disk; the message says how many images are there.
    """
    with (
        first_interrupt_waits("stopping after this step; once more ends at once") as interrupted,
        bar(total=total, desc="sampling", unit="evaluation") as shown,
    ):

        def on_step() -> None:
            shown.update()
            if interrupted.is_set():
                raise InterruptedError

        try:
            for first in range(drawing.finished, drawing.number, size):
                drawn = draw(first, on_step)
                drawing.add(drawn[: drawing.number - first], written, text)
            drawing.close()
        except InterruptedError:
            drawing.close()
            return True
        except OSError as error:
            raise OSError(
                error.errno,
                f"{drawing.finished} of {drawing.number} {drawing.form.noun} are in "
                f"{drawing.folder}, the others could not be written: {error.strerror}",
            ) from error
    return False


def tell_the_end(drawing: Drawing, stopped: bool, done: str) -> None:
    """Say what is in the folder now: ``done``, unless it was interrupted."""
    found = f"{drawing.finished} of {drawing.number} {drawing.form.noun}"
    if stopped and drawing.finished:
        say(f"stopped: {found} are in {drawing.folder}/, and samples.npy has them too", error=True)
    elif stopped:
        none = "no image" if drawing.form.noun == "images" else f"none of the {drawing.form.noun}"
        say(f"stopped: {none} was finished, and nothing written", error=True)
    else:
        say(done)


def what_drew(run: OpenedRun, folder: Path, seed: int, **more: Any) -> dict[str, Any]:
    """What drew pictures, for drawn.json."""
    return {
        "versions": versions(),
        "run": str(place_of(folder).path.absolute()),
        "step": run.step,
        "weights": run.weights,
        **more,
        "seed": seed,
        "date": datetime.now().astimezone().isoformat(timespec="seconds"),
    }


def usual_batch_size(
    diffusion: GaussianDiffusion, image_size: Sides | None = None, *, large: bool = False
) -> int:
    """64 images, or as many as have half a million numbers at the outermost resolution.

    The work of small images is mostly in starting operators, not in their arithmetic. ``large``:
    the network may be so that it has room for few latents only.
    """
    size = diffusion.image_size if image_size is None else sides(image_size)
    numbers = math.prod(size) * diffusion.model.config.dim
    return max(1, min(64, 2**21 // numbers)) if large else max(64, 2**19 // numbers)


def even_batch_size(count: int, limit: int) -> int:
    """Images of each batch, at most ``limit``, when the batches are as few and as even as can be.

    The last batch is filled up, so that one size is compiled: evenly, little is drawn in vain.
    """
    return math.ceil(count / math.ceil(count / limit))
