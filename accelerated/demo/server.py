"""The page's server: on this machine's own address, for whoever knows the token in its address.

GET /TOKEN/        the page
POST /TOKEN/draw   JSON (asked.py) to a stream of JSON lines: {"ahead": 2}, {"step": 3, "of": 20,
                   "frames": [...]}, and at last {"pictures": [...]} or {"error": "..."}

A drawing lasts as long as its answer is read: who closes the tab or stops ends it. Other names of
this machine are refused, so that a page elsewhere cannot make a browser ask in its place
(DNS rebinding), and so are requests that such a page sends (Origin).
"""

from __future__ import annotations

import hmac
import json
import secrets
import select
import socket
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from .asked import Offer, read
from .jobs import FullError, Jobs

ADDRESS = "127.0.0.1"
LARGEST = 4 * 2**20
"""Bytes of a request."""

CONNECTIONS = 32
PATIENCE = 20.0
"""Seconds that a request may take to arrive."""

POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: blob:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'none'"
)


class Server(ThreadingHTTPServer):
    """The server.

    Args:
        page: the page, as HTML.
        offer: what may be asked for.
        jobs: where drawings wait.
        port: 0 is any that is free.

    Raises:
        OSError: the port is taken.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = CONNECTIONS

    def __init__(self, page: str, offer: Offer, jobs: Jobs, port: int = 0) -> None:
        super().__init__((ADDRESS, port), Handler)
        self.page, self.offer, self.jobs = page.encode(), offer, jobs
        self.token = secrets.token_urlsafe(18)
        self._free = threading.BoundedSemaphore(CONNECTIONS)

    @property
    def address(self) -> str:
        """Where the page is, with its token."""
        return f"http://{ADDRESS}:{self.server_port}/{self.token}/"

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread, where there are not too many."""
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._free.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer, and make room for another."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that breaks is nobody's business."""


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Server
    timeout = PATIENCE
    server_version, sys_version = "ddpm-mindspore", ""

    def do_GET(self) -> None:
        """The page."""
        if self._place() == "":
            self._answer(HTTPStatus.OK, self.server.page, "text/html; charset=utf-8")

    def do_POST(self) -> None:
        """A drawing."""
        place = self._place()
        if place == "draw":
            self._draw()
        elif place is not None:
            self._refuse(HTTPStatus.NOT_FOUND)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _place(self) -> str | None:
        """What is asked for below the token; None where that was refused."""
        port = self.server.server_port
        hosts = self.headers.get_all("Host") or []
        own = {f"{name}:{port}" for name in (ADDRESS, "localhost")}
        origin = self.headers.get("Origin")
        if len(hosts) != 1 or hosts[0] not in own:
            self._refuse(HTTPStatus.MISDIRECTED_REQUEST)
        elif origin is not None and origin not in {f"http://{host}" for host in own}:
            self._refuse(HTTPStatus.FORBIDDEN)
        else:
            before, token, place = (*self.path.split("/"), "", "")[:3]
            known = hmac.compare_digest(token.encode(), self.server.token.encode())
            asked = {"GET": "", "POST": "draw"}[self.command]
            if known and self.path == f"{before}/{token}/{asked}" and not before:
                return place
            self._refuse(HTTPStatus.NOT_FOUND)
        return None

    def _draw(self) -> None:
        length = self.headers.get("Content-Length", "")
        if self.headers.get_content_type() != "application/json":
            self._refuse(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
            return
        if not (length.isascii() and length.isdecimal()) or len(length) > 12:
            self._refuse(HTTPStatus.LENGTH_REQUIRED)
            return
        if int(length) > LARGEST:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return
        try:
            job = self.server.jobs.add(read(self.rfile.read(int(length)), self.server.offer))
        except ValueError as error:
            self._refuse(HTTPStatus.BAD_REQUEST, str(error))
            return
        except FullError:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "too many drawings are waiting")
            return
        try:
            self._head(HTTPStatus.OK, "application/x-ndjson")
            self._tell(job)
        finally:
            self.server.jobs.cancel(job)

    def _tell(self, job: Any) -> None:
        """Write what is new of a drawing, until its end or the reader's."""
        ahead = None
        while not _gone(self.connection):
            news, ended = job.news(0.1)
            if news is None and (now := self.server.jobs.ahead(job)) not in (None, ahead):
                news = {"ahead": (ahead := now)}
            if news is not None:
                self.wfile.write(json.dumps(news).encode() + b"\n")
            if ended:
                return

    def _refuse(self, status: HTTPStatus, why: str = "") -> None:
        body = json.dumps({"error": why or status.phrase}).encode()
        self._answer(status, body, "application/json")

    def _answer(self, status: HTTPStatus, body: bytes, kind: str) -> None:
        self._head(status, kind, {"Content-Length": str(len(body))})
        self.wfile.write(body)

    def _head(self, status: HTTPStatus, kind: str, more: dict[str, str] | None = None) -> None:
        self.send_response(status)
        headers = {
            "Content-Type": kind,
            "Content-Security-Policy": POLICY,
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Connection": "close",
        }
        for name, value in {**headers, **(more or {})}.items():
            self.send_header(name, value)
        self.end_headers()


def _gone(connection: socket.socket) -> bool:
    """Whether the reader has closed the connection."""
    readable, _, _ = select.select([connection], [], [], 0)
    if not readable:
        return False
    try:
        return not connection.recv(1, socket.MSG_PEEK)
    except OSError:
        return True


def serving(server: Server) -> Callable[[], None]:
    """Serve in a thread; what ends it."""
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
    thread.start()

    def end() -> None:
        server.shutdown()
        thread.join()
        server.server_close()

    return end
