"""``ddpm-mindspore demo``: a page on this machine that draws."""

from __future__ import annotations

import math
import threading
from typing import Any

from ...reference.config import TextUnetConfig
from ..demo.artist import Artist
from ..demo.jobs import CancelledError, Jobs
from ..demo.page import page
from ..demo.server import Server, serving
from ..system.say import say
from ..system.signals import first_interrupt_waits
from ..weights.shipped import place_of
from .batches import opened
from .demo_options import DemoConfig
from .exit_codes import DONE
from .remarks import Remark, remarks, untaught

TINY = 2**10
"""Pixels of images of which several are drawn at a time."""


def demo(config: DemoConfig) -> int:
    """Serve the page until Ctrl-C; 0.

    Raises:
        ValueError: no run, one that draws no pictures, or a port that is taken.
    """
    place_of(config.run).config.read()
    _, run = opened(config)
    diffusion = run.diffusion
    network = run.config.network
    if len(diffusion.image_size) != 2 or network.cond_channels:
        raise ValueError(
            f"run {str(config.run)!r} does not draw pictures from nothing, which the page is for"
        )
    number = config.num_samples or (4 if math.prod(diffusion.image_size) <= TINY else 1)
    count = network.num_classes or 0
    labels = diffusion.class_names or tuple(map(str, range(count)))

    def said_of(text: str) -> list[Remark]:
        tokenizer = diffusion.tokenizer
        if tokenizer is None or not isinstance(network, TextUnetConfig):
            return []
        return [*remarks([text], tokenizer, network), *untaught([text], run.config.data)]

    artist, jobs = Artist(run, config.run.absolute().name, number, labels, said_of), Jobs()
    try:
        server = Server(page(artist.facts()), artist.offer, jobs, config.port)
    except OSError as error:
        raise ValueError(
            f"port {config.port} cannot be had ({error.strerror}): choose another, or 0 for any "
            "(--port)"
        ) from None
    end = serving(server)
    try:
        say(f"open {server.address}\nCtrl-C ends it")
        with first_interrupt_waits("ending; once more ends at once") as interrupted:
            while not interrupted.is_set():
                _next(artist, jobs, interrupted)
    finally:
        end()
    return DONE


def _next(artist: Artist, jobs: Jobs, interrupted: threading.Event) -> None:
    """Draw what is next in the queue, if anything is."""
    job = jobs.take(0.2)
    if job is None or job.cancelled.is_set():
        return

    def show(view: dict[str, Any]) -> None:
        if interrupted.is_set():
            raise CancelledError
        job.show(view)

    try:
        job.end(artist.draw(job.asked, show))
    except CancelledError:
        job.end({"error": "stopped"})
    except ValueError as error:
        job.end({"error": str(error)})
    except Exception as error:  # what fails for one is no reason to leave the others alone
        say(f"not drawn: {type(error).__name__}: {error}", error=True)
        job.end({"error": "it failed; the terminal says how"})
