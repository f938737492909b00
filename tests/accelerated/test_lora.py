"""Low-rank factors: trained alone, kept small, merged to draw with, read and written as files."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
import pytest
import safetensors
import safetensors.numpy
from mindspore import Tensor
from PIL import Image

from ddpm_mindspore.accelerated.cli import main
from ddpm_mindspore.accelerated.commands.presets import SCENES
from ddpm_mindspore.accelerated.config import DIGITS, RunConfig
from ddpm_mindspore.accelerated.data.texts import texts
from ddpm_mindspore.accelerated.networks.table import build_network
from ddpm_mindspore.accelerated.networks.text_unet import TextUnet
from ddpm_mindspore.accelerated.runs.checkpoint import Checkpoint, load_newest, save
from ddpm_mindspore.accelerated.runs.folder import RunFolder
from ddpm_mindspore.accelerated.runs.opened import OpenedRun, build, open_run
from ddpm_mindspore.accelerated.runs.vocabulary import TABLE, read_tokenizer, write_tokenizer
from ddpm_mindspore.accelerated.trainer.loop import Trainer
from ddpm_mindspore.accelerated.weights.lora import add_lora, read_lora
from ddpm_mindspore.accelerated.weights.lora_names import places
from ddpm_mindspore.reference.config import TextUnetConfig, wukong
from ddpm_mindspore.reference.networks import text_unet
from ddpm_mindspore.reference.networks.lora import merged
from ddpm_mindspore.reference.text.tokenizer import shipped

Arrays = Mapping[str, np.ndarray]

NETWORK = TextUnetConfig(
    dim=4,
    dim_mults=(1,),
    channels=3,
    blocks=1,
    attention=True,
    heads=1,
    context_dim=4,
    groups=2,
    length=28,
    text_layers=1,
    text_heads=1,
)
QUICK = [
    *("--batch-size", "4", "--save-every", "2", "--steps", "2", "--num-samples", "2"),
    *("--sampling-timesteps", "2", "--lora-rank", "2", "--lora-alpha", "3"),
]


def make_base(folder: Path) -> RunFolder:
    """A run with a checkpoint of a network that has learned nothing, and zeros nowhere."""
    run, tokenizer = RunFolder(folder), shipped().only(texts("scenes"))
    folder.mkdir()
    network = replace(NETWORK, vocabulary=tokenizer.size)
    config: RunConfig = replace(SCENES, network=network)
    run.config.write(config, 1, {"count": 6, "path": None})
    write_tokenizer(run, tokenizer)
    arrays = build_network(network, seed=3).arrays()
    arrays = {n: a if a.any() else a + 0.1 for n, a in arrays.items()}
    save(folder, Checkpoint(5, {"ema": arrays, "model": arrays}, {}))
    return run


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return make_base(tmp_path_factory.mktemp("base") / "run")


@pytest.fixture(scope="module")
def concept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five pictures, of which a piece is said that the base does not know."""
    folder = tmp_path_factory.mktemp("concept")
    lines = ["dir,text"]
    rng = np.random.default_rng(0)
    for i in range(5):
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8)).save(folder / f"{i}.png")
        lines.append(f"{i}.png,左边是紫色的三")
    (folder / "list.csv").write_text("\n".join(lines), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def run(base: RunFolder, concept: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """What two updates have added to the base."""
    folder = tmp_path_factory.mktemp("lora") / "run"
    words = ["--from", str(base.path), "--data", str(concept), "--caption-encoding", "utf-8"]
    assert main(["train", *words, *QUICK, "--results-folder", str(folder)]) == 0
    return RunFolder(folder)


def draw(run: OpenedRun) -> np.ndarray:
    drawn: np.ndarray = run.diffusion.sample(2, condition="左边是紫色的三", sampling_timesteps=2)
    return drawn


def same(actual: Arrays, expected: Arrays, atol: float = 0.0) -> None:
    assert actual.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_allclose(actual[name], array, atol=atol, rtol=0.0, err_msg=name)


def test_a_network_begins_as_its_base_was() -> None:
    config = replace(NETWORK, vocabulary=9, lora_rank=2, lora_text_encoder=True)
    network, plain = (
        TextUnet(**config.to_dict(), seed=1),
        TextUnet(**NETWORK.to_dict() | {"vocabulary": 9}, seed=1),
    )
    arrays = network.arrays()
    assert {n: a.shape for n, a in arrays.items()} == text_unet.param_shapes(config)
    same(merged(arrays, config.lora_scale), plain.arrays())
    trained = {p.name for p in network.trainable_params()}
    assert trained == arrays.keys() - plain.arrays().keys()
    assert len(trained) == 2 * (4 * 8 + 2)


def test_what_is_not_trained_is_in_memory_once() -> None:
    trained = TextUnet(**replace(NETWORK, vocabulary=9, lora_rank=2).to_dict(), seed=1)
    before = {p.name: p.asnumpy().copy() for p in trained.get_parameters()}
    drawn = trained.beside()
    for ours, theirs in zip(trained.get_parameters(), drawn.get_parameters(), strict=True):
        assert ours.name == theirs.name
        shared = np.shares_memory(ours.asnumpy(), theirs.asnumpy())
        assert shared == (".lora_" not in ours.name)
    drawn.load_arrays({name: array + (".lora_" in name) for name, array in before.items()})
    same({p.name: p.asnumpy() for p in trained.get_parameters()}, before)


def test_both_sides_draw_the_same_first_factors() -> None:
    config = replace(NETWORK, vocabulary=9, lora_rank=2, lora_text_encoder=True)
    from ddpm_mindspore.accelerated.randomness import Purpose, stream

    first = text_unet.init(config, stream(7, Purpose.INIT))
    same(
        TextUnet(**config.to_dict(), seed=7).arrays(),
        {n: a.astype(np.float32) for n, a in first.items()},
    )


def test_published_sizes_have_as_many_factors_as_are_published() -> None:
    """256 tensors of 797,184 values at rank 4 (mindone#465)."""
    shapes = text_unet.param_shapes(replace(wukong.PAINTER, lora_rank=4))
    factors = [shape for name, shape in shapes.items() if ".lora_" in name]
    assert (len(factors), sum(int(np.prod(shape)) for shape in factors)) == (256, 797_184)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"lora_rank": 0}, "lora_rank 0 must be at least 1"),
        ({"lora_rank": 2, "lora_alpha": 0.0}, "lora_alpha 0.0 must be positive"),
        ({"lora_alpha": 1.0}, "need a lora_rank"),
        ({"lora_rank": 5}, r"lora_rank 5 is more than any matrix has .*: at most 4"),
    ],
)
def test_what_cannot_be_added_is_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        replace(NETWORK, **options)


