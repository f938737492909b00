"""``ddpm-mindspore report``: a run as one page."""

from __future__ import annotations

from ..reports.page import Walked, check_free, write_page
from ..runs.folder import RunFolder
from ..runs.names import REPORT
from ..system.runtime import select_device
from ..system.say import say
from .exit_codes import DONE
from .options import ReportConfig


def report(config: ReportConfig) -> int:
    """Write the page; 0.

    Raises:
        ValueError: not a run folder, or an output that holds what is no page of this program.
        OSError: it cannot be written.
    """
    run = RunFolder(config.run)
    run.config.read()
    path = config.run / REPORT if config.output is None else config.output
    check_free(path)
    walked = Walked()
    if config.draw and run.steps():
        from ..reports.walked import walk

        say(f"device: {select_device(config.device)}; drawing, and asking for the loss")
        say("compiling the network: about 15 s, and less where it was compiled before")
        walked = walk(run)
        for remark in walked.remarks:
            say(remark, error=True)
    write_page(run, path, walked if config.draw else None)
    say(f"done: {path}")
    return DONE
