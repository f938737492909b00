"""A real browser, asked through its DevTools protocol: what it shows, logs and answers."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import re
import select
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium")
in_browser = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not on PATH")
PATIENCE = 60.0  # seconds
ALONE = "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"
"""No other machine has an address: whatever a page fetches from elsewhere fails."""


class Page:
    """A tab.

    Attributes:
        complaints: errors and warnings that it logged, and requests that failed.
    """

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser, self._session = browser, session
        self.complaints: list[str] = []

    def call(self, method: str, **options: Any) -> dict[str, Any]:
        """A command of the protocol, and its result."""
        return self._browser.call(method, self._session, **options)

    def go(self, address: str) -> None:
        """Open an address, and wait until it is there with all its pictures."""
        seen = len(self._browser.events)
        assert "errorText" not in (done := self.call("Page.navigate", url=address)), done
        self._browser.wait(
            lambda: any(e["method"] == "Page.loadEventFired" for e in self._browser.events[seen:]),
            f"{address} to load",
        )

    def ask(self, script: str) -> Any:
        """The value of an expression, awaited where it is a promise."""
        options = {"returnByValue": True, "awaitPromise": True, "userGesture": True}
        done = self.call("Runtime.evaluate", expression=script, **options)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def wait(self, script: str, patience: float = PATIENCE) -> Any:
        """Wait until an expression is true; its value."""
        found: list[Any] = []

        def holds() -> bool:
            found.append(self.ask(script))
            time.sleep(0.0 if found[-1] else 0.05)
            return bool(found[-1])

        self._browser.wait(holds, script, patience)
        return found[-1]

    def look(self, width: int, height: int = 900, *, dark: bool = False) -> None:
        """As in a window of this size, in the light or in the dark."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            **{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
        )
        schemes = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", features=schemes)

    def click(self, selector: str) -> None:
        """Press and release the left button over the middle of an element."""
        x, y = self.ask(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)}); "
            "e.scrollIntoView({block: 'center', behavior: 'instant'}); "
            "const r = e.getBoundingClientRect(); "
            "return [r.x + r.width / 2, r.y + r.height / 2] })()"
        )
        self.press(x, y)

    def press(self, *places: float) -> None:
        """Press at x, y, move to further places, and release there."""
        points = list(zip(places[::2], places[1::2], strict=True))
        kinds = ["mousePressed", *["mouseMoved"] * (len(points) - 1), "mouseReleased"]
        for kind, (x, y) in zip(kinds, [*points, points[-1]], strict=True):
            at = {"type": kind, "x": x, "y": y, "button": "left", "buttons": 1, "clickCount": 1}
            self.call("Input.dispatchMouseEvent", **at)

    def type(self, text: str) -> None:
        """Type into the element that has the focus."""
        self.call("Input.insertText", text=text)

    def screenshot(self, path: Path, *, whole: bool = True) -> None:
        """What it shows, as PNG; ``whole``: what is below the window too."""
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))


class Browser:
    """The process. Messages go through pipes, and end with a zero byte."""

    def __init__(self, folder: Path) -> None:
        # Above the numbers that the browser knows its pipes by.
        ours, theirs = _pipe(), _pipe()
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--lang=en"]
        options += ["--disable-background-networking", f"--user-data-dir={folder / 'profile'}"]
        options += [f"--host-resolver-rules={ALONE}"]
        shell = f'exec "$@" 3<&{ours[0]} 4>&{theirs[1]} 2>/dev/null'
        self._process = subprocess.Popen(
            ["bash", "-c", shell, "bash", str(CHROMIUM), *options, "--remote-debugging-pipe"],
            pass_fds=(ours[0], theirs[1]),
        )
        os.close(ours[0])
        os.close(theirs[1])
        self._to, self._from = ours[1], theirs[0]
        self._buffer, self._number = b"", 0
        self._answers: dict[int, dict[str, Any]] = {}
        self.events: list[dict[str, Any]] = []
        self._pages: dict[str, Page] = {}

    def page(self) -> Page:
        """A new tab."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        page = self._pages[attached["sessionId"]] = Page(self, attached["sessionId"])
        for domain in ("Page", "Runtime", "Log", "Network"):
            page.call(f"{domain}.enable")
        return page

    def call(self, method: str, session: str | None = None, **options: Any) -> dict[str, Any]:
        """A command, and its result."""
        self._number += 1
        number = self._number
        message = {"id": number, "method": method, "params": options}
        message |= {"sessionId": session} if session else {}
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._to, data) :]
        self.wait(lambda: number in self._answers, method)
        answer = self._answers.pop(number)
        assert "error" not in answer, (method, answer["error"])
        return dict(answer["result"])

    def wait(self, holds: Callable[[], bool], what: str, patience: float = PATIENCE) -> None:
        """Read messages until something holds."""
        end = time.monotonic() + patience
        while not holds():
            left = end - time.monotonic()
            assert left > 0, f"waited {patience:.0f} s for {what}"
            if select.select([self._from], [], [], min(left, 0.05))[0]:
                self._read()

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(PATIENCE)
        os.close(self._to)
        os.close(self._from)

    def _read(self) -> None:
        data = os.read(self._from, 2**20)
        assert data, "the browser has ended"
        *messages, self._buffer = (self._buffer + data).split(b"\0")
        for message in map(json.loads, messages):
            if "id" in message:
                self._answers[message["id"]] = message
            else:
                self.events.append(message)
                self._note(message)

    def _note(self, event: dict[str, Any]) -> None:
        page, told = self._pages.get(event.get("sessionId", "")), event["params"]
        if page is None:
            return
        if event["method"] == "Runtime.exceptionThrown":
            page.complaints.append(str(told["exceptionDetails"]))
        elif event["method"] == "Runtime.consoleAPICalled" and told["type"] in ("error", "warning"):
            page.complaints.append(str(told["args"]))
        elif event["method"] == "Log.entryAdded" and told["entry"]["level"] in ("error", "warning"):
            page.complaints.append(str(told["entry"]))
        elif event["method"] == "Network.loadingFailed" and not told.get("canceled"):
            page.complaints.append(f"request failed: {told['errorText']}")


def _pipe() -> tuple[int, int]:
    low = os.pipe()
    high = fcntl.fcntl(low[0], fcntl.F_DUPFD, 10), fcntl.fcntl(low[1], fcntl.F_DUPFD, 10)
    for end in low:
        os.close(end)
    return high


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """A browser whose profile is in a folder."""
    started = Browser(folder)
    try:
        yield started
    finally:
        started.close()


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two CSS colours, as WCAG 2.1 defines it."""

    def luminance(colour: str) -> float:
        parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)
