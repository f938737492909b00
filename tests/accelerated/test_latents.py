"""Training on latents: encoded once, drawn by their moments, from a published run or from none."""

from __future__ import annotations

import gc
import json
import shutil
import signal
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from PIL import Image

from ddpm_mindspore.accelerated.cli import main
from ddpm_mindspore.accelerated.commands.defaults import train_defaults
from ddpm_mindspore.accelerated.data import open_images
from ddpm_mindspore.accelerated.data.latents import LatentImages
from ddpm_mindspore.accelerated.data.records import RecordImages
from ddpm_mindspore.accelerated.data.rows import Rows
from ddpm_mindspore.accelerated.networks.autoencoder import Autoencoder
from ddpm_mindspore.accelerated.networks.transformer import Transformer
from ddpm_mindspore.accelerated.randomness import Purpose, batch_indices, coins, normal, uniform
from ddpm_mindspore.accelerated.runs.checkpoint import load_newest
from ddpm_mindspore.accelerated.runs.folder import RunFolder
from ddpm_mindspore.accelerated.runs.opened import build, open_run
from ddpm_mindspore.accelerated.runs.vocabulary import read_tokenizer
from ddpm_mindspore.accelerated.trainer.loop import Trainer
from ddpm_mindspore.accelerated.weights.autoencoder import read_coder
from ddpm_mindspore.accelerated.weights.published import import_published
from ddpm_mindspore.reference import latents
from ddpm_mindspore.reference.config import wukong
from ddpm_mindspore.reference.networks import autoencoder, transformer

from .test_distributed import share_of_the_bound, start
from .test_published import CODER, NETWORK, checkpoint, tensors

