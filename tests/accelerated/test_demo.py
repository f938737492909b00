"""The page that draws: what it refuses, its queue, and real clicks in a real browser."""

from __future__ import annotations

import base64
import http.client
import io
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ddpm_mindspore.accelerated.cli import main
from ddpm_mindspore.accelerated.commands.presets import SCENES
from ddpm_mindspore.accelerated.demo import server as served
from ddpm_mindspore.accelerated.demo.artist import Artist
from ddpm_mindspore.accelerated.demo.asked import Asked, Offer, read
from ddpm_mindspore.accelerated.demo.jobs import WAITING, CancelledError, Job, Jobs
from ddpm_mindspore.accelerated.demo.page import page as page_of
from ddpm_mindspore.accelerated.demo.server import CONNECTIONS, LARGEST, Server, serving
from ddpm_mindspore.accelerated.reports.embedded import data_uri
from ddpm_mindspore.accelerated.reports.pictures import png
from ddpm_mindspore.accelerated.runs.opened import open_run

from ..browser import Page, browser, contrast, in_browser
from .test_paint import NETWORK
from .test_paint import make_run as make_text_run
from .test_repeat import make_run

EVIL = "</script><script>alert(1)</script>"
OFFER = Offer((3, 8, 12), ("cat", EVIL), False, 50, True)
TEXTS = Offer((1, 8, 8), (), True, 1000, False)
GREY = Image.new("RGB", (12, 8), "grey")
FACTS = {
    **{"name": f"run {EVIL}", "step": 1234, "weights": "average", "shape": OFFER.shape},
    **{"labels": OFFER.labels, "texts": False, "samplers": ["ddim", "unipc"], "sampler": "unipc"},
    **{"most": 50, "steps": 20, "guidance": 1.0, "number": 2, "fills": True},
    "example": "",
}


def uri(image: Image.Image) -> str:
    return "data:image/png;base64," + base64.b64encode(png(image)).decode()


