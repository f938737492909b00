"""The metrics as TensorBoard reads them."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Iterable, Mapping
from pathlib import Path


def check_tensorboard() -> None:
    """Raise ValueError when there is nothing to write for TensorBoard with."""
    if importlib.util.find_spec("tensorboardX") is None:
        raise ValueError(
            "tensorboard needs the package tensorboardX: pip install 'ddpm-mindspore[tensorboard]'"
        )


class EventFile:
    """Scalars of a run in an event file.

    Args:
        folder: where the file is made.
        step: what an earlier, interrupted session has written beyond it is hidden.
    """

    def __init__(self, folder: Path, step: int) -> None:
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event, SessionLog

        folder.mkdir(parents=True, exist_ok=True)
        # Not its SummaryWriter, whose thread dies when the disk is full and then blocks the caller.
        self._file = EventsWriter(str(folder / "events"))
        self._file.write_event(Event(step=step + 1, file_version="brain.Event:2"))
        start = SessionLog(status=SessionLog.START)
        self._file.write_event(Event(step=step + 1, session_log=start))
        self._file.flush()

    def add(self, rows: Iterable[Mapping[str, float]]) -> None:
        """Write rows that have a "step" and any scalars.

        Raises:
            OSError: the disk is full.
        """
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.proto.summary_pb2 import Summary

        for row in rows:
            values = [
                Summary.Value(tag=name, simple_value=value)
                for name, value in row.items()
                if name != "step"
            ]
            event = Event(step=row["step"], wall_time=time.time(), summary=Summary(value=values))
            self._file.write_event(event)
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