SAID = ["左边是紫色的三", "一只猫", "第二只猫", "狗"]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published")
    import_published(checkpoint(folder / "w.ckpt"), folder / "run", NETWORK, CODER)
    return folder / "run"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Four pictures, each with a caption, and the first with two."""
    folder = tmp_path / "data"
    folder.mkdir()
    rng = np.random.default_rng(0)
    rows = ["dir,text", "0.png,又一个"]
    for i, text in enumerate(SAID):
        pixels = rng.integers(0, 256, (16, 16, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
        rows.append(f"{i}.png,{text}")
    (folder / "list.csv").write_text("\n".join(rows), encoding="utf-8")
    return folder


def words(published: Path, data: Path, folder: Path, *more: str) -> list[str]:
    return [
        *("train", "--from", str(published), "--data", str(data), "--image-size", "8"),
        *("--results-folder", str(folder), "--batch-size", "2", "--save-every", "2"),
        *("--steps", "2", "--num-samples", "2", "--sampling-timesteps", "2", *more),
    ]


def trainer(published: Path, data: Path, folder: Path, **options: Any) -> Trainer:
    """As the command makes it, of a run that has not begun."""
    config = train_defaults(["--from", str(published), "--data", str(data)])
    config = replace(config, image_size=8)
    network = options.pop("network", {})
    config = replace(config, network=replace(config.network, **network))
    diffusion = build(config)
    diffusion.tokenizer = read_tokenizer(RunFolder(published))
    given = asdict(config.trainer) | {"results_folder": str(folder), "train_batch_size": 4}
    return Trainer(diffusion, str(data), **given | options)


def pictures(data: Path) -> np.ndarray:
    read = [np.asarray(Image.open(data / f"{i}.png")).transpose(2, 0, 1) for i in range(4)]
    return np.stack(read) / 127.5 - 1.0


def arrays(prefix: str) -> dict[str, np.ndarray]:
    """Of the published checkpoint, one part."""
    return {
        e["name"].removeprefix(prefix): e["data"].astype(np.float64)
        for e in tensors()
        if e["name"].startswith(prefix)
    }


def close(actual: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(actual, expected, rtol=0.0, atol=1e-4 * np.abs(expected).max())


def alive(kind: type) -> int:
    gc.collect()
    return sum(type(thing) is kind for thing in gc.get_objects())


def test_an_update_sees_what_the_reference_says(
    published: Path, data: Path, tmp_path: Path
) -> None:
    options = {"augment_horizontal_flip": True, "scale_factor": "measured"}
    made = trainer(published, data, tmp_path / "run", **options)
    seed, positions, diffusion = made.config.seed, range(4), made.diffusion

    def loss() -> float:
        """Of one micro-batch, with the ids of texts, or with states where these are known."""
        z = normal(seed, Purpose.NOISE, 9, range(1), (4, 8, 8))
        one = diffusion.micro_batch(z, 1, range(1), seed, SAID[:1])
        return float(diffusion.loss(*one.tensors()).asnumpy())

    with_encoder, before = loss(), alive(Transformer)
    (batch,), _ = made.redo(1)
    (again,), _ = made.redo(1)  # without the text encoder
    np.testing.assert_array_equal(again.x_0, batch.x_0)
    assert (alive(Autoencoder), alive(Transformer)) == (0, before - 1)
    np.testing.assert_allclose(loss(), with_encoder, rtol=1e-5)
    # The latents.
    places = batch_indices(seed, 4, 0, 4)
    x = pictures(data)[places]
    flips = coins(seed, Purpose.FLIP, 1, positions)
    assert flips.any() and not flips.all()
    x[flips] = x[flips, ..., ::-1]
    coder = arrays(wukong.PREFIXES["autoencoder"])
    every = np.concatenate(autoencoder.encode(coder, CODER, pictures(data)), axis=1)
    scale = latents.scale_factor(every)
    np.testing.assert_allclose(read_coder(tmp_path / "run").scale, scale, rtol=1e-5)
    found = autoencoder.encode(coder, CODER, x)
    noise = normal(seed, Purpose.LATENT, 1, positions, (4, 8, 8)).astype(np.float64)
    expected = latents.draw(np.concatenate(found, axis=1), noise, scale)
    close(batch.x_0, expected)
    # The states of the texts, of which some are withheld.
    choice = uniform(seed, Purpose.CAPTION, 0, positions, 1)[:, 0]
    first, chosen = ["又一个", SAID[0]], zip(places, choice, strict=True)
    said = [first[int(2 * u)] if i == 0 else SAID[i] for i, u in chosen]
    withheld = coins(seed, Purpose.UNTOLD, 1, positions, NETWORK.cond_drop_prob)
    said = ["" if nothing else text for nothing, text in zip(withheld, said, strict=True)]
    assert diffusion.tokenizer is not None and batch.condition is not None
    ids = diffusion.tokenizer.rows(said, NETWORK.length)
    text = arrays(wukong.PREFIXES["text_encoder"])
    close(batch.condition, transformer.transformer(text, NETWORK.text, ids))
    with pytest.raises(ValueError, match="a text is none of the data's"):
        diffusion.sample(1, condition="一", sampling_timesteps=1)


def test_latents_are_encoded_once_and_anew_where_they_are_damaged(
    data: Path, tmp_path: Path
) -> None:
    cache, count = tmp_path / "cache", 0

    def encode(picture: np.ndarray) -> np.ndarray:
        nonlocal count
        count += 1
        return picture[:2, ::2, ::2]

    def begin(*, by: str = "one", kind: str = "center", stop: int = 99) -> np.ndarray | None:
        """The moments of all pictures, and in ``count`` how many of them were computed."""
        nonlocal count
        count = 0
        pictures = open_images(data, (16, 16), 3, memory_limit=0, caption_encoding="utf-8")
        assert isinstance(pictures, RecordImages)
        images = LatentImages(pictures, (1, 8, 8), flips=True)
        images.open(cache, by, kind)
        done = images.encode(lambda: encode, progress=False, stops=lambda: count >= stop)
        return images.items(np.arange(images.places)).x if done else None

    assert begin(stop=4) is None and count == 4
    whole = begin()
    assert whole is not None and count == 4
    seen = pictures(data).astype(np.float32)
    np.testing.assert_allclose(whole[:, 0], seen[:, :2, ::2, ::2], atol=1e-6)
    np.testing.assert_allclose(whole[:, 1], seen[:, :2, ::2, ::-2], atol=1e-6)
    (file,) = cache.iterdir()
    data_of_it = file.read_bytes()
    for damaged, anew in (
        (data_of_it, 0),
        (data_of_it[:70] + b"\x00\x01" + data_of_it[72:], 2),
        (data_of_it[: len(data_of_it) // 2 + 5], 4),
        (b"", 8),
    ):
        file.write_bytes(damaged)
        np.testing.assert_array_equal(begin(), whole)
        assert count == anew
        assert file.read_bytes() == data_of_it
    for changed in ({"by": "another"}, {"kind": "none"}):
        begin(**changed)  # type: ignore[arg-type]
        assert count == 8
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(data / "3.png")
    begin()
    assert count == 8
    png = (data / "2.png").read_bytes()
    (data / "2.png").write_bytes(png[:60] + bytes(40) + png[100:])  # found when it is decoded
    found = begin()
    assert found is not None and count == 6
    assert any((found[2] == found[i]).all() for i in (0, 1, 3))


def test_rows_that_are_not_whole_are_missing(tmp_path: Path) -> None:
    rows = Rows(tmp_path / "new" / "a.rows", 3, (2, 2))
    assert rows.missing() == [0, 1, 2]
    rows[1] = np.arange(4, dtype=np.float32).reshape(2, 2)
    rows[0] = np.zeros((2, 2), np.float32)
    again = Rows(tmp_path / "new" / "a.rows", 3, (2, 2))
    assert again.missing() == [2]
    np.testing.assert_array_equal(again[1], [[0, 1], [2, 3]])
    with pytest.raises(ValueError, match=r"row 2 of '.*a\.rows' is damaged"):
        again[2]
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"data_cache '.*file' cannot be written"):
        Rows(tmp_path / "file" / "a.rows", 3, (2, 2))


@pytest.mark.slow
def test_a_published_run_is_trained_on_and_goes_on_exactly(
    published: Path,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole, parts, moved = (tmp_path / name for name in ("whole", "parts", "moved"))
    assert main(words(published, data, whole, "--steps", "4")) == 0
    source = tmp_path / "published"
    shutil.copytree(published, source)
    with monkeypatch.context() as patched:
        write, written = Rows.__setitem__, 0

        def interrupted(self: Rows, place: int, row: np.ndarray) -> None:
            nonlocal written
            write(self, place, row)
            written += 1
            if written in (3, 6):  # pictures, and then texts
                signal.raise_signal(signal.SIGINT)

        patched.setattr(Rows, "__setitem__", interrupted)
        for told in ("3 of 4 pictures", "2 of 6 texts"):
            capsys.readouterr()
            assert main(words(source, data, parts, "--steps", "4")) == 130
            assert f"stopped: {told} are encoded; the same command" in capsys.readouterr().err
    assert main(words(source, data, parts)) == 0
    shutil.rmtree(source)
    parts.rename(moved)
    assert main(["train", "--resume", "--results-folder", str(moved), "--steps", "4"]) == 0
    one, other = load_newest(whole).checkpoint, load_newest(moved).checkpoint
    assert one.step == other.step == 4
    for group, found in one.tensors.items():
        assert other.tensors[group].keys() == found.keys()
        for name, array in found.items():
            np.testing.assert_array_equal(other.tensors[group][name], array)
    # What is frozen is there once.
    text = wukong.PREFIXES["text_encoder"]
    assert not any(name.startswith(text) for name in one.tensors["model"])
    base = safetensors.numpy.load_file(whole / "base.safetensors")
    assert base.keys() == {text + name for name in arrays(text)}
    assert read_coder(whole).scale == wukong.SCALE_FACTOR
    # It paints, and what it has drawn are pictures.
    shown = Image.open(whole / "samples" / "step-00000004.png")
    assert min(shown.size) > 16
    output = tmp_path / "out"
    paint = ["paint", "一只鸟", "--run", str(moved), "--num-samples", "2", "--seed", "3"]
    assert main([*paint, "--sampling-timesteps", "2", "--output", str(output)]) == 0
    drawn = np.load(output / "samples.npy")
    assert drawn.shape == (2, 3, 16, 16)
    run = open_run(moved)
    z = run.diffusion.sample(1, condition="一只鸟", sampling_timesteps=2, seed=3, first=1)
    coder = arrays(wukong.PREFIXES["autoencoder"])
    expected = autoencoder.decode(coder, CODER, latents.undo(z, wukong.SCALE_FACTOR))
    np.testing.assert_allclose(drawn[1:] / 255, np.clip((expected + 1) / 2, 0, 1), atol=1.01 / 255)
    for command, told in (
        (["sample", str(moved)], "is told texts: say what to draw"),
        (["export", str(moved)], "its weights can be drawn with here alone"),
        (["edit", str(moved), str(data / "0.png")], "draws latents, which this does not"),
    ):
        capsys.readouterr()
        assert main(command) == 2
        assert told in capsys.readouterr().err
    rows = [json.loads(line) for line in (moved / "metrics.jsonl").read_text().splitlines()]
    capsys.readouterr()
    assert main(["replay", str(moved), "--step", "3"]) == 0
    assert f"loss {rows[2]['loss']:.5g}"[:10] in capsys.readouterr().out
    assert main(["report", str(moved)]) == 0
    evaluate = ["evaluate", str(moved), "--num-samples", "16", "--sampling-timesteps", "1"]
    assert main(evaluate) == 2
    assert "data has 4 items" in capsys.readouterr().err


@pytest.mark.slow
def test_factors_are_added_to_a_published_run(published: Path, data: Path, tmp_path: Path) -> None:
    run, prior = tmp_path / "run", tmp_path / "prior.txt"
    prior.write_text("一只鸟", encoding="utf-8")
    more = ["--lora-rank", "2", "--prior", str(prior), "--prior-number", "3"]
    assert main(words(published, data, run, *more)) == 0
    made = load_newest(run).checkpoint.tensors["model"]
    assert made and all(".lora_" in name for name in made)
    # Latents that it drew, as they were drawn.
    opened = open_run(published)
    expected = opened.diffusion.sample(
        3, condition=["一只鸟"] * 3, sampling_timesteps=2, seed=0, image_size=8
    )
    close(np.load(run / "prior" / "samples.npy"), expected)
    assert main(["train", "--resume", "--results-folder", str(run), "--steps", "4"]) == 0
    assert main(["export", str(run)]) == 0
    paint = ["paint", "狗", "--num-samples", "1", "--sampling-timesteps", "1"]
    lora = f"{run}/lora.safetensors"
    for how in (["--run", str(run)], ["--run", str(published), "--lora", lora]):
        assert main([*paint, *how, "--output", str(tmp_path / "out")]) == 0


@pytest.mark.slow
def test_the_text_encoder_is_trained_too_where_that_is_asked_for(
    published: Path, data: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    rng = np.random.default_rng(1)
    with (data / "list.csv").open("a", encoding="utf-8") as rows:
        for i in range(4, 32):
            Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8)).save(data / f"{i}.png")
            rows.write(f"\n{i}.png,狗")
    assert main(words(published, data, run, "--no-freeze-text-encoder", "--lr", "1e-3")) == 0
    model = load_newest(run).checkpoint.tensors["model"]
    text = wukong.PREFIXES["text_encoder"]
    name = "ln_final.gamma"
    assert (model[text + name] != arrays(text)[name]).all()
    assert not (run / "base.safetensors").exists()
    assert not list((run / "encoded").glob("texts-*"))
    assert main(["evaluate", str(run), "--num-samples", "16"]) == 0
    found = json.loads((run / "evaluation" / "evaluation.json").read_text(encoding="utf-8"))
    assert found["counts"]["training_in_all"] == 32


@pytest.mark.nightly
def test_a_network_of_ones_own_learns_latents_from_nothing(
    published: Path, data: Path, tmp_path: Path
) -> None:
    run, folder = tmp_path / "run", tmp_path / "many"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(32):
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8)).save(folder / f"{i}.png")
    start = [
        *("train", "--data", str(folder), "--autoencoder", str(published), "--image-size", "8"),
        *("--dim", "8", "--dim-mults", "1", "2", "--attn-heads", "1", "--attn-dim-head", "8"),
        *("--batch-size", "4", "--steps", "2", "--save-every", "2", "--num-samples", "2"),
        *("--sampling-timesteps", "2", "--evaluate-every", "2", "--evaluate-samples", "16"),
    ]
    assert main([*start, "--results-folder", str(run)]) == 0
    assert len((run / "evaluations.jsonl").read_text().splitlines()) == 1
    assert main(["sample", str(run), "--num-samples", "3"]) == 0
    assert np.load(run / "drawn" / "samples.npy").shape == (3, 3, 16, 16)
    assert main(["sample", str(run), "--like", str(run / "drawn" / "00002.png")]) == 0
    assert main(["evaluate", str(run), "--num-samples", "16"]) == 0
    found = json.loads((run / "evaluation" / "evaluation.json").read_text(encoding="utf-8"))
    assert found["counts"]["training_in_all"] == 32
    # And another one from it, with its autoencoder.
    more = ["--from", str(run), "--data", str(folder), "--results-folder", str(tmp_path / "more")]
    assert main([*start[:1], *more, *start[5:]]) == 0
    assert read_coder(tmp_path / "more").digest == read_coder(published).digest


def test_what_does_not_go_with_latents_is_refused(
    published: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    inpaints = tmp_path / "inpaints"
    import_published(checkpoint(tmp_path / "i.ckpt", 5), inpaints, NETWORK, CODER)
    fresh = ["train", "--data", str(data), "--results-folder", str(run), "--autoencoder"]
    own = [*fresh, str(published), "--image-size", "8", "--dim", "8", "--dim-mults", "1"]
    for given, told in (
        (["train", "--from", str(published)], "holds imported weights, and no images to train on"),
        (["train", "--from", str(inpaints), "--data", str(data)], "paints what a mask hides"),
        ([*fresh, str(data)], "cannot be read"),
        ([*fresh, str(tmp_path / "none.ckpt")], "is not a file: name a .ckpt file"),
        ([*own, "--crop", "random"], "crop 'random' cuts pictures anew each time"),
        ([*own, "--channels", "3"], "channels 3 of the network, and latents of"),
        ([*own, "--auto-normalize"], "latents do not lie in [0, 1]"),
        ([*own, "--scale-factor", "0"], "scale_factor 0.0 must be positive"),
        ([*own, "--super-resolve", "2"], "super_resolve 2 shows small pictures"),
        ([*own, "--data", "digits"], "autoencoder needs a folder of pictures"),
        (["train", "--scale-factor", "2"], "scale_factor 2.0 is for latents"),
    ):
        if "--results-folder" not in given:
            given = [*given, "--results-folder", str(run)]
        capsys.readouterr()
        assert main(given) == 2, given
        assert told in capsys.readouterr().err, given
    assert not (run / "encoded").exists()


@pytest.mark.nightly
def test_two_processes_encode_once_and_are_one_with_twice_the_batch(
    published: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are stopped between two updates and two more; the first one is late."""
    options = [
        *("--from", str(published), "--data", str(data), "--image-size", "8"),
        *("--augment-horizontal-flip", "--scale-factor", "measured", "--adam-eps", "0.01"),
        *("--save-every", "4", "--num-samples", "2", "--sampling-timesteps", "1"),
    ]
    script = str(Path(__file__).with_name("latents_job.py"))
    process = start(tmp_path, [script, str(tmp_path), *options, "--batch-size", "2"])
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 0, output
    first, second = (json.loads((tmp_path / f"rank-{i}.json").read_text()) for i in (0, 1))
    # Four pictures, five captions and nothing said.
    assert (first["written"], second["written"]) == (10, 0)
    assert first["weights"] == second["weights"] and len(set(first["weights"])) == 2
    two, one, parts = (tmp_path / name for name in ("two", "one", "parts"))
    for run, more in (
        (one, ["--batch-size", "4"]),
        (parts, ["--batch-size", "2", "--gradient-accumulate-every", "2"]),
    ):
        folder = ["--results-folder", str(run), "--steps", "4"]
        assert main(["train", *options, *more, *folder]) == 0
        monkeypatch.setattr(Trainer, "_draw", lambda *_: None)  # of the second
    assert read_coder(two).scale == read_coder(one).scale
    assert share_of_the_bound(two, one, parts, 4) <= 1.0
    drawn, expected = (
        np.asarray(Image.open(run / "samples" / "step-00000004.png"), np.int16)
        for run in (two, one)
    )
    assert np.abs(drawn - expected).max() <= 1