def half(size: tuple[int, int] = (12, 8)) -> Image.Image:
    mask = Image.new("RGBA", size)
    mask.paste("blue", (0, 0, size[0] // 2, size[1]))
    return mask


@dataclass
class FakeArtist:
    """Draws grey pictures in ``steps`` steps, each as long as ``pace`` lets it be."""

    pace: Callable[[], object] = lambda: time.sleep(0.01)
    drawn: list[Asked] = field(default_factory=list)
    left: list[Asked] = field(default_factory=list)

    def work(self, jobs: Jobs, ends: threading.Event) -> None:
        while not ends.is_set():
            if (job := jobs.take(0.02)) is None:
                continue
            try:
                for step in range(job.asked.steps):
                    self.pace()
                    frames = [data_uri(GREY)] * 2
                    job.show({"step": step + 1, "of": job.asked.steps, "frames": frames})
                files = [png(GREY, {"Seed": str(job.asked.seed), "Image": str(i)}) for i in (0, 1)]
                self.drawn.append(job.asked)
                remark = f"never met {EVIL}", f"没有见过 {EVIL}"
                told = {"remarks": [remark] if job.asked.seed == 42 else []}
                job.end({"pictures": [base64.b64encode(x).decode() for x in files], **told})
            except CancelledError:
                self.left.append(job.asked)


@dataclass
class Running:
    """``gone``: the seeds of the drawings that nobody waits for any more, done ones too."""

    server: Server
    artist: FakeArtist
    gone: list[int]

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.server.server_port, timeout=10)

    def ask(
        self, method: str = "POST", place: str = "draw", body: Any = b"{}", **headers: str
    ) -> http.client.HTTPResponse:
        """Ask; underscores of headers are dashes."""
        usual = {"Content-Type": "application/json"} if method == "POST" else {}
        given = usual | {name.replace("_", "-"): value for name, value in headers.items()}
        path = place if place.startswith(("/", "http")) else f"/{self.server.token}/{place}"
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        connection = self.connect()
        connection.request(method, path, data if method == "POST" else None, given)
        return connection.getresponse()


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    artist, jobs, ends, gone = FakeArtist(), Jobs(), threading.Event(), list[int]()
    cancel = jobs.cancel

    def noted(job: Job) -> None:
        cancel(job)
        gone.append(job.asked.seed)

    monkeypatch.setattr(jobs, "cancel", noted)
    server = Server(page_of(FACTS), OFFER, jobs)
    end = serving(server)
    worker = threading.Thread(target=artist.work, args=(jobs, ends), daemon=True)
    worker.start()
    yield Running(server, artist, gone)
    ends.set()
    end()
    worker.join(10)
    assert not worker.is_alive()


def wait_for(holds: Callable[[], object], patience: float = 10.0) -> None:
    end = time.monotonic() + patience
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_request_is_read_as_it_was_meant() -> None:
    asked = read(b'{"label": "cat", "seed": 7, "steps": 3, "guidance": 2}', OFFER)
    assert asked == Asked("cat", "", 7, 3, "unipc", 2)
    body = {"label": "cat", "picture": uri(GREY), "mask": uri(half())}
    filled = read(json.dumps(body).encode(), OFFER)
    assert filled.picture is not None and filled.mask is not None
    assert filled.picture.shape == (3, 8, 12) and np.unique(filled.picture).tolist() == [128]
    assert filled.mask[:, :6].max() == 0 and filled.mask[:, 6:].min() == 1
    assert read('{"prompt": "红色的三"}'.encode(), TEXTS).prompt == "红色的三"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "no JSON"),
        (b"\xff", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"[]", "what there is not"),
        ({"run": "/etc"}, "what there is not"),
        ({"seed": -1}, "seed must be from 0"),
        ({"seed": 10**400}, "seed must be from 0"),
        ({"seed": 1.5}, "seed must be a whole number"),
        ({"seed": True}, "seed must be a whole number"),
        ({"seed": "1"}, "seed must be a whole number"),
        ({"steps": 0}, "steps must be from 1 to 50"),
        ({"steps": 51}, "steps must be from 1 to 50"),
        (b'{"label": "cat", "guidance": NaN}', "guidance must be from 0 to 50"),
        (b'{"label": "cat", "guidance": 1e999}', "guidance must be from 0 to 50"),
        ({"sampler": "../../x"}, "sampler '../../x' is unknown"),
        ({"label": "cow"}, "label 'cow' is no class"),
        ({"label": ["cat"]}, "label must be a text"),
        ({"label": "x" * 999}, "label has more than 300 letters"),
        ({"prompt": "a"}, "told no texts"),
        ({"picture": uri(GREY)}, "mask is no PNG"),
        ({"picture": "file:///etc/passwd", "mask": uri(half())}, "picture is no PNG"),
        ({"picture": "data:image/png;base64,AAAA", "mask": uri(half())}, "picture is no PNG"),
        ({"picture": uri(GREY.resize((9000, 9000))), "mask": uri(half())}, "of another size"),
        ({"picture": uri(GREY), "mask": uri(half((24, 8)))}, "mask is of another size"),
        ({"picture": uri(GREY), "mask": uri(GREY)}, "paint over a part"),
    ],
)
def test_nothing_that_a_request_says_is_trusted(body: Any, told: str) -> None:
    data = json.dumps({"label": "cat"} | body).encode() if isinstance(body, dict) else body
    with pytest.raises(ValueError, match=re.escape(told)):
        read(data, OFFER)


