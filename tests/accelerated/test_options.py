"""Every option of every configuration, with values that nobody can mean."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ddpm_mindspore.accelerated import GaussianDiffusion, Unet
from ddpm_mindspore.accelerated.commands import options as commands
from ddpm_mindspore.accelerated.commands.demo_options import DemoConfig
from ddpm_mindspore.accelerated.commands.evaluation_options import EvaluateConfig
from ddpm_mindspore.accelerated.commands.paint_options import PaintConfig
from ddpm_mindspore.accelerated.config import DIGITS, RunConfig, TrainerConfig
from ddpm_mindspore.accelerated.runs.folder import RunFolder
from ddpm_mindspore.accelerated.runs.opened import open_run
from ddpm_mindspore.parity.report.options import ParityConfig
from ddpm_mindspore.reference.config import DiffusionConfig, SamplingConfig

CONFIGS: tuple[Any, ...] = (
    DIGITS.network,
    DIGITS.sampling,
    DIGITS.diffusion,
    DIGITS.trainer,
    DIGITS,
    commands.SampleConfig(Path("run")),
    EvaluateConfig(Path("run")),
    PaintConfig(("红",), run=Path("run")),
    commands.StatusConfig(Path("run")),
    commands.ReportConfig(Path("run")),
    DemoConfig(Path("run")),
    commands.ImportConfig(Path("weights"), 8),
    commands.ExportConfig(Path("run")),
    commands.ReplayConfig(Path("run"), 1),
    commands.InfoConfig(),
    ParityConfig(),
)
WRONG = (0, -1, 10**30, math.nan, math.inf, "", "20", (), None, True, 20.5, b"x")

BOOLEAN = {
    "draw",
    *("self_condition", "learned_variance", "learned_sinusoidal_cond", "random_fourier_features"),
    *(
        "auto_normalize",
        "zero_terminal_snr",
        "min_snr_loss_weight",
        "clip_denoised",
        "immiscible",
        "augment_horizontal_flip",
    ),
    *(
        "auto_normalize",
        "conditional",
        "tensorboard",
        "resume",
        "distributed",
        "strict",
        "recompute",
        "json",
        "full_attn",
        "fail_fast",
        "words",
    ),
}
LARGE = {
    *("sinusoidal_pos_emb_theta", "p2_loss_weight_gamma", "p2_loss_weight_k", "min_snr_gamma"),
    *("scale_factor", "sigma_data", "p_mean", "p_std", "offset_noise", "vlb_weight"),
    *("train_lr", "adam_eps", "weight_decay", "max_grad_norm", "data_memory_gb", "prior_weight"),
    *("cond_scale", "guidance", "guidance_norm", "s_churn", "s_tmin", "s_tmax", "s_noise"),
}
# What some of these values are good for after all.
FINE: dict[Any, set[str]] = {
    0: {
        "cond_channels",
        *("dropout", "cond_drop_prob", "p2_loss_weight_gamma", "eta", "warmup_steps", "min_lr"),
        *("cond_scale", "guidance", "guidance_rescale", "guidance_parallel", "guidance_momentum"),
        *("autoguidance", "p_mean", "offset_noise", "vlb_weight"),
        *("s_churn", "s_tmin", "s_tmax", "s_noise"),
        *("weight_decay", "ema_decay", "ema_update_after_step", "data_memory_gb", "seed", "step"),
        *("likelihood", "port", "prior_weight"),
        *BOOLEAN,
    },
    -1: {"p_mean"},
    10**30: LARGE,
    20.5: LARGE,
    math.inf: {"max_grad_norm", "data_memory_gb", "s_tmax"},
    (): {"ema_sigma_rels", "only_class", "leave_out", "label", "image_size", "text"},
    True: BOOLEAN,
    None: {
        *("init_dim", "out_dim", "full_attn", "sampling_timesteps", "data_cache", "keep_last"),
        *("keep_every", "evaluate_every", "against", "replicates", "eta", "batch_size", "output"),
        *("timesteps", "objective", "beta_schedule"),
        *("data", "from_run", "step", "image_size", "examples", "only", "compare", "record"),
        *("super_resolve", "texts", "run", "like", "jobs", "prior", "lora", "layout"),
        *("inception_weights", "efficientnet_weights", "autoencoder", "scale_factor"),
        *("num_classes", "guidance", "guidance_interval", "guidance_rescale", "caption_encoding"),
        *("guidance_parallel", "guidance_norm", "guidance_momentum", "autoguidance", "num_samples"),
        *("sampler", "spacing", "variance", "order", "variant", "dynamic_threshold"),
        *("s_churn", "s_tmin", "s_tmax", "s_noise"),
    },
    "": {"only", "negative"},
    "20": {
        *("run", "data", "data_cache", "results_folder", "output", "weights", "from_run"),
        *("report", "only", "compare", "record", "spacing", "against", "texts", "negative", "like"),
        *("lora", "autoencoder"),
    },
}


CHURN = ("s_churn", "s_tmin", "s_tmax", "s_noise")
# ... which is not so everywhere.
NOT_FINE = {
    *((SamplingConfig, name, None) for name in ("guidance_rescale", "guidance_parallel")),
    (SamplingConfig, "guidance_momentum", None),
    *((TrainerConfig, "num_samples", None),),
    *((DiffusionConfig, name, None) for name in ("timesteps", "objective", "beta_schedule")),
    *((RunConfig, name, None) for name in ("data", "image_size")),
    *((SamplingConfig, name, 0) for name in CHURN),  # of other samplers than the default
    *((SamplingConfig, name, 10**30) for name in CHURN),
    *((SamplingConfig, name, 20.5) for name in CHURN),
    *((SamplingConfig, name, math.inf) for name in CHURN),
    (commands.ImportConfig, "image_size", ()),
    (commands.SampleConfig, "image_size", ()),
    (EvaluateConfig, "image_size", ()),
    (EvaluateConfig, "weights", "20"),
    (EvaluateConfig, "like", "20"),
    (commands.ReplayConfig, "step", None),
    (commands.ReplayConfig, "step", 0),
    (commands.SampleConfig, "weights", "20"),
    (PaintConfig, "weights", "20"),
    (DemoConfig, "weights", "20"),
    (DemoConfig, "run", None),
    (PaintConfig, "num_samples", None),
    *(
        (type(config), "run", None)
        for config in CONFIGS
        if not isinstance(config, PaintConfig | DemoConfig)
    ),
}
CASES = [
    pytest.param(config, field.name, id=f"{type(config).__name__}.{field.name}")
    for config in CONFIGS
    for field in fields(config)
]


@pytest.mark.parametrize(("config", "name"), CASES)
def test_every_option_refuses_what_nobody_can_mean(config: Any, name: str) -> None:
    for wrong in WRONG:
        if name in FINE.get(wrong, ()) and (type(config), name, wrong) not in NOT_FINE:
            replace(config, **{name: wrong})
            continue
        with pytest.raises(ValueError) as caught:
            replace(config, **{name: wrong})
        number = isinstance(wrong, int) and not isinstance(wrong, bool)
        shown = {repr(wrong), repr(float(wrong)) if number else repr(wrong)}
        assert any(str(caught.value).startswith(f"{name} {value} ") for value in shown)


@pytest.mark.parametrize("number", [np.int64, np.float32, np.array])
def test_numbers_of_numpy_make_the_same_run(number: Any, tmp_path: Path) -> None:
    def numpy(config: Any, **more: Any) -> Any:
        values = {
            field.name: number(value)
            for field in fields(config)
            if type(value := getattr(config, field.name)) is int
        }
        return replace(config, **values, **more)

    parts = {n: numpy(getattr(DIGITS, n)) for n in ("network", "diffusion", "sampling")}
    trainer = numpy(DIGITS.trainer, results_folder=Path("results"), train_lr=np.float64(2e-3))
    config = numpy(DIGITS, **parts, trainer=trainer, data=Path("digits"))
    assert config == DIGITS
    run = RunFolder(tmp_path)
    run.config.write(config)
    assert run.config.read() == DIGITS


def test_no_limit_is_written_as_json_and_comes_back(tmp_path: Path) -> None:
    trainer = TrainerConfig(max_grad_norm=math.inf, data_memory_gb=np.float32("inf"))
    run = RunFolder(tmp_path)
    run.config.write(replace(DIGITS, trainer=trainer))
    assert '"max_grad_norm": "inf"' in run.config.path.read_text()
    assert "Infinity" not in run.config.path.read_text()
    assert run.config.read().trainer == trainer


def test_the_network_and_the_diffusion_take_them(tmp_path: Path) -> None:
    network = Unet(np.int64(8), dim_mults=np.array([1, 2]), channels=1.0, seed=np.uint32(3))
    same = Unet(8, dim_mults=(1, 2), channels=1, seed=3)
    for name, array in same.arrays().items():
        np.testing.assert_array_equal(network.arrays()[name], array)
    diffusion = GaussianDiffusion(
        network, image_size=np.array([8, 4]), timesteps=np.int32(10), seed=np.int64(3)
    )
    assert diffusion.shape == (1, 8, 4) and diffusion.config.timesteps == 10
    with pytest.raises(ValueError, match=r"image_size 8\.5 must be a whole number or a tuple"):
        GaussianDiffusion(network, image_size=8.5)
    with pytest.raises(ValueError, match=r"batch_size 1\.5 must be a whole number"):
        diffusion.sample(1.5)


def test_home_is_expanded_wherever_a_path_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    trainer = TrainerConfig(results_folder="~/run", data_cache=Path("~/cache"))
    assert (trainer.results_folder, trainer.data_cache) == ("/home/me/run", "/home/me/cache")
    assert replace(DIGITS, data="~/photos").data == "/home/me/photos"
    sample = commands.SampleConfig("~/run", output="~/drawn")  # type: ignore[arg-type]
    assert (sample.run, sample.output) == (Path("/home/me/run"), Path("/home/me/drawn"))
    assert commands.ImportConfig(Path("~/w"), 8, "~/r").results_folder == "/home/me/r"
    assert commands.ReplayConfig(Path("~/run"), 1, data="~/photos").data == "/home/me/photos"
    with pytest.raises(ValueError, match="'/home/me/run' is not a run folder"):
        open_run("~/run")
    with pytest.raises(ValueError, match="path '' must be the path of a file or folder"):
        open_run("")


def test_contradictions_are_told_exactly() -> None:
    with pytest.raises(ValueError, match=r"^image_size 0 must be at least 1$"):
        replace(DIGITS, image_size=0)
    with pytest.raises(ValueError, match=r"^image_size -8 must be at least 1$"):
        replace(DIGITS, image_size=(8, -8))
    with pytest.raises(ValueError, match=r"^min_lr 0\.1 must be at most train_lr, which is 0\.0"):
        TrainerConfig(min_lr=0.1, lr_schedule="cosine")
