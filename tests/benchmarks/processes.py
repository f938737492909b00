"""The parent's end of the pipe: workers that are started, told to measure in turn, and ended."""

from __future__ import annotations

import json
import os
import select
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


class WorkerError(RuntimeError):
    """A worker ended, or was silent for too long; the message ends with what it said last."""


class Worker:
    """One process that measures when it is told to, and waits in a read when it is not.

    Args:
        name: what to call it in an error.
        command: what to run.
        environment: variables to set besides those of this process.
        patience: seconds to wait for an answer.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: dict[str, str],
        patience: float = 900.0,
    ) -> None:
        self._name = name
        self._folder = tempfile.TemporaryDirectory(prefix="benchmark-")
        self._log = Path(self._folder.name, "log")
        self._patience = patience
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=self._folder.name,
                env={**os.environ, **environment},
            )

    def answer(self) -> dict[str, Any]:
        """Wait for the next message.

        Raises:
            WorkerError: none came.
        """
        out = self._process.stdout
        assert out is not None
        if not select.select([out], [], [], self._patience)[0]:
            raise WorkerError(
                f"{self._name} gave no answer in {self._patience:.0f} s; {self._last_words()}"
            )
        line = out.readline()
        if not line:
            raise WorkerError(
                f"{self._name} ended with code {self._process.wait()}; {self._last_words()}"
            )
        message: dict[str, Any] = json.loads(line)
        return message

    def measure(self, steps: int) -> dict[str, Any]:
        """Have it do so many steps; its answer.

        Raises:
            WorkerError: it did not.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"steps": steps}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # the answer says what happened
        return self.answer()

    def close(self) -> None:
        """End it, and remove what it wrote."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            try:
                if stream is not None:
                    stream.close()
            except BrokenPipeError:
                pass
        self._folder.cleanup()

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return "its last words: " + (" / ".join(line.strip() for line in lines[-3:]) or "none")


@dataclass
class Measured:
    """What the sides of a comparison said.

    Attributes:
        seconds: per side, of one step, one number a round.
        ready: per side, its first message, and the seconds from its start until it came.
        peak: per side, bytes.
    """

    seconds: dict[str, list[float]] = field(default_factory=dict)
    ready: dict[str, dict[str, Any]] = field(default_factory=dict)
    peak: dict[str, float] = field(default_factory=dict)


def in_turn(
    commands: Mapping[str, tuple[Sequence[str], dict[str, str]]],
    *,
    rounds: int,
    steps: int,
) -> Measured:
    """Measure every side once a round, one after another: A B A B ... The first is not counted.

    Args:
        commands: for each side its command and environment.
        rounds: how many are counted.
        steps: how many steps one measurement is of.

    Raises:
        WorkerError: a side failed.
        ValueError: the sides' networks differ in size.
    """
    measured, workers = Measured(), {}
    try:
        for side, command in commands.items():
            begin = time.perf_counter()
            workers[side] = Worker(side, *command)
            ready = workers[side].answer()
            measured.ready[side] = {**ready, "prepared": time.perf_counter() - begin}
        sizes = {side: message["parameters"] for side, message in measured.ready.items()}
        if len({size for size in sizes.values() if size}) > 1:  # 0 is of no network
            raise ValueError(f"the networks differ, in parameters: {sizes}")
        for number in range(rounds + 1):
            for side, worker in workers.items():
                message = worker.measure(steps)
                measured.peak[side] = message["peak"]
                if number:
                    measured.seconds.setdefault(side, []).append(message["seconds"] / steps)
    finally:
        for worker in workers.values():
            worker.close()
    return measured