def test_the_page_is_on_this_machine_only_and_what_a_run_is_called_is_text(
    running: Running,
) -> None:
    assert running.server.server_address[0] == "127.0.0.1" and len(running.server.token) == 24
    answer = running.ask("GET", "")
    assert answer.status == 200 and EVIL not in answer.read().decode()
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "127.0.0.1"}, 421),
        ({"Host": "127.0.0.1.evil.example:PORT"}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"place": "/"}, 404),
        ({"place": "/draw"}, 404),
        ({"place": "/wrong-token-wrong-token-w/draw"}, 404),
        ({"place": "/TOKEN/../draw"}, 404),
        ({"place": "/TOKEN/../../../../etc/passwd"}, 404),
        ({"place": "/TOKEN/%2e%2e/%2e%2e/etc/passwd"}, 404),
        ({"place": "/TOKEN/draw?x=1"}, 404),
        ({"place": "/TOKEN/" + "a" * 60_000}, 404),
        ({"place": "/TOKEN/" + "a" * 70_000}, 414),
        ({"method": "GET", "place": "/TOKEN/draw"}, 404),
        ({"method": "GET", "place": "/TOKEN"}, 404),
        ({"method": "DELETE"}, 501),
        ({"Content_Type": "text/plain"}, 415),
        ({"Content_Length": "-1"}, 411),
        ({"Content_Length": "9" * 40}, 411),
        ({"Content_Length": str(LARGEST + 1)}, 413),
        ({"body": {"seed": -1}}, 400),
    ],
)
def test_hostile_requests_are_refused_and_draw_nothing(
    running: Running, request_: dict[str, Any], status: int
) -> None:
    port, token = str(running.server.server_port), running.server.token
    told = {
        name: value.replace("TOKEN", token).replace("PORT", port) if name != "body" else value
        for name, value in request_.items()
    }
    assert running.ask(**told).status == status
    assert running.artist.drawn == running.artist.left == []
    assert running.ask("GET", "").status == 200


def test_what_comes_late_or_never_is_not_waited_for(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served.Handler, "timeout", 1.5)
    idle = [socket.create_connection(running.server.server_address) for _ in range(CONNECTIONS)]
    wait_for(lambda: running.server._free._value == 0)
    with pytest.raises((http.client.HTTPException, OSError)):
        running.ask("GET", "")
    wait_for(lambda: running.server._free._value == CONNECTIONS)
    assert running.ask("GET", "").status == 200
    for connection in idle:
        connection.close()


def test_one_is_drawn_at_a_time_and_too_many_are_refused(running: Running) -> None:
    gate = threading.Event()
    running.artist.pace = lambda: gate.wait(10)
    answers = [running.ask(body={"label": "cat", "steps": 1, "seed": 0})]
    wait_for(lambda: not running.server.jobs._waiting)
    for i in range(WAITING):
        answers.append(running.ask(body={"label": "cat", "steps": 1, "seed": 1 + i}))
    refused = running.ask(body={"label": "cat"})
    assert refused.status == 503 and "too many" in json.loads(refused.read())["error"]
    assert json.loads(answers[3].readline()) == {"ahead": 2}
    gate.set()
    for answer in answers:
        *_, last = [json.loads(line) for line in answer.read().splitlines()]
        assert len(last["pictures"]) == 2
    assert [asked.seed for asked in running.artist.drawn] == list(range(1 + WAITING))


def test_who_goes_is_not_drawn_for(running: Running) -> None:
    steps = threading.Semaphore(0)
    running.artist.pace = steps.acquire
    first = running.ask(body={"label": "cat", "steps": 50, "seed": 1})
    second = running.ask(body={"label": "cat", "steps": 2, "seed": 2})
    third = running.ask(body={"label": "cat", "steps": 2, "seed": 3})
    steps.release()
    while "step" not in json.loads(first.readline()):
        pass
    second.close()
    wait_for(lambda: running.gone == [2])
    first.close()
    wait_for(lambda: running.gone == [2, 1])
    steps.release(9)
    assert b"pictures" in third.read()
    assert [a.seed for a in running.artist.left] == [1]
    assert [a.seed for a in running.artist.drawn] == [3]


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("browser")) as started:
        yield started.page()


STATUS = "document.getElementById('status').textContent"


