"""From captions to painted pictures: training on them, resuming, painting what a text says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
import pytest
from PIL import Image

from ddpm_mindspore.accelerated import GaussianDiffusion
from ddpm_mindspore.accelerated.cli import main
from ddpm_mindspore.accelerated.commands.presets import SCENES
from ddpm_mindspore.accelerated.commands.remarks import remarks, untaught
from ddpm_mindspore.accelerated.config import RunConfig
from ddpm_mindspore.accelerated.data import open_images, read_spread
from ddpm_mindspore.accelerated.data.pictures import concepts
from ddpm_mindspore.accelerated.data.scenes import HELD_OUT
from ddpm_mindspore.accelerated.data.texts import texts
from ddpm_mindspore.accelerated.networks.table import build_network
from ddpm_mindspore.accelerated.obedience.scenes import told_of
from ddpm_mindspore.accelerated.precision import MixedCell
from ddpm_mindspore.accelerated.reports import figures
from ddpm_mindspore.accelerated.reports.findings import gather
from ddpm_mindspore.accelerated.runs.checkpoint import Checkpoint, load_newest, save
from ddpm_mindspore.accelerated.runs.folder import RunFolder
from ddpm_mindspore.accelerated.runs.opened import build, open_run
from ddpm_mindspore.accelerated.runs.vocabulary import read_tokenizer, write_tokenizer
from ddpm_mindspore.accelerated.tasks import Solver
from ddpm_mindspore.accelerated.weights.shipped import make_shipped, open_shipped
from ddpm_mindspore.reference.text.tokenizer import SPECIAL, shipped

NETWORK = replace(
    SCENES.network,
    dim=4,
    dim_mults=(1,),
    attention=False,
    groups=2,
    heads=1,
    context_dim=4,
    text_layers=1,
    text_heads=1,
)
SMALL = [
    *("--dim", "4", "--dim-mults", "1", "--attention", "False", "--groups", "2", "--heads", "1"),
    *("--context-dim", "4", "--text-layers", "1", "--text-heads", "1", "--batch-size", "4"),
    *("--save-every", "2", "--num-samples", "4", "--sampling-timesteps", "2"),
]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run of which only a checkpoint was made, of a network that has learned nothing."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    return make_run(folder, replace(SCENES, network=NETWORK))


def make_run(folder: Path, config: RunConfig) -> RunFolder:
    run, tokenizer = RunFolder(folder), shipped().only(texts("scenes"))
    folder.mkdir()
    network = replace(config.network, vocabulary=tokenizer.size)
    run.config.write(replace(config, network=network), 1, {"count": 6, "path": None})
    write_tokenizer(run, tokenizer)
    arrays = build_network(network, seed=3).arrays()
    # The last convolution begins as zero: nothing of a text would be seen.
    arrays = {n: a if a.any() else a + 0.1 for n, a in arrays.items()}
    save(folder, Checkpoint(5, {"ema": arrays, "model": arrays}, {}))
    return run


def test_a_vocabulary_is_made_of_what_is_said() -> None:
    tokenizer = shipped().only(texts("scenes"))
    assert tuple(tokenizer.vocabulary)[:4] == SPECIAL
    assert list(tokenizer.vocabulary.values()) == list(range(tokenizer.size))
    assert {"左", "三", "3", "蓝", "，"} < tokenizer.vocabulary.keys()
    assert tokenizer.encode("左边是紫色的三").unknown == ("紫",)
    known = shipped().only(texts("pictures"))
    names = [concept.name for concept in concepts()]
    lacking = {character for name in names for character in known.encode(name).unknown}
    assert lacking == {character for n in names for character in shipped().encode(n).unknown}
    few = shipped().only(["", "[CLS]"]).vocabulary
    assert tuple(few) == (*SPECIAL, "[", "]", "##s", "cl")


def test_whatever_is_said_of_a_scene_is_read_to_its_end() -> None:
    tokenizer = shipped().only(texts("scenes"))
    assert not any(tokenizer.encode(text, SCENES.network.length).cut for text in texts("scenes"))


def test_what_is_said_of_a_folder_makes_a_vocabulary_too(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    (tmp_path / "list.csv").write_text("dir,text\na.png,一只猫\na.png,黑猫\n", encoding="gbk")
    assert sorted(texts(str(tmp_path), "gbk")) == ["一只猫", "黑猫"]
    for data in ("digits", str(tmp_path / "a.png"), np.zeros((1, 1, 4, 4), np.uint8)):
        with pytest.raises(ValueError, match=r"has no captions, and the network is told texts"):
            texts(data)
    with pytest.raises(ValueError, match=r"data folder '.*gone' does not exist"):
        texts(str(tmp_path / "gone"))
    with pytest.raises(ValueError, match=r"data folder 'a*' cannot be read"):
        texts("a" * 5000)


def test_texts_are_told_as_ids_and_some_are_withheld(run: RunFolder) -> None:
    diffusion = open_run(run.path).diffusion
    tokenizer = diffusion.tokenizer
    assert tokenizer is not None
    said = open_images("scenes", (16, 16), 3).items(np.arange(400)).captions
    batch = diffusion.micro_batch(np.zeros((400, 3, 16, 16), np.float32), 7, range(400), 1, said)
    assert batch.condition is not None and said is not None
    empty = tokenizer.encode("", NETWORK.length).ids
    withheld = (batch.condition == empty).all(1)
    assert 20 < withheld.sum() < 60
    np.testing.assert_array_equal(
        batch.condition[~withheld],
        tokenizer.rows(np.array(said)[~withheld].tolist(), NETWORK.length),
    )
    part = diffusion.micro_batch(batch.x_0[:5], 7, range(90, 95), 1, said[90:95])
    np.testing.assert_array_equal(part.condition, batch.condition[90:95])


def test_what_is_asked_for_changes_what_is_drawn(run: RunFolder) -> None:
    diffusion = open_run(run.path).diffusion
    options: dict[str, Any] = {"sampling_timesteps": 2, "cond_scale": 1.0}

    def draw(condition: Any, **more: Any) -> np.ndarray[Any, Any]:
        return diffusion.sample(2, condition=condition, **{**options, **more})

    one, other = draw("左边是红色的三"), draw("右边是蓝色的八")
    assert np.abs(one - other).max() > 1e-3
    np.testing.assert_array_equal(draw(["左边是红色的三", "右边是蓝色的八"])[0], one[0])
    ids = diffusion.tokenizer.rows(["左边是红色的三"] * 2, NETWORK.length)  # type: ignore[union-attr]
    np.testing.assert_array_equal(draw(ids), one)
    guided = draw("左边是红色的三", cond_scale=3.0)
    assert np.abs(guided - one).max() > 1e-3
    np.testing.assert_array_equal(draw("左边是红色的三", cond_scale=3.0, negative=""), guided)
    away = draw("左边是红色的三", cond_scale=3.0, negative="右边是蓝色的八")
    assert np.abs(away - guided).max() > 1e-3
    with pytest.raises(ValueError, match=r"condition of shape \(3, 28\) must be \(2, \.\.\.\)"):
        draw(["一", "二", "三"])
    with pytest.raises(ValueError, match=r"ids from 0 to 45 must be from 0 to 44"):
        draw(np.array([[0, 45]] * 2))
    diffusion.tokenizer = None
    with pytest.raises(ValueError, match=r"texts need a tokenizer"):
        draw("一")


def test_painting_writes_pictures_and_what_was_asked_for(
    run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "texts.txt").write_text("\ufeff上面是黄色的5\n\n", encoding="utf-8")
    words = ["左边是红色的三，右边是猫", "--texts", str(tmp_path / "texts.txt"), "--seed", "2"]
    words += ["--run", str(run.path), "--num-samples", "2", "--sampling-timesteps", "2"]
    output = tmp_path / "out"
    assert main(["paint", *words, "--negative", "蓝", "--output", str(output)]) == 0
    said = capsys.readouterr().err
    assert "the model has never met 猫: it will ignore that (it knows " in said
    drawn = json.loads((output / "drawn.json").read_text(encoding="utf-8"))
    assert drawn["texts"] == ["左边是红色的三，右边是猫", "上面是黄色的5"]
    assert (drawn["guidance"], drawn["negative"]) == ({"guidance": 2.0}, "蓝")
    assert np.load(output / "samples.npy").shape == (4, 3, 16, 16)
    assert Image.open(output / "00003.png").text["Label"] == "上面是黄色的5"  # type: ignore[attr-defined]
    assert (output / "grid.png").is_file()


def test_a_text_that_is_not_like_those_of_training_is_named() -> None:
    assert untaught(["立体风格的熊猫，蓝色背景", "左边是红色的三，右边是蓝色的八"], "photos") == []
    assert untaught(["立体风格的熊猫，蓝色背景", "绿色背景，扁平风格，西瓜"], "pictures") == []
    (said,) = untaught(["一只可爱的熊猫"] * 2, "pictures")
    assert "names no style, no background: the model was taught texts like 立体" in said.english
    assert "没有说画风、背景" in said.chinese and "paint --words" in said.chinese
    (said,) = untaught(["立体风格的桌子，蓝色背景"], "pictures")
    assert said.english.startswith("'立体风格的桌子，蓝色背景' names no thing:")
    assert untaught(["红3在左，蓝8在右"], "scenes") == []
    (said,) = untaught(["红色的三"], "scenes")
    assert "names no two digits with their colours and places: " in said.english


def test_what_the_models_know_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["paint", "--words"]) == 0
    said = capsys.readouterr().out
    assert "painter-pictures\nways to say it:\n  立体风格的熊猫，蓝色背景\n" in said
    assert all(concept.name in said for concept in concepts()) and "黑色" in said
    scenes = said[said.index("painter-scenes\nways to say it:\n") :].split("\n")[2:]
    ways = [line.strip() for line in scenes[: scenes.index("digits:")]]
    assert "左边是红色的三，右边是蓝色的八" in ways and len(set(ways)) == 7
    assert untaught(ways, "scenes") == []


def test_a_text_that_is_too_long_is_named(run: RunFolder) -> None:
    network: Any = run.config.read().network
    (said,) = remarks(["左" * 27], read_tokenizer(run), network)
    english, chinese = said
    assert english.startswith("the last 1 pieces of '左左") and english.endswith("at most 26")
    assert chinese.startswith("“左左") and chinese.endswith("最多 26 个")
    assert remarks(["左" * 26, ""], read_tokenizer(run), network) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], 'say what to paint: ddpm-mindspore paint "立体风格的熊猫，蓝色背景"'),
        (["一", "--texts", "missing.txt"], "texts 'missing.txt' cannot be read"),
        (["一", "--num-samples", "0"], "num_samples 0 must be at least 1"),
        (["一", "--guidance", "-1"], "guidance -1.0 must not be negative"),
        (["一", "--guidance", "1", "--negative", "蓝"], "negative 蓝 changes nothing without guid"),
        (["一", "--run", "missing"], "'missing' is not a run folder"),
        (["一", "--step", "3"], "step and ema are of a run of your own: name it (--run)"),
        (["一", "--sampling-timesteps", "1001"], "sampling_timesteps 1001 must be from 1 to"),
    ],
)
def test_what_cannot_be_painted_is_refused_at_once(
    words: list[str],
    message: str,
    run: RunFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    given = [] if "--run" in words or "--step" in words else ["--run", str(run.path)]
    assert main(["paint", *words, *given]) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_other_commands_say_who_paints(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sample", str(run.path)]) == 2
    assert f"say what to draw (ddpm-mindspore paint TEXT --run {run.path})" in (
        capsys.readouterr().err
    )


def test_what_a_mask_hides_is_painted_as_a_text_says(run: RunFolder, tmp_path: Path) -> None:
    picture, mask = tmp_path / "a.png", tmp_path / "mask.png"
    Image.new("RGB", (16, 16), "black").save(picture)
    Image.fromarray(np.tile(np.repeat(np.array([0, 255], np.uint8), 8), (16, 1))).save(mask)
    words = ["inpaint", str(run.path), str(picture), "--mask", str(mask), "--num-samples", "1"]
    words += ["--sampling-timesteps", "2", "--jump-repeats", "1"]
    drawn = []
    for text in ("左边是红色的三", "右边是蓝色的八"):
        output = tmp_path / text
        assert main([*words, "--prompt", text, "--output", str(output)]) == 0
        drawn.append(np.load(output / "samples.npy")[0])
    assert not np.array_equal(*drawn) and not np.any([one[..., :8] for one in drawn])


def test_pictures_of_what_is_said_are_evaluated(
    run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, asked, computed_in = tmp_path / "evaluation", [], set()
    sample = GaussianDiffusion.sample

    def is_mixed(cell: Any) -> bool:
        return isinstance(cell, MixedCell)

    def noted(self: GaussianDiffusion, *args: Any, **options: Any) -> Any:
        asked.extend(options["condition"])
        computed_in.update(c.compute for _, c in self.model.cells_and_names() if is_mixed(c))
        return sample(self, *args, **options)

    command = ["evaluate", str(run.path), "--num-samples", "16", "--num-real", "32"]
    command += ["--replicates", "10", "--sampling-timesteps", "1", "--output", str(output)]
    command += ["--amp-level", "O1", "--amp-dtype", "float16"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GaussianDiffusion, "sample", noted)
        assert main(command) == 0
    # Each is told what is said of a real picture, as that is spread over all; then come four of
    # what is never shown, and one empty text.
    images = open_images("scenes", (16, 16), 3)
    assert asked[:16] == list(read_spread(images, 16).captions or ())
    assert all(told_of(text).digits in HELD_OUT for text in asked[16:20])
    assert asked[20:] == [""]
    found = json.loads((output / "evaluation.json").read_text())
    assert found["precision"] == "O1 float16" and computed_in == {ms.float16}
    assert found["counts"]["samples"] == 16 and found["counts"]["training"] == 32
    rows = found["obedience"]["rows"]
    of = {name: row["digits"]["of"] for name, row in rows.items()}
    assert of == {"seen": 32, "held_out": 8, "other_captions": 32, "no_caption": 2, "real": 2000}
    assert rows["seen"]["digits"]["value"] < 0.5 < rows["real"]["digits"]["value"]
    said = capsys.readouterr().out
    assert "21 images with the weights of step 5" in said
    assert "\nshown as asked " in said and "\nnever shown in training " in said
    assert max(map(len, said[said.index("shown as asked") :].splitlines()[:7])) <= 110
    page = figures.quality(replace(gather(run), evaluation=found))
    assert page.count('data-t="asked_') == 6 and page.count('data-t="aspect_') == 4


@pytest.mark.slow
def test_bits_are_those_of_a_picture_whose_caption_is_known(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, tell = [], Solver.tell

    def heard(self: Solver, condition: Any) -> None:
        told.append(condition)
        tell(self, condition)

    monkeypatch.setattr(Solver, "tell", heard)
    command = ["evaluate", str(run.path), "--num-samples", "16", "--num-real", "32"]
    command += ["--replicates", "10", "--sampling-timesteps", "1", "--output", str(tmp_path / "e")]
    command += ["--likelihood", "2", "--likelihood-steps", "1", "--likelihood-solver", "euler"]
    assert main(command) == 0
    tokenizer = open_run(run.path).diffusion.tokenizer
    said = read_spread(open_images("scenes", (16, 16), 3), 2).captions
    assert tokenizer is not None and said is not None
    known = [ids for ids in told if ids is not None]
    assert len(known) == 2
    for ids in known:
        np.testing.assert_array_equal(ids, tokenizer.rows(said, ids.shape[1]))
    found = json.loads((tmp_path / "e" / "evaluation.json").read_text())
    assert found["likelihood"]["training"]["images"] == 2


def test_a_vocabulary_that_is_gone_is_missed(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", replace(SCENES, network=NETWORK))
    run.vocabulary.unlink()
    with pytest.raises(ValueError, match=r"has no vocabulary.txt, by which its network is told"):
        open_run(run.path)


def test_half_precision_on_disk_paints_the_same_but_for_rounding(
    run: RunFolder, tmp_path: Path
) -> None:
    make_shipped(run, tmp_path / "painter")
    one, other = open_run(run.path), open_shipped(tmp_path / "painter")
    assert (other.step, other.weights) == (5, "average")
    assert one.diffusion.tokenizer is not None and other.diffusion.tokenizer is not None
    assert one.diffusion.tokenizer.vocabulary == other.diffusion.tokenizer.vocabulary
    for name, array in one.diffusion.model.arrays().items():
        halved = other.diffusion.model.arrays()[name]
        np.testing.assert_allclose(halved, array, rtol=2**-11, atol=2**-25)


@pytest.mark.slow
def test_a_folder_with_a_list_of_captions_is_trained_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GaussianDiffusion, "sample", lambda self, *_, **options: np.zeros(
        (options["num_samples"], *self.shape), np.float32
    ))  # fmt: skip
    folder = tmp_path / "data"
    folder.mkdir()
    for number, name in enumerate("ab"):
        Image.new("RGB", (4, 4), (90 * number, 0, 0)).save(folder / f"{name}.png")
    (folder / "list.csv").write_text("dir,text\na.png,黑\nb.png,红\n", encoding="gbk")
    words = ["--data", str(folder), "--caption-encoding", "gbk", "--image-size", "4"]
    output = tmp_path / "run"
    given = ["--steps", "1", "--results-folder", str(output)]
    assert main(["train", *words, *SMALL, *given]) == 0
    assert RunFolder(output).vocabulary.read_text(encoding="utf-8").split()[4:] == ["红", "黑"]
    asked = (output / "samples" / "step-00000001.txt").read_text(encoding="utf-8")
    assert asked == "黑\n红\n"


@pytest.mark.slow
def test_a_run_on_captions_is_gone_on_with_exactly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GaussianDiffusion, "sample", lambda self, *_, **options: np.zeros(
        (options["num_samples"], *self.shape), np.float32
    ))  # fmt: skip
    one, other = str(tmp_path / "one"), str(tmp_path / "other")
    train = ["train", "--data", "scenes", "--lr-schedule", "constant", *SMALL]
    train += ["--evaluate-every", "2", "--evaluate-samples", "16"]
    assert main([*train, "--steps", "4", "--results-folder", one]) == 0
    assert main([*train, "--steps", "2", "--results-folder", other]) == 0
    folder = RunFolder(Path(other))
    assert folder.vocabulary.read_text(encoding="utf-8").startswith("[PAD]\n[UNK]\n[CLS]\n[SEP]\n")
    lines = (Path(other) / "samples" / "step-00000002.txt").read_text(encoding="utf-8")
    assert len(lines.splitlines()) == 4 and "色" in lines
    assert main(["train", "--resume", "--steps", "4", "--results-folder", other]) == 0
    first, _ = folder.evaluations.read()
    assert 0.0 < first["obeys_colours_error"] < 0.2
    assert first["obeys_scenes"] == 0.0 and first["samples"] == 16
    ended = [load_newest(Path(run)).checkpoint for run in (one, other)]
    assert ended[0].step == ended[1].step == 4
    for group, tensors in ended[0].tensors.items():
        for name, array in tensors.items():
            np.testing.assert_array_equal(array, ended[1].tensors[group][name], err_msg=name)
    start = build(folder.config.read()).model.arrays()
    for name, array in ended[0].tensors["model"].items():
        learned = not np.array_equal(array, start[name])
        assert learned or not name.endswith("embedding_table"), name
