"""Import and export without PyTorch: what is recognised, what is refused, and nothing is changed.

That the files are really those of the other package is what tests/witness proves.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from ddpm_mindspore.accelerated.commands.export_run import export_run
from ddpm_mindspore.accelerated.commands.import_run import import_run
from ddpm_mindspore.accelerated.commands.options import ExportConfig, ImportConfig
from ddpm_mindspore.accelerated.runs.checkpoint import load_newest
from ddpm_mindspore.accelerated.runs.folder import RunFolder
from ddpm_mindspore.accelerated.runs.opened import open_run
from ddpm_mindspore.accelerated.weights import read as reading
from ddpm_mindspore.accelerated.weights.config import (
    diffusion_config,
    objectives_of,
    rules_of,
    unet_config,
)
from ddpm_mindspore.accelerated.weights.convert import export_weights, import_weights
from ddpm_mindspore.accelerated.weights.read import TABLES, read_weights
from ddpm_mindspore.reference.config import UnetConfig
from ddpm_mindspore.reference.config.diffusion import PREDICTIONS
from ddpm_mindspore.reference.networks.unet import init
from ddpm_mindspore.reference.schedule import SCHEDULES, make_schedule

Arrays = dict[str, np.ndarray]

TINY = UnetConfig(dim=4, dim_mults=(1, 2), channels=1, attn_heads=2, attn_dim_head=3)


def parameters(config: UnetConfig = TINY, seed: int = 0) -> Arrays:
    drawn = init(config, np.random.default_rng(seed))
    return {name: array.astype(np.float32) for name, array in drawn.items()}


def tables(
    rule: str = "sigmoid", T: int = 10, objective: str = "pred_v", gamma: float = np.inf
) -> Arrays:
    """The buffers of a GaussianDiffusion, written down from their definitions; float32 as there."""
    s = make_schedule(rule, T)
    ab, before = s.alpha_bar[1:], s.alpha_bar[:-1]
    clipped = np.minimum(s.snr[1:], gamma)
    weight = {"pred_noise": clipped / s.snr[1:], "pred_x0": clipped}
    buffers = {
        "betas": s.beta[1:],
        "alphas_cumprod": ab,
        "alphas_cumprod_prev": before,
        "sqrt_alphas_cumprod": np.sqrt(ab),
        "sqrt_one_minus_alphas_cumprod": np.sqrt(1 - ab),
        "log_one_minus_alphas_cumprod": np.log(1 - ab),
        "sqrt_recip_alphas_cumprod": np.sqrt(1 / ab),
        "sqrt_recipm1_alphas_cumprod": np.sqrt(1 / ab - 1),
        "posterior_variance": s.posterior_var[1:],
        "posterior_log_variance_clipped": s.posterior_log_var[1:],
        "posterior_mean_coef1": s.posterior_mean_coef_x0[1:],
        "posterior_mean_coef2": s.posterior_mean_coef_xt[1:],
        "loss_weight": weight.get(objective, clipped / (s.snr[1:] + 1)),
    }
    return {name: values.astype(np.float32) for name, values in buffers.items()}


def diffusion_state(seed: int = 0, **options: Any) -> Arrays:
    return {f"model.{n}": a for n, a in parameters(seed=seed).items()} | tables(**options)


def ema_state(seed: int, online_seed: int | None) -> Arrays:
    state = {f"ema_model.{n}": a for n, a in diffusion_state(seed).items()}
    if online_seed is not None:
        state |= {f"online_model.{n}": a for n, a in diffusion_state(online_seed).items()}
    return state | {"initted": np.array(True), "step": np.array(7)}


def write(path: Path, state: Arrays) -> Path:
    safetensors.numpy.save_file(state, path)
    return path


def assert_same(actual: Arrays, expected: Arrays) -> None:
    assert actual.keys() == expected.keys()
    for name, array in expected.items():
        assert actual[name].dtype == np.float32
        assert actual[name].tobytes() == array.tobytes(), name


@pytest.mark.parametrize(
    "config",
    [
        TINY,
        UnetConfig(dim=8, dim_mults=(1, 2, 4, 8), channels=3),
        UnetConfig(dim=6, dim_mults=(3,), channels=4, init_dim=10, self_condition=True),
        UnetConfig(dim=4, dim_mults=(2, 1, 3), channels=2, attn_heads=(1, 2, 3), attn_dim_head=5),
        # A width of four, as many as there are memory pairs, in both kinds of attention.
        UnetConfig(dim=4, dim_mults=(1, 2), attn_heads=3, attn_dim_head=4, full_attn=(True, False)),
        UnetConfig(dim=4, dim_mults=(1, 1), learned_sinusoidal_cond=True, learned_sinusoidal_dim=6),
        UnetConfig(dim=4, dim_mults=(1, 2), attn_dim_head=(2, 6), full_attn=(False, False)),
    ],
)
def test_a_network_is_recognised_by_its_parameters(config: UnetConfig) -> None:
    assert unet_config(parameters(config)) == config


def test_drawn_frequencies_are_taken_for_learned_ones() -> None:
    drawn = UnetConfig(dim=4, dim_mults=(1,), random_fourier_features=True)
    learned = UnetConfig(dim=4, dim_mults=(1,), learned_sinusoidal_cond=True)
    assert unet_config(parameters(drawn)) == learned


@pytest.mark.parametrize("T", [30, 1000])
def test_schedule_and_objective_are_recognised_by_the_tables(T: int) -> None:
    for rule in SCHEDULES:
        assert rules_of(tables(rule, T)["betas"]) == [rule]
        for objective in PREDICTIONS:
            for gamma in (np.inf, 5.0):
                found = tables(rule, T, objective, gamma)
                assert objectives_of(make_schedule(rule, T), found["loss_weight"]) == [objective]
                config = diffusion_config(found)
                assert (config.timesteps, config.objective) == (T, objective)
                assert config.beta_schedule == rule


def test_betas_that_are_as_far_off_as_over_there_are_recognised() -> None:
    beta = make_schedule("sigmoid", 1000).beta[1:]
    off = beta * (1 + 5e-5 * np.random.default_rng(0).uniform(-1, 1, 1000))
    off[beta == 0.999] = 0.999  # the limit is exact
    found = tables("sigmoid", 1000) | {"betas": off, "loss_weight": np.cumprod(1 - off)}
    assert diffusion_config(found).objective == "pred_v"  # snr / (snr + 1) is alpha_bar


def test_what_contradicts_the_tables_is_named() -> None:
    found = tables("linear", 50, "pred_noise")
    assert diffusion_config(found, 50, "pred_noise", "linear").timesteps == 50
    with pytest.raises(ValueError, match="timesteps 1000 contradicts the weights, where it is 50"):
        diffusion_config(found, timesteps=1000)
    with pytest.raises(ValueError, match=r"objective 'pred_v' contradicts .* 'pred_noise'"):
        diffusion_config(found, objective="pred_v")
    with pytest.raises(ValueError, match=r"beta_schedule 'cosine' contradicts .* 'linear'"):
        diffusion_config(found, beta_schedule="cosine")
    found["betas"] = found["betas"] * np.float32(1.001)
    with pytest.raises(ValueError, match="beta_schedule of the weights is none that is known"):
        diffusion_config(found)


def test_an_objective_that_the_tables_leave_open_has_to_be_said() -> None:
    found = tables("linear", 3, "pred_v")  # next to no signal: snr + 1 is 1
    with pytest.raises(ValueError, match="objective of the weights is 'pred_x0' or 'pred_v': say"):
        diffusion_config(found)
    assert diffusion_config(found, objective="pred_v").objective == "pred_v"


def test_a_unet_alone_needs_to_be_told_the_rest() -> None:
    said = {"timesteps": 20, "objective": "pred_x0", "beta_schedule": "cosine"}
    config = diffusion_config({}, **said)
    assert {name: getattr(config, name) for name in said} == said
    for name in said:
        rest = {n: v for n, v in said.items() if n != name}
        with pytest.raises(ValueError, match=f"{name} is not in .*--{name.replace('_', '-')}"):
            diffusion_config({}, **rest)


@pytest.mark.parametrize(
    ("state", "model", "ema"),
    [
        (diffusion_state(1), 1, 1),
        (ema_state(1, None), 1, 1),
        (ema_state(1, 2), 2, 1),
        (parameters(seed=1), 1, 1),
    ],
    ids=["diffusion", "ema alone", "ema and online", "U-Net"],
)
def test_every_kind_of_state_dict_is_read(
    tmp_path: Path, state: Arrays, model: int, ema: int
) -> None:
    found = read_weights(write(tmp_path / "w.safetensors", state))
    assert_same(found.model, parameters(seed=model))
    assert_same(found.ema, parameters(seed=ema))
    assert found.tables.keys() == (set() if "init_conv.weight" in state else TABLES)


def test_a_trainers_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = {
        "step": 3000,
        "model": diffusion_state(1),
        "opt": {"state": {0: {}}},
        "ema": ema_state(2, 1),
        "scaler": None,
        "version": "2.3.4",
    }
    monkeypatch.setattr(reading, "_read_torch", lambda path: content)
    (tmp_path / "model-3.pt").touch()
    found = read_weights(tmp_path / "model-3.pt")
    assert_same(found.model, parameters(seed=1))
    assert_same(found.ema, parameters(seed=2))
    assert found.step == 3000


def wrapped(state: Arrays, names: Callable[[str], str]) -> Arrays:
    return {names(name): array for name, array in state.items()}


@pytest.mark.parametrize(
    ("state", "names"),
    [
        (parameters(seed=1), "module.{}".format),
        (parameters(seed=1), "module._orig_mod.{}".format),
        (diffusion_state(1), "_orig_mod.{}".format),
        (diffusion_state(1), lambda name: name.replace("model.", "model.module._orig_mod.", 1)),
        (diffusion_state(1), lambda name: name.replace("downs.0.", "downs._orig_mod.0.module.")),
        (diffusion_state(1), "model.{}".format),
        (diffusion_state(1), "model.module.model.{}".format),
        (ema_state(1, None), lambda name: name.replace("ema_model.", "ema_model.module.")),
        (ema_state(1, None), "_orig_mod.{}".format),
    ],
)
def test_what_data_parallel_and_compile_put_into_names_is_left_out(
    tmp_path: Path, state: Arrays, names: Callable[[str], str]
) -> None:
    path = write(tmp_path / "w.safetensors", wrapped(state, names))
    found = read_weights(path)
    assert_same(found.ema, parameters(seed=1))
    assert_same(found.model, parameters(seed=1))
    assert found.tables.keys() == (set() if "init_conv.weight" in state else TABLES)


def test_a_trainers_file_of_wrapped_modules_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    average = wrapped(ema_state(2, 1), lambda name: name.replace("_model.", "_model._orig_mod."))
    content = {"step": 7, "model": wrapped(diffusion_state(1), "module._orig_mod.{}".format)}
    monkeypatch.setattr(reading, "_read_torch", lambda path: content)
    (tmp_path / "model-3.pt").touch()
    alone = read_weights(tmp_path / "model-3.pt")
    assert_same(alone.ema, parameters(seed=1))
    assert alone.step == 7
    content["ema"] = average
    found = read_weights(tmp_path / "model-3.pt")
    assert_same(found.model, parameters(seed=1))
    assert_same(found.ema, parameters(seed=2))


def test_names_that_fit_by_half_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    twice = parameters() | {"module.init_conv.weight": np.zeros((4, 1, 7, 7), np.float32)}
    assert "hold two of 'init_conv.weight', one within" in refused(write(path, twice))
    half = {f"net.{n}" if n.startswith("ups.") else n: a for n, a in parameters().items()}
    assert "in only one of the network and the weights" in refused(write(path, half))
    other = wrapped(parameters(), "net.module.{}".format)
    assert "no 'init_conv.weight', as the U-Net" in refused(write(path, other))
    assert "(theirs begin with 'net." in refused(write(path, other))
    half = {f"model.{n}" if n.startswith("ups.") else n: a for n, a in parameters().items()}
    assert "is in only one of weights" in refused(write(path, half))


def test_an_imported_run_opens_with_these_weights(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = ema_state(1, 2)
    state |= {f"online_model.{n}": a for n, a in tables("linear", 30, "pred_noise").items()}
    path, run = write(tmp_path / "w.safetensors", state), tmp_path / "run"
    assert import_run(ImportConfig(path, image_size=(4, 6), results_folder=str(run))) == 0
    opened = open_run(run)
    diffusion = opened.diffusion
    assert (opened.step, opened.weights, opened.remarks) == (0, "average", ())
    assert_same(diffusion.model.arrays(), parameters(seed=1))
    assert_same(load_newest(run).checkpoint.tensors["model"], parameters(seed=2))
    assert diffusion.model.config == TINY
    assert diffusion.image_size == (4, 6)
    config = diffusion.config
    assert (config.timesteps, config.objective) == (30, "pred_noise")
    assert config.beta_schedule == "linear"
    said = capsys.readouterr().out
    assert "Unet(dim=4, dim_mults=(1, 2), channels=1, attn_dim_head=3, attn_heads=2)" in said
    assert "pred_noise, linear schedule, T = 30, images of 4 x 6" in said
    with pytest.raises(ValueError, match="already holds a run: choose another"):
        import_weights(ImportConfig(path, image_size=4, results_folder=str(run)))
    with pytest.raises(ValueError, match=r"without the optimiser state .*\(--from .*/run "):
        RunFolder(run).prepare(resume=True)


def test_exported_weights_are_those_of_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, run = write(tmp_path / "w.safetensors", ema_state(1, 2)), tmp_path / "run"
    import_weights(ImportConfig(path, image_size=4, results_folder=str(run)))
    assert export_run(ExportConfig(run)) == 0
    assert "model = Unet(dim=4, " in capsys.readouterr().out
    assert_same(safetensors.numpy.load_file(run / "weights.safetensors"), parameters(seed=1))
    export_weights(run, tmp_path / "model.safetensors", "model")
    assert_same(safetensors.numpy.load_file(tmp_path / "model.safetensors"), parameters(seed=2))
    with pytest.raises(ValueError, match=r"output .*no-folder.* cannot be written"):
        export_weights(run, tmp_path / "no-folder" / "w.safetensors")
    with pytest.raises(ValueError, match="is not a run folder"):
        export_weights(tmp_path, tmp_path / "w2.safetensors")


def refused(path: Path, *, image_size: int = 4) -> str:
    run = path.parent / "run"
    with pytest.raises(ValueError) as caught:
        import_weights(ImportConfig(path, image_size, str(run)))
    assert not run.exists()
    return str(caught.value)


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    assert "is not a file" in refused(tmp_path / "missing.safetensors")
    noise = tmp_path / "noise.safetensors"
    noise.write_bytes(b"neither length nor header")
    assert "no safetensors file" in refused(noise)
    other = noise.rename(tmp_path / "weights.bin")
    assert "must end in .safetensors, .pt or .pth" in refused(other)


def test_a_type_that_numpy_lacks_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load_file(path: Path) -> Arrays:  # NumPy has bfloat16 once MindSpore has been imported
        raise TypeError("data type 'bfloat16' not understood")

    monkeypatch.setattr(safetensors.numpy, "load_file", load_file)
    path = tmp_path / "w.safetensors"
    path.touch()
    assert "(data type 'bfloat16' not understood): save them as float32" in refused(path)


def test_without_torch_a_pt_file_is_refused_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)  # as if it were not installed
    path = tmp_path / "model-1.pt"
    path.touch()
    assert "pip install torch" in refused(path)


def test_other_networks_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    state = diffusion_state()
    write(path, {"weight": np.zeros(3, np.float32)})
    assert "have no 'init_conv.weight'" in refused(path)
    renamed = {n.replace("mem_kv", "kv"): a for n, a in state.items()}
    assert "have no 'downs.0.2.mem_kv'" in refused(write(path, renamed))
    fewer = {n: a for n, a in state.items() if n != "model.ups.0.0.block1.norm.g"}
    assert "'ups.0.0.block1.norm.g' is in only one of" in refused(write(path, fewer))
    wider = state | {"model.mid_attn.norm.g": np.ones((1, 9, 1, 1), np.float32)}
    assert "'mid_attn.norm.g' has shape (1, 8, 1, 1)" in refused(write(path, wider))
    more = state | {"log_snr": np.zeros(3, np.float32)}
    assert "table 'log_snr' is in only one of" in refused(write(path, more))
    assert "image_size 5 is not divisible by 2" in refused(write(path, state), image_size=5)


def test_a_learned_variance_is_refused(tmp_path: Path) -> None:
    config = UnetConfig(dim=4, dim_mults=(1,), channels=3, learned_variance=True)
    path = write(tmp_path / "w.safetensors", parameters(config))
    assert "reads 3 channels and returns 6 (learned_variance or out_dim)" in refused(path)