@in_browser
def test_clicks_draw_stop_change_and_download(running: Running, tab: Page) -> None:
    steps = threading.Semaphore(0)
    running.artist.pace = steps.acquire
    tab.look(1000)
    tab.go(running.server.address)
    tab.ask("window.saved = []; HTMLAnchorElement.prototype.click = function () { "
            "window.saved.push([this.download, this.href]) }; get('seed').value = 42; "
            "get('steps').value = 3; 0")  # fmt: skip
    tab.click("#draw")
    steps.release()
    tab.wait(f"{STATUS} === 'step 1 of 3'")
    assert tab.ask("canvases[0].canvas.getContext('2d').getImageData(5, 5, 1, 1).data[0]") == 128
    tab.click("#stop")
    tab.wait(f"{STATUS} === 'stopped'")
    wait_for(lambda: running.gone == [42])
    running.artist.pace = lambda: None
    steps.release(9)
    wait_for(lambda: [a.seed for a in running.artist.left] == [42])
    tab.click("#draw")
    tab.wait(f"/^done in/.test({STATUS})")
    assert running.artist.drawn == [Asked("cat", "", 42, 3, "unipc", 1)]
    assert tab.ask("get('remarks').innerText") == f"never met {EVIL}"
    tab.click("figcaption button")
    name, source = tab.ask("window.saved[0]")
    assert name.startswith("run ") and name.endswith("-42-0.png")
    with Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))) as picture:
        assert picture.text == {"Seed": "42", "Image": "0"}  # type: ignore[attr-defined]
    tab.click("figure:nth-child(2) figcaption button:nth-child(2)")
    tab.wait("get('samplers').hidden && get('guides').hidden")
    x, y, wide, high = tab.ask(
        "(() => { get('mask').scrollIntoView({block: 'center'}); "
        "const r = get('mask').getBoundingClientRect(); return [r.x, r.y, r.width, r.height] })()"
    )
    tab.press(x + wide * 0.1, y + high * 0.3, x + wide * 0.4, y + high * 0.3)
    tab.click("#draw")
    tab.wait("document.querySelectorAll('.earlier button').length === 2")
    mask = running.artist.drawn[-1].mask
    assert mask is not None and mask[2, 3] == 0 and mask[:, 8:].all() and mask[6:].all()
    assert tab.complaints == []


@in_browser
def test_a_closed_tab_ends_its_work(running: Running, tab: Page) -> None:
    running.artist.pace = lambda: time.sleep(0.02)
    tab.go(running.server.address)
    tab.ask("get('steps').value = 50; 0")
    tab.click("#draw")
    tab.wait(f"/^step/.test({STATUS})")
    tab.go("about:blank")
    wait_for(lambda: len(running.artist.left) == 1)


@in_browser
def test_what_goes_wrong_is_said(running: Running, tab: Page) -> None:
    tab.go(running.server.address)
    tab.ask("get('label').append(new Option('cow', 'cow')); get('label').value = 'cow'; 0")
    seen = len(tab.complaints)
    tab.click("#draw")
    tab.wait(f"{STATUS} === \"not drawn: label 'cow' is no class\"")
    assert all("400" in complaint for complaint in tab.complaints[seen:])  # the browser's own line
    del tab.complaints[seen:]


@in_browser
def test_the_page_fits_in_both_languages_in_the_light_and_in_the_dark(
    running: Running, tab: Page
) -> None:
    tab.go(running.server.address)
    texts = """(() => { const ground = (e) => { const c = getComputedStyle(e).backgroundColor;
        return c === "rgba(0, 0, 0, 0)" ? ground(e.parentElement) : c };
      return [...document.querySelectorAll("[data-t], h1")].filter((e) => e.checkVisibility())
        .map((e) => [e.textContent, getComputedStyle(e).color, ground(e)]) })()"""
    for width in (360, 1000):
        for language in (0, 1):
            tab.look(width, dark=bool(language))
            tab.click(f".switch button[value='{language}']")
            assert tab.ask("document.documentElement.scrollWidth") <= width
            found = tab.ask(texts)
            assert len(found) > 8 and all(text for text, _, _ in found)
            for text, colour, ground in found:
                assert contrast(colour, ground) >= 4.5, text
    assert tab.ask("document.documentElement.lang") == "zh"
    assert tab.ask("get('told').textContent") == "第 1,234 步 · 权重的滑动平均"
    controls = "[...document.querySelectorAll('input, select, textarea')]"
    assert tab.ask(controls + ".every((e) => e.labels.length === 1)")
    assert tab.complaints == []