@pytest.mark.parametrize("text_encoder", [False, True])
@pytest.mark.parametrize("attention", [None, False, (True, False, True)])
def test_the_largest_rank_is_that_of_a_matrix(attention: Any, text_encoder: bool) -> None:
    options = {"dim_mults": (1, 2, 4), "attention": attention, "context_dim": 12, "vocabulary": 9}
    config = replace(NETWORK, **options, lora_rank=1, lora_text_encoder=text_encoder)
    shapes = text_unet.param_shapes(config)
    sides = [
        min(shapes[f"{name.removesuffix('.lora_down.weight')}.weight"][:2])
        for name in shapes
        if name.endswith(".lora_down.weight")
    ]
    assert config.largest_rank == max(sides)
    replace(config, lora_rank=max(sides))


@pytest.mark.parametrize(
    "words",
    [
        "--from RUN --lora-rank=4",
        "--resume --results-folder RUN --lora-text-encoder",
        "--data digits --lora-alpha 2",
    ],
)
def test_a_network_that_is_told_no_texts_has_no_place_for_factors(
    tmp_path: Path, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    RunFolder(tmp_path).config.write(DIGITS)
    save(tmp_path, Checkpoint(1, {"ema": {"a": np.ones(1, np.float32)}}, {}))
    assert main(["train", *words.replace("RUN", str(tmp_path)).split()]) == 2
    told = capsys.readouterr().err
    assert "is for a network that is told texts" in told and "Unrecognized" not in told


def test_only_factors_are_trained(base: RunFolder, run: RunFolder) -> None:
    checkpoint = load_newest(run.path).checkpoint
    names = set(checkpoint.tensors["model"])
    assert names and all(".lora_" in name for name in names)
    for group in ("ema", "adam_m", "adam_v"):
        assert checkpoint.tensors[group].keys() == names
    ups = [a for n, a in checkpoint.tensors["model"].items() if "lora_up" in n]
    assert all(a.any() for a in ups)
    kept = safetensors.numpy.load_file(run.path / "base.safetensors")
    before = base.load("ema").checkpoint.tensors["ema"]
    rows = len(before[TABLE])
    same({**kept, TABLE: kept[TABLE][:rows]}, before)
    size = sum(f.stat().st_size for f in (run.path / "checkpoints" / "step-00000002").iterdir())
    assert size < 4 * 4 * sum(a.size for a in ups) * 4 + 40_000


def test_new_pieces_get_rows(base: RunFolder, run: RunFolder) -> None:
    before, now = read_tokenizer(base), read_tokenizer(run)
    assert now.vocabulary == {**before.vocabulary, "紫": before.size}
    config = run.config.read()
    assert config.network.vocabulary == now.size  # type: ignore[union-attr]
    kept = safetensors.numpy.load_file(run.path / "base.safetensors")[TABLE]
    assert len(kept) == now.size and kept[-1].any()


def test_a_merged_run_draws_like_one_that_is_not(run: RunFolder) -> None:
    opened = open_run(run.path)
    config = run.config.read()
    adapted = build(config)
    adapted.tokenizer = read_tokenizer(run)
    factors = run.load("ema").checkpoint.tensors["ema"]
    kept = safetensors.numpy.load_file(run.path / "base.safetensors")
    adapted.model.load_arrays({**kept, **factors})
    condition = "左边是紫色的三"
    expected = adapted.sample(2, condition=condition, sampling_timesteps=2)
    np.testing.assert_allclose(draw(opened), expected, atol=2e-5)
    assert opened.diffusion.model.config.lora_rank is None
    assert adapted.model.config.lora_rank == 2


class Killed(BaseException):
    """What nobody catches: between two checkpoints nothing of a run is left."""


@pytest.mark.slow
def test_killed_a_run_goes_on_bit_for_bit_without_its_base(
    concept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["--data", str(concept), "--caption-encoding", "utf-8"]
    source = make_base(tmp_path / "source")
    start = ["train", "--from", str(source.path), *words, *QUICK, "--steps", "4"]
    assert main([*start, "--results-folder", str(tmp_path / "whole")]) == 0
    update = Trainer._update

    def killed(self: Trainer, *args: Any) -> Any:
        if self.step == 3:
            raise Killed
        return update(self, *args)

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(Trainer, "_update", killed)
        main([*start, "--results-folder", str(tmp_path / "halves")])
    assert load_newest(tmp_path / "halves").checkpoint.step == 2
    for path in sorted(source.path.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    assert main(["train", "--resume", "--results-folder", str(tmp_path / "halves")]) == 0
    whole, halves = (
        tmp_path / name / "checkpoints" / "step-00000004" for name in ("whole", "halves")
    )
    files = sorted(path.name for path in whole.glob("*.safetensors"))
    assert files == [
        "adam_m.safetensors",
        "adam_v.safetensors",
        "ema.safetensors",
        "model.safetensors",
    ]
    for name in files:
        assert (halves / name).read_bytes() == (whole / name).read_bytes()


def test_a_damaged_base_is_named(run: RunFolder, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(run.path, copy)
    path = copy / "base.safetensors"
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"base.safetensors is damaged .*bring it back"):
        open_run(copy)
    path.unlink()
    with pytest.raises(ValueError, match=r"the weights that this run has not trained, cannot be"):
        open_run(copy)


@pytest.mark.parametrize("layout", ["mindone", "diffusers"])
def test_what_is_exported_adds_the_same_to_the_base(
    base: RunFolder, run: RunFolder, tmp_path: Path, layout: str
) -> None:
    path = tmp_path / "lora.safetensors"
    words = ["--output", str(path), "--layout", layout]
    assert main(["export", str(run.path), *words]) == 0
    names = set(safetensors.numpy.load_file(path)) - {"embedding_table.rows"}
    if layout == "diffusers":
        assert (
            "unet.mid_block.attentions.0.transformer_blocks.0.attn2.to_out.0.lora_B.weight" in names
        )
        assert all(name.startswith("unet.") for name in names)
    else:
        assert names == run.load("ema").checkpoint.tensors["ema"].keys()
    opened = open_run(base.path)
    config = opened.diffusion.model.config
    assert isinstance(config, TextUnetConfig)
    painted = add_lora(opened, read_lora(path, config))
    expected = open_run(run.path)
    same(painted.diffusion.model.arrays(), expected.diffusion.model.arrays(), atol=1e-6)
    assert painted.diffusion.tokenizer is not None and expected.diffusion.tokenizer is not None
    assert painted.diffusion.tokenizer.vocabulary == expected.diffusion.tokenizer.vocabulary


@pytest.mark.nightly
def test_the_text_encoder_is_three_pairs_elsewhere(
    base: RunFolder, concept: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    words = ["--from", str(base.path), "--data", str(concept), "--caption-encoding", "utf-8"]
    words += [*QUICK, "--lora-text-encoder", "--results-folder", str(folder)]
    assert main(["train", *words]) == 0
    expected = open_run(folder).diffusion.model.arrays()
    for layout in ("mindone", "diffusers"):
        path = tmp_path / f"{layout}.safetensors"
        assert main(["export", str(folder), "--output", str(path), "--layout", layout]) == 0
        opened = open_run(base.path)
        config = opened.diffusion.model.config
        assert isinstance(config, TextUnetConfig)
        painted = add_lora(opened, read_lora(path, config))
        same(painted.diffusion.model.arrays(), expected, atol=1e-6)
    names = safetensors.numpy.load_file(tmp_path / "diffusers.safetensors")
    start = "text_encoder.text_model.encoder.layers.0.self_attn"
    assert {f"{start}.{part}_proj.lora_A.weight" for part in ("q", "k", "v", "out")} < names.keys()


DOWN_UP = (".lora_down.weight", ".lora_up.weight")


def old_name(theirs: str) -> str:
    """As attention processors were called."""
    return theirs.replace("to_", "processor.to_").removesuffix(".0") + "_lora"


# For each, what the layer is called, and how the names of A, B and alpha end.
SPELLINGS: dict[str, tuple[Callable[[Any], str], tuple[str, ...]]] = {
    "MindOne": (lambda p: p.own, DOWN_UP),
    "MindPet": (lambda p: p.own, (".tk_delta_lora_a", ".tk_delta_lora_b")),
    "MindPet's later": (lambda p: p.own, (".mindpet_delta_lora_a", ".mindpet_delta_lora_b")),
    "peft": (lambda p: p.theirs, (".lora_A.weight", ".lora_B.weight")),
    "older diffusers": (lambda p: old_name(p.theirs), (".down.weight", ".up.weight")),
    "sd-scripts": (
        lambda p: "lora_unet_" + p.theirs.removeprefix("unet.").replace(".", "_"),
        (*DOWN_UP, ".alpha"),
    ),
}


@pytest.mark.parametrize("which", SPELLINGS)
def test_files_of_others_are_read(base: RunFolder, tmp_path: Path, which: str) -> None:
    opened = open_run(base.path)
    config = opened.diffusion.model.config
    assert isinstance(config, TextUnetConfig)
    before = opened.diffusion.model.arrays()
    rng = np.random.default_rng(1)
    tensors: dict[str, np.ndarray] = {}
    expected = dict(before)
    for place in places(config):
        if place.own is None or place.theirs is None or "text" in place.theirs:
            continue
        called, ends = SPELLINGS[which]
        down, up, *alpha = (called(place) + end for end in ends)
        weight = before[place.weight]
        tensors[down] = rng.standard_normal((3, weight.shape[1])).astype(np.float16)
        tensors[up] = rng.standard_normal((len(weight), 3)).astype(np.float16)
        scale = 1.0
        if alpha:
            tensors[alpha[0]], scale = np.array(1.5, np.float16), 0.5
        product = tensors[up].astype(np.float32) @ tensors[down].astype(np.float32)
        expected[place.weight] = weight + 0.5 * scale * product
    assert tensors
    path = tmp_path / ("w.ckpt" if which.startswith("Mind") else "w.safetensors")
    if path.suffix == ".ckpt":
        ms.save_checkpoint([{"name": n, "data": Tensor(a)} for n, a in tensors.items()], str(path))
    else:
        safetensors.numpy.save_file(tensors, path)
    painted = add_lora(opened, read_lora(path, config), 0.5)
    same(painted.diffusion.model.arrays(), expected, atol=1e-5)


def test_what_belongs_nowhere_is_refused(base: RunFolder, run: RunFolder, tmp_path: Path) -> None:
    opened = open_run(base.path)
    config = opened.diffusion.model.config
    assert isinstance(config, TextUnetConfig)
    place = next(places(config))
    pair = {f"{place.own}.lora_down.weight": np.ones((2, 4), np.float32)}
    path = tmp_path / "w.safetensors"
    safetensors.numpy.save_file(pair, path)
    with pytest.raises(
        ValueError, match=r"has a tensor '.*to_q.lora_down.weight', and this network"
    ):
        read_lora(path, config)
    pair[f"{place.own}.lora_up.weight"] = np.ones((5, 2), np.float32)
    safetensors.numpy.save_file(pair, path)
    with pytest.raises(ValueError, match=r"shapes \(2, 4\) and \(5, 2\) for .*\(4, 4\)"):
        add_lora(opened, read_lora(path, config))
    safetensors.numpy.save_file({"lora_rank": np.ones(1, np.float32)}, path)
    with pytest.raises(ValueError, match="has no factors"):
        read_lora(path, config)
    path.write_bytes(b"{}")
    with pytest.raises(ValueError, match=r"cannot be read .*give a \.safetensors file"):
        read_lora(path, config)
    path = path.with_suffix(".ckpt")
    with pytest.raises(ValueError, match=r"^lora '.*w.ckpt' is not a file"):
        read_lora(path, config)
    path.write_bytes(b"{}")
    with pytest.raises(ValueError, match=r"^lora '.*w.ckpt' is no checkpoint of MindSpore's, or"):
        read_lora(path, config)


@pytest.mark.slow
def test_painting_with_a_file_says_so(
    base: RunFolder, run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(run.path)]) == 0
    path, output = run.path / "lora.safetensors", tmp_path / "out"
    words = ["左边是紫色的三", "--run", str(base.path), "--num-samples", "2"]
    words += ["--sampling-timesteps", "2", "--output", str(output)]
    assert main(["paint", *words]) == 0
    assert "has never met 紫" in capsys.readouterr().err
    plain = np.load(output / "samples.npy")
    assert main(["paint", *words, "--lora", str(path), "--lora-scale", "0.5"]) == 0
    assert "never met" not in capsys.readouterr().err
    assert (np.load(output / "samples.npy") != plain).any()
    assert json.loads((output / "drawn.json").read_text())["lora_scale"] == 0.5
    with Image.open(output / "00000.png") as picture:
        assert picture.text["Lora"] == "lora.safetensors times 0.5"  # type: ignore[attr-defined]
    assert main(["sample", str(base.path), "--like", str(output / "00000.png")]) == 2
    assert "was drawn with what another file adds" in capsys.readouterr().err
    assert main(["paint", *words, "--lora", str(tmp_path / "none.safetensors")]) == 2
    assert "cannot be read" in capsys.readouterr().err
    assert main(["paint", *words, "--lora-scale", "0.5"]) == 2
    assert "lora_scale 0.5 is of a file: name it (--lora)" in capsys.readouterr().err


@pytest.mark.nightly
def test_without_a_run_it_is_added_to_the_model_of_the_package(
    concept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from ddpm_mindspore.accelerated.commands.defaults import train_defaults

    config = train_defaults(["--lora-rank", "4", "--data", str(concept)])
    assert config.trainer.from_run == "painter-scenes"
    assert isinstance(config.network, TextUnetConfig) and config.network.vocabulary == 45
    words = ["--data", str(concept), "--caption-encoding", "utf-8", "--lora-rank", "1"]
    words += ["--steps", "1", "--num-samples", "1", "--sampling-timesteps", "1"]
    words += ["--batch-size", "2", "--results-folder", str(tmp_path / "run")]
    assert main(["train", *words]) == 0
    said = capsys.readouterr().out
    assert "from painter-scenes (average)" in said and "of which" in said
    assert RunFolder(tmp_path / "run").config.read().trainer.from_run == "painter-scenes"
    # Then all of it is trained on, from what was merged.
    words = ["--from", str(tmp_path / "run"), "--data", str(concept), "--caption-encoding", "utf-8"]
    config = train_defaults(words)
    assert config.network.lora_rank is None
    assert isinstance(config.network, TextUnetConfig) and config.network.vocabulary == 46


def test_factors_need_weights(concept: Path, tmp_path: Path) -> None:
    network = replace(NETWORK, vocabulary=9, lora_rank=2)
    diffusion = build(replace(SCENES, network=network))
    with pytest.raises(ValueError, match=r"lora_rank 2 adds to weights .*--from painter-scenes"):
        Trainer(diffusion, str(concept), results_folder=str(tmp_path / "run"))


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("lora_up", lambda up: up * np.nan, r"lora_up.weight' that holds NaN or infinity"),
        ("lora_down", lambda down: down[:0], r"lora_down.weight' of shape \(0, 4\) .* at least 1"),
        ("lora_down", lambda down: down[0, 0:1].reshape(()), r"of shape \(\) .* at least 1"),
        ("alpha", lambda alpha: np.ones(2, np.float32), r"an alpha of shape \(2,\): "),
    ],
)
def test_damaged_factors_are_refused(
    base: RunFolder, tmp_path: Path, name: str, change: Any, told: str
) -> None:
    config = open_run(base.path).diffusion.model.config
    assert isinstance(config, TextUnetConfig)
    place = next(places(config))
    factors = {
        f"{place.own}.lora_down.weight": np.ones((2, 4), np.float32),
        f"{place.own}.lora_up.weight": np.ones((4, 2), np.float32),
        f"{place.own}.alpha": np.ones(1, np.float32),
    }
    path = tmp_path / "w.safetensors"
    safetensors.numpy.save_file(factors, path)
    assert len(read_lora(path, config).pairs) == 1
    factors = {n: change(a) if name in n else a for n, a in factors.items()}
    safetensors.numpy.save_file(factors, path)
    with pytest.raises(ValueError, match=told):
        read_lora(path, config)
