"""What all commands that draw have in common: a run opened, and batches drawn into a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Protocol

from numpy.typing import NDArray

from ..runs.drawing import Drawing
from ..runs.opened import OpenedRun, open_run
from ..system.runtime import select_device
from ..system.say import bar, say
from ..system.signals import first_interrupt_waits


class Weights(Protocol):
    """What the options of such a command say of the run and of its weights."""

    @property
    def run(self) -> Path: ...
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

    Raises:
        ValueError: a device that is not here, no run, or weights that it does not have.
    """
    device = select_device(config.device)
    ema = None if config.ema == "default" else config.ema
    run = open_run(config.run, weights=config.weights, ema=ema, step=config.step)
    for remark in run.remarks:
        say(remark, error=True)
    return device, run


def in_batches(
    drawing: Drawing,
    size: int,
    total: int,
    draw: Callable[[int, Callable[[], None]], NDArray[Any]],
    written: dict[str, Any],
    text: dict[str, str],
) -> bool:
    """Draw batch by batch, and write each when it is finished; whether it was interrupted.

    Args:
        size: items of each batch.
        total: steps in all, of which a bar tells.
        draw: (first, on_step) to the batch that begins with number ``first``, as it is written;
            it calls ``on_step`` after every step.
        written: what drew them, for drawn.json.
        text: for the files of the pictures.

    Raises:
        OSError: a full disk; the message says how many images are there.
    """
    with (
        first_interrupt_waits("stopping after this step; once more ends at once") as interrupted,
        bar(total=total, desc="sampling", unit="step") as shown,
    ):

        def on_step() -> None:
            shown.update()
            if interrupted.is_set():
                raise InterruptedError

        try:
            for first in range(0, drawing.number, size):
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