def test_what_the_page_is_not_for_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_run(tmp_path / "run")
    taken = socket.create_server(("127.0.0.1", 0))
    port = str(taken.getsockname()[1])
    for words, told in (
        ([str(tmp_path)], "is not a run folder"),
        ([str(tmp_path / "run"), "--port", port], f"port {port} cannot be had ("),
        ([str(tmp_path / "run"), "--num-samples", "99"], "num_samples 99 must be from 1 to 16"),
    ):
        assert main(["demo", *words]) == 2
        assert told in capsys.readouterr().err
    taken.close()


@pytest.mark.slow
def test_a_text_is_painted_and_a_part_of_a_picture(tmp_path: Path) -> None:
    opened = open_run(make_text_run(tmp_path / "run", replace(SCENES, network=NETWORK)).path)
    artist = Artist(opened, "run", 2, remarks=lambda text: [(text, text)])
    offer, seen = artist.offer, list[dict[str, Any]]()
    assert artist.facts()["example"] == "左边是红色的三，右边是蓝色的八"
    assert offer.texts and offer.fills and offer.labels == ()
    _, height, width = offer.shape
    done = artist.draw(Asked(prompt="红色的三", steps=3, guidance=2.0, seed=5), seen.append)
    assert done["remarks"] == [("红色的三", "红色的三")] and [view["step"] for view in seen] == [
        1,
        2,
        3,
    ]
    assert all(view["of"] == 3 and len(view["frames"]) == 2 for view in seen)
    picture = np.random.default_rng(0).integers(0, 256, offer.shape, np.uint8)
    mask = np.ones((height, width), np.uint8)
    mask[:, : width // 2] = 0
    filled = artist.draw(Asked(prompt="红", steps=4, picture=picture, mask=mask), seen.append)
    for i, data in enumerate(filled["pictures"]):
        with Image.open(io.BytesIO(base64.b64decode(data))) as read_:
            read_.load()
            pixels, text = np.asarray(read_).transpose(2, 0, 1), read_.text  # type: ignore[attr-defined]
        np.testing.assert_allclose(
            pixels[:, :, width // 2 :].astype(int), picture[:, :, width // 2 :], atol=1
        )
        assert (text["Task"], text["Label"], text["Image"]) == ("inpaint", "红", str(i))
    assert filled["pictures"][0] != filled["pictures"][1]

    def refuse(view: dict[str, Any]) -> None:
        raise CancelledError

    with pytest.raises(CancelledError):
        artist.draw(Asked(prompt="红", steps=4, picture=picture, mask=mask), refuse)


@pytest.mark.slow
@in_browser
def test_what_the_command_draws_is_drawn_again_by_sample(tmp_path: Path, tab: Page) -> None:
    make_run(tmp_path / "run")
    command = [sys.executable, "-m", "ddpm_mindspore.accelerated", "demo", "run"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        address = next(line for line in process.stdout if "http" in line).split()[-1]
        tab.go(address)
        tab.ask("get('label').value = 'dog'; get('guidance').value = 2.5; get('seed').value = 9; 0")
        tab.click("#draw")
        tab.wait("document.querySelectorAll('.earlier img').length === 1", 120)
        source = tab.ask("document.querySelector('.earlier img').src")
        (tmp_path / "one.png").write_bytes(base64.b64decode(source.partition(",")[2]))
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    again = tmp_path / "again"
    options = ["--like", str(tmp_path / "one.png"), "--output", str(again)]
    assert main(["sample", str(tmp_path / "run"), *options]) == 0
    assert (again / "00000.png").read_bytes() == (tmp_path / "one.png").read_bytes()
