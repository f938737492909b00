"""The page of a run: what it says, that it needs nothing else, and how a browser shows it."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from ddpm_mindspore.accelerated.cli import main
from ddpm_mindspore.accelerated.config import DIGITS
from ddpm_mindspore.accelerated.data.digits import load_digits
from ddpm_mindspore.accelerated.process import to_uint8
from ddpm_mindspore.accelerated.reports import pictures, words
from ddpm_mindspore.accelerated.reports.figures import Profile
from ddpm_mindspore.accelerated.reports.findings import SHOWN, gather
from ddpm_mindspore.accelerated.reports.laid_out import read_groups
from ddpm_mindspore.accelerated.reports.outlines import HEIGHT, INK, pictures_of
from ddpm_mindspore.accelerated.reports.page import Walked, to_html, write_page
from ddpm_mindspore.accelerated.reports.shown import Film
from ddpm_mindspore.accelerated.reports.shown import film as shown_film
from ddpm_mindspore.accelerated.reports.walked import walk
from ddpm_mindspore.accelerated.runs.checkpoint import Checkpoint, save
from ddpm_mindspore.accelerated.runs.folder import RunFolder
from ddpm_mindspore.accelerated.runs.names import sample_picture
from ddpm_mindspore.accelerated.runs.opened import build
from ddpm_mindspore.accelerated.runs.provenance import facts
from ddpm_mindspore.accelerated.trainer import samples as trainer_samples
from ddpm_mindspore.accelerated.trainer.nonfinite import NonfiniteError
from ddpm_mindspore.reference.config import MlpConfig, Unet1DConfig, UnetConfig

from ..browser import Browser, Page, browser, contrast, in_browser
from .quick_trainer import Quick, quick

__all__ = ["quick"]
CAST: dict[str, Any] = {
    name: {"value": value}
    for kind, apart in (("", 0.2), ("_deviation", -0.1))
    for name, value in ((f"drawn{kind}", 0.5 + apart), (f"real{kind}", 0.5))
} | {"cast": 9.1, "contrast": -5.4}
EVIL = "<script>alert('x')</script>&\"</td>"


def noisy(count: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, 1, 8, 8), np.uint8)


def make_run(path: Path) -> RunFolder:
    """A run of 1,000 steps, of which everything is there that a page may show."""
    run, config = RunFolder(path), replace(DIGITS, data=f"photos {EVIL}")
    run.prepare(resume=False)
    images = {"count": 1797, "path": f"/photos/{EVIL}", "classes": ["cat", EVIL]}
    run.config.write(config, images=images)
    rng = np.random.default_rng(0)
    rows = [
        {"step": i, "loss": 1 / i**0.5 * rng.uniform(0.8, 1.2), "grad_norm": rng.uniform(1, 9)}
        | {"lr": 2e-3, "seconds": rng.uniform(0.04, 0.06)}
        for i in range(1, 1001)
    ]
    rows[500]["loss"] = float("nan")
    run.metrics.append(rows)
    run.progress.write(
        {"step": 1000, "steps": 2000, "images_per_second": 1234.5, "seconds": {"steps": 5400.0}}
        | {"skipped": 3}
    )
    figure = {"frechet": 0.5, "frechet_error": 0.01, "kernel": 2e-3, "kernel_error": 1e-4}
    run.evaluations.append(
        figure | {"step": step, "samples": 500, "real": 1797, "frechet": 50 / step}
        for step in (200, 600, 1000)
    )
    (path / "evaluation").mkdir()
    value = {"value": 0.123, "error": 0.01}
    document = {
        "distances": {name: {"frechet": value, "recall": value} for name in ("drawn", "halves")},
        "step": 1000,
        "counts": {"samples": 40, "training": 200},
        "feature_space": f"pixels {EVIL}",
        "colour": {"names": [EVIL], "channels": [CAST]},
    }
    (path / "evaluation" / "evaluation.json").write_text(json.dumps(document))
    (path / "nonfinite.jsonl").write_text("{}\n{}\n")
    real = load_digits()[:12]
    for step in range(100, 1001, 100):
        drawn = np.clip(real.astype(int) + noisy(12, step) // (step // 50), 0, 255).astype(np.uint8)
        picture = pictures.comparison(drawn, real)
        text = facts(config, step, "average", config.sampling.but(sampler="ddim"), 7)
        run.samples.mkdir(exist_ok=True)
        pictures.save_png(picture, sample_picture(path, step), {**text, "Spacing": EVIL})
    save(path, Checkpoint(1000, {"model": {"w": np.zeros((3, 5), np.float32)}}, {}))
    return run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return make_run(tmp_path_factory.mktemp("report") / "my run <b> & 'sons'")


@pytest.fixture(scope="module")
def walked() -> Walked:
    states = np.stack([noisy(4, i) for i in range(9)])
    film = Film(states, states[::-1], tuple(range(800, -1, -100)))
    profile = Profile(tuple(range(1, 1001, 111)), tuple(2.0 ** -np.arange(10)), 64, 1000)
    return Walked(film, profile, (f"the images are gone {EVIL}",))


@pytest.fixture(scope="module")
def html(run: RunFolder, walked: Walked) -> str:
    return to_html(gather(run), walked)


def test_images_are_taken_out_of_a_comparison_as_they_were(tmp_path: Path) -> None:
    groups = noisy(7), noisy(3, 1)
    for i, images in enumerate((groups, [x.repeat(3, 1).repeat(9, 2) for x in groups])):
        path = tmp_path / f"{i}.png"
        pictures.save_png(pictures.comparison(*images, captions=("a" * 50, "b")), path)
        found = read_groups(Image.open(path))
        for one, other in zip(found, images, strict=True):
            np.testing.assert_array_equal(one, np.broadcast_to(other, one.shape))
    pictures.save_png(pictures.grid(groups[0]), tmp_path / "grid.png")
    assert read_groups(Image.open(tmp_path / "grid.png")) == ()


@pytest.mark.parametrize(
    "layout", ["{", "[1]", "[[0, 0, 1, 1, 9, 999, 9]]", "[[0,0,0,1,1,8,8]]", '[["a"]]', "[[1]]"]
)
def test_a_layout_that_lies_is_no_layout(tmp_path: Path, layout: str) -> None:
    picture = pictures.comparison(noisy(4), noisy(4))
    picture.info["Layout"] = layout
    pictures.save_png(picture, tmp_path / "a.png")
    assert read_groups(Image.open(tmp_path / "a.png")) == ()


def test_the_page_is_whole_and_what_a_run_holds_is_text(html: str) -> None:
    assert "<script>alert" not in html and EVIL not in html
    assert not re.findall(r"(?:src|href)=\"(?!data:image/)", html)
    assert "url(" not in html and "@import" not in html and "http://" not in html
    for said in (
        "my run &lt;b&gt; &amp; &#x27;sons&#x27;",
        "1,234",
        "90 min",
        "15 parameters",
        "is brighter than the data by 9 sampling errors (mean 0.7000, not 0.5000): train longer",
        "has less contrast than the data by 5 sampling errors (deviation 0.4000, not 0.5000): take",
    ):
        assert said in html, said
    assert (
        "<span>--results-folder</span> <span>&#x27;" in html and html.count("<img") == 2 + SHOWN + 1
    )
    assert len(html) < 600_000


def test_what_is_not_there_is_not_shown(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "new")
    run.prepare(resume=False)
    run.config.write(DIGITS)
    page = to_html(gather(run))
    assert "<svg" not in page and "<img" not in page and 'class="warnings"' not in page
    assert words.english("nothing_drawn") in page
    run.metrics.append([{"step": 1, "loss": math.nan}, {"step": 2, "loss": math.nan}])
    run.samples.mkdir()
    sample_picture(run.path, 3).write_bytes(b"no picture")
    run.evaluations.append([{"step": 2, "samples": 1, "real": 2}])
    assert "<svg" not in to_html(gather(run), Walked())


def test_every_text_is_there_in_both_languages_and_used() -> None:
    folder = Path(words.__file__).parent
    code = '"'.join(p.read_text() for p in [*folder.glob("*.py"), *folder.glob("*.html")]).replace(
        "'", '"'
    )
    for key, texts in words.table().items():
        english, chinese = (sorted(re.findall(r"\{\w+\}", text)) for text in texts)
        assert english == chinese, key
        assert re.search(r"[\u4e00-\u9fff]", texts[1]) or not re.search("[a-z]", texts[0]), key
        stem, _, last = key.partition("_")
        assert f'"{key}"' in code or f'"{stem}_{{' in code or f'{{key}}_{last}"' in code, key


def test_a_page_takes_the_place_of_a_page_and_of_nothing_else(
    run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    for _ in range(2):
        assert main(["report", str(run.path), "--no-draw", "--output", str(page)]) == 0
    assert f"done: {page}" in capsys.readouterr().out
    page.write_text("mine")
    for words_, said in (
        ([str(run.path), "--output", str(page)], "holds what is no page of this program: name"),
        ([str(run.path), "--output", str(tmp_path)], "cannot be written (Is a directory)"),
        ([str(tmp_path)], "is not a run folder"),
    ):
        assert main(["report", *words_]) == 2
        assert said in capsys.readouterr().err
    assert page.read_text() == "mine"


def test_a_training_ends_with_a_page(quick: Quick) -> None:
    trainer, _ = quick(np.stack([x.repeat(3, 0) for x in noisy(10).reshape(10, 1, 4, 16)])[..., :8])
    assert trainer.train()
    page = (trainer.run.path / "report.html").read_text()
    assert words.english("finished") in page and "7 of 7" in page
    assert page.count("<img") == 2 + 3  # drawn, real, and a row for each checkpoint


def test_a_training_that_no_number_stops_leaves_a_page_too(quick: Quick) -> None:
    trainer, step = quick(max_nonfinite_steps=2)
    step.wrong = dict.fromkeys((5, 6), (math.nan, 2.0))
    with pytest.raises(NonfiniteError):
        trainer.train()
    page = (trainer.run.path / "report.html").read_text()
    assert 'class="warnings"' in page and words.english("nonfinite", count="2") in page


def test_what_has_no_end_is_not_read(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    sample = sample_picture(run.path, 1100)
    names = ["nonfinite.jsonl", "evaluation/evaluation.json", sample.relative_to(run.path)]
    for name in names:
        (run.path / name).unlink(missing_ok=True)
        (run.path / name).symlink_to("/dev/zero")
    found = gather(run)
    assert (found.nonfinite, found.evaluation, found.samples[-1].step) == (0, None, 1000)
    os.mkfifo(tmp_path / "page.html")
    with pytest.raises(ValueError, match="holds what is no page of this program"):
        write_page(run, tmp_path / "page.html")


@pytest.mark.parametrize("fault", ["it fails", "mine"])
def test_no_page_is_no_reason_to_fail(
    quick: Quick,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    fault: str,
) -> None:
    trainer, _ = quick()

    def fail(*_: Any) -> None:
        raise RuntimeError(fault)

    page = trainer.run.path / "report.html"
    if fault == "mine":
        page.write_text(fault)
    else:
        monkeypatch.setattr(trainer_samples, "write_page", fail)
    assert trainer.train()
    assert (
        f"no page of the run: {'output' if fault == 'mine' else fault}" in capsys.readouterr().out
    )
    assert not page.exists() if fault != "mine" else page.read_text() == "mine"


def test_the_network_is_asked_for_its_way_and_its_loss(tmp_path: Path) -> None:
    net = UnetConfig(dim=4, dim_mults=(1,), channels=1, attn_heads=1, attn_dim_head=4)
    sampling = replace(DIGITS.sampling, clip_denoised=False)
    trainer = replace(DIGITS.trainer, num_samples=5)
    config = replace(DIGITS, network=net, sampling=sampling, trainer=trainer)
    run = RunFolder(tmp_path / "run")
    run.prepare(resume=False)
    run.config.write(config, images={"count": 1797, "path": None})
    opened = build(config)
    save(run.path, Checkpoint(5, {"ema": opened.model.arrays(), "model": {}}, {}))
    found = walk(run)
    assert found.remarks == () and found.film is not None and found.profile is not None
    film, profile = found.film, found.profile
    assert film.states.shape == film.estimates.shape == (21, 4, 1, 8, 8)
    assert film.times[0] == 1000 and film.times[-1] == 0
    # What the first state is taken for, asked of the network itself.
    start = opened.sample(
        5, return_all_timesteps=True, sampling_timesteps=1, sampler="ddim", seed=0
    )
    for one, other in ((film.states[0], start[:4, 0]), (film.estimates[0], start[:4, 1])):
        expected = to_uint8(np.clip(other, 0.0, 1.0)).astype(int)
        assert np.abs(one - expected).max() <= 1
    assert profile.times[0] == 1 and profile.times[-1] == 1000 and profile.images == 64
    assert np.isfinite(profile.losses).all() and np.ptp(profile.losses) > 0


@pytest.mark.parametrize(
    ("net", "size", "shown"),
    [
        (Unet1DConfig(dim=4, dim_mults=(1,), channels=2, attn_heads=1, attn_dim_head=4), 12, 4),
        (MlpConfig(dim=4, depth=1, channels=3), (), 1),
    ],
)
def test_the_way_of_sequences_and_vectors_is_seen_too(
    net: Any, size: Any, shown: int, tmp_path: Path
) -> None:
    trainer = replace(DIGITS.trainer, num_samples=5)
    config = replace(DIGITS, network=net, image_size=size, trainer=trainer, data="gone.npy")
    run = RunFolder(tmp_path / "run")
    run.prepare(resume=False)
    run.config.write(config, images={"count": 9, "path": "gone.npy"})
    save(run.path, Checkpoint(5, {"ema": build(config).model.arrays(), "model": {}}, {}))
    found = walk(run)
    assert len(found.remarks) == 1 and found.film is not None  # the data are gone
    states = found.film.states
    assert states.shape[:3] == found.film.estimates.shape[:3] == (21, shown, 1)
    # Every moment is drawn, and they are not all alike.
    assert (states.min(axis=(2, 3, 4)) == INK).all() and np.ptp(states, axis=0).any()
    assert shown_film(found.film).count("<img") == 1


def test_curves_clouds_and_histograms() -> None:
    rising = np.linspace(-1.0, 1.0, 200)[np.newaxis, np.newaxis]
    (curve,) = pictures_of(np.append(rising, np.full_like(rising, 5.0), axis=0), -1.0, 1.0)[:1, 0]
    inked = curve == INK
    assert curve.shape == (HEIGHT, 96) and inked[-1, 0] and inked[0, -1]
    assert (inked.sum(axis=0) >= 1).all() and (inked.sum(axis=0) <= 3).all()
    middle = [np.flatnonzero(column).mean() for column in inked.T]
    assert (np.diff(middle) <= 0.0).all() and middle[0] - middle[-1] > HEIGHT - 3  # upwards
    # From one value to another that is far away there is a line.
    (jump,) = pictures_of(np.array([[[-1.0, 1.0]]]), -1.0, 1.0)[:, 0]
    assert (jump[:, 1] == INK).all() and (jump[:, 0] == INK).sum() == 1
    # What is beyond the edges lies there; x to the right, y upwards.
    (cloud,) = pictures_of(np.array([[-9.0, -1.0], [1.0, 9.0]]), -1.0, 1.0)[:, 0]
    assert [*map(tuple, np.argwhere(cloud == INK))] == [(0, HEIGHT - 1), (HEIGHT - 1, 0)]
    (bars,) = pictures_of(np.array([[-1.0], [-1.0], [1.0]]), -1.0, 1.0)[:, 0]
    heights = (bars == INK).sum(axis=0)
    assert (heights[0], heights[-1], heights[1:-1].sum()) == (HEIGHT, HEIGHT // 2, 0)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("browser")) as started:
        yield started


@pytest.fixture(scope="module")
def page(html: str, chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Page:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(html, encoding="utf-8")
    page = chromium.page()
    page.look(1100)
    page.go(path.as_uri())
    return page


@in_browser
@pytest.mark.parametrize("language", [0, 1])
@pytest.mark.parametrize("width", [360, 1100])
def test_it_fits_a_phone_and_a_desk(page: Page, width: int, language: int) -> None:
    page.look(width)
    page.click(f".switch button[value='{language}']")
    assert page.ask("document.documentElement.scrollWidth") <= width, "it scrolls sideways"
    beyond = (
        "((e) => e.scrollWidth - e.clientWidth)([...document.querySelectorAll('.table')].at(-1))"
    )
    assert page.ask(beyond) <= 0, "real halves are not beside what is drawn"
    assert page.complaints == []


@in_browser
def test_pictures_are_there_and_everything_has_a_name(page: Page) -> None:
    found = page.ask("[...document.images].map((i) => [i.naturalWidth, i.alt])")
    assert len(found) == 2 + SHOWN + 1 and all(width > 8 and len(alt) > 10 for width, alt in found)
    named = "[...document.querySelectorAll('[role=img], [role=region], [role=group]')]"
    names = page.ask(named + ".map((e) => e.getAttribute('aria-label'))")
    assert len(names) == 4 + 1 + 3 + 1 and all(names)
    levels = page.ask("[...document.querySelectorAll('h1,h2,h3')].map((h) => +h.tagName[1])")
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    unnamed = page.ask(
        "[...document.querySelectorAll('button')].filter((b) => !b.innerText).length"
    )
    assert unnamed == 0 and page.ask("document.querySelector('input').labels.length") == 1


@in_browser
def test_the_switch_says_everything_in_chinese_and_back(page: Page) -> None:
    page.click(".switch button[value='1']")
    assert page.ask("document.documentElement.lang") == "zh"
    assert page.ask("document.title").startswith("训练报告：my run <b>")
    seen = page.ask("document.querySelector('main').innerText")
    for key in ("drawn_title", "curves_title", "quality_note", "config_title"):
        assert words.table()[key][1] in seen and words.table()[key][0] not in seen
    assert page.ask("document.querySelector('.chart').ariaLabel").startswith("从第 1 步的")
    page.click(".switch button[value='0']")
    assert words.english("quality_note") in page.ask("document.querySelector('main').innerText")


@in_browser
def test_the_film_plays_and_can_be_held(page: Page) -> None:
    page.click(".switch button[value='0']")
    if page.ask("document.querySelector('.player button').innerText") == "Play":
        page.click(".player button")
    page.wait("document.querySelector('.player input').value !== '8'")
    page.click(".player button")
    assert page.ask("document.querySelector('.player button').innerText") == "Play"
    pixels = (
        "((k) => { const s = document.querySelector('.player input'); s.value = k; "
        "s.dispatchEvent(new Event('input')); const c = document.querySelector('.player canvas'); "
        "return [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data].join() })"
    )
    assert page.ask(f"{pixels}(0)") != page.ask(f"{pixels}(3)") != page.ask(f"{pixels}(8)")
    assert page.ask("document.querySelector('.player output').value") == "t = 0"


@in_browser
def test_it_is_readable_in_the_light_and_in_the_dark(page: Page) -> None:
    colours = """(() => {
      const ground = (e) => { const c = e ? getComputedStyle(e).backgroundColor : "rgb(9, 9, 9)";
        return c === "rgba(0, 0, 0, 0)" ? ground(e.parentElement) : c };
      const texts = [...document.querySelectorAll("body *")].filter((e) => e.checkVisibility() &&
        [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()));
      const ink = (e) => e.closest("svg") ? getComputedStyle(e).fill : getComputedStyle(e).color;
      return texts.map((e) => [e.outerHTML.slice(0, 80), ink(e), ground(e)]) })()"""
    grounds = []
    for dark in (False, True):
        page.look(1100, dark=dark)
        found = page.ask(colours)
        assert len(found) > 60
        for element, colour, ground in found:
            assert contrast(colour, ground) >= 4.5, (element, colour, ground)
        grounds.append(page.ask("getComputedStyle(document.body).backgroundColor"))
    assert contrast(*grounds) > 10
