"""Checkpoints of the package become runs that draw what it draws; runs become weights for it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ddpm_mindspore.accelerated.commands.export_run import export_run
from ddpm_mindspore.accelerated.commands.import_run import import_run
from ddpm_mindspore.accelerated.commands.options import ExportConfig, ImportConfig
from ddpm_mindspore.accelerated.randomness import Purpose, normal
from ddpm_mindspore.accelerated.runs.opened import open_run
from ddpm_mindspore.accelerated.weights.convert import export_weights, import_weights

NETWORK: dict[str, Any] = {"dim": 8, "dim_mults": (1, 2), "channels": 1, "self_condition": True}
SIZE = (4, 6)
T = 40
STEPS, COUNT, SEED = 10, 3, 11
FACTOR = 4.0
"""How much further from the truth, which is float64, we may be than the package in float32."""


@pytest.fixture
def trained(peer: Any) -> Any:
    """An EMA around a diffusion whose parameters have moved on since the average was taken."""
    ema = peer.EMA(diffusion(peer), beta=0.9, update_every=1, update_after_step=0)
    for _ in range(3):
        for parameter in ema.model.parameters():
            parameter.data.add_(0.05 * peer.torch.randn_like(parameter))
        ema.update()
    return ema


def diffusion(peer: Any) -> Any:
    return peer.GaussianDiffusion(
        peer.unet(4, **NETWORK),
        image_size=SIZE,
        timesteps=T,
        sampling_timesteps=STEPS,
        objective="pred_noise",
        beta_schedule="cosine",
    )


def saved_by_its_trainer(peer: Any, ema: Any, path: Path) -> Path:
    """What Trainer.save writes."""
    optimizer = peer.torch.optim.Adam(ema.model.parameters(), lr=1e-4, betas=(0.9, 0.99))
    ema.model(peer.torch.rand(2, 1, *SIZE)).backward()
    optimizer.step()
    data = {
        "step": 3000,
        "model": ema.model.state_dict(),
        "opt": optimizer.state_dict(),
        "ema": ema.state_dict(),
        "scaler": None,
        "version": "2.3.4",
    }
    peer.torch.save(data, path)
    return path


def parameters(network: Any) -> dict[str, np.ndarray]:
    return {name: array.numpy() for name, array in network.state_dict().items()}


def assert_same(actual: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert actual.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(actual[name], array, name)


def test_a_trainers_checkpoint_becomes_a_run_to_sample_from(
    peer: Any, trained: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = saved_by_its_trainer(peer, trained, tmp_path / "model-3.pt")
    run = tmp_path / "run"
    assert import_run(ImportConfig(path, SIZE, str(run))) == 0
    assert f"pred_noise, cosine schedule, T = {T}, images of 4 x 6" in capsys.readouterr().out
    opened = open_run(run)
    assert (opened.step, opened.remarks) == (3000, ())
    assert_same(opened.diffusion.model.arrays(), parameters(trained.ema_model.model))
    export_weights(run, tmp_path / "model.safetensors", "model")
    assert_same(load(peer, tmp_path / "model.safetensors"), parameters(trained.model.model))
    command = "ddpm_mindspore.accelerated.cli", "sample", str(run), "--num-samples", "2"
    subprocess.run([sys.executable, "-m", *command, "--sampling-timesteps", "5"], check=True)
    assert (run / "drawn" / "grid.png").is_file()
    assert np.load(run / "drawn" / "samples.npy").shape == (2, 1, *SIZE)


@pytest.mark.parametrize("what", ["network", "diffusion", "ema"])
def test_every_state_dict_it_can_save_is_read(
    what: str, peer: Any, trained: Any, tmp_path: Path
) -> None:
    from safetensors.torch import save_file

    module = {"network": trained.model.model, "diffusion": trained.model, "ema": trained}[what]
    expected = trained.ema_model if what == "ema" else trained.model
    save_file(module.state_dict(), tmp_path / "w.safetensors")
    peer.torch.save(module.state_dict(), tmp_path / "w.pt")
    said = {"timesteps": T, "objective": "pred_noise", "beta_schedule": "cosine"}
    for path in (tmp_path / "w.safetensors", tmp_path / "w.pt"):
        options = ImportConfig(path, SIZE, str(tmp_path / f"run{path.suffix}"), **said)
        _, weights = import_weights(options)
        assert_same(weights.ema, parameters(expected.model))
        assert_same(weights.model, parameters(trained.model.model))


@pytest.mark.parametrize("wrapper", ["DataParallel", "compile", "both", "each within"])
def test_what_is_wrapped_is_read(wrapper: str, peer: Any, trained: Any, tmp_path: Path) -> None:
    torch = peer.torch
    module = trained.model
    if wrapper == "each within":
        module.model.downs[0] = torch.compile(module.model.downs[0])
        module.model = torch.compile(torch.nn.DataParallel(module.model))
    wrap = {
        "DataParallel": torch.nn.DataParallel,
        "compile": torch.compile,
        "both": lambda m: torch.compile(torch.nn.DataParallel(m)),
        "each within": lambda m: m,
    }[wrapper]
    expected = parameters(diffusion(peer).model)
    state = wrap(module).state_dict()
    assert any("module." in name or "_orig_mod." in name for name in state)
    torch.save(state, tmp_path / "w.pt")
    ema = peer.EMA(wrap(diffusion(peer)))
    torch.save({"step": 5, "model": state, "ema": ema.state_dict()}, tmp_path / "model-1.pt")
    _, weights = import_weights(ImportConfig(tmp_path / "w.pt", SIZE, str(tmp_path / "run")))
    plain = parameters(trained.ema_model.model)
    assert weights.model.keys() == plain.keys()
    _, of_trainer = import_weights(ImportConfig(tmp_path / "model-1.pt", SIZE, str(tmp_path / "2")))
    assert_same(of_trainer.model, weights.model)
    assert_same(of_trainer.ema, expected)


def test_the_states_on_the_way_are_those_of_the_package(
    peer: Any, trained: Any, tmp_path: Path, table: Any
) -> None:
    path = saved_by_its_trainer(peer, trained, tmp_path / "model-3.pt")
    import_weights(ImportConfig(path, SIZE, str(tmp_path / "run")))
    ours = open_run(tmp_path / "run").diffusion.sample(
        COUNT, return_all_timesteps=True, sampler="ddim", sampling_timesteps=STEPS, seed=SEED
    )
    start = normal(SEED, Purpose.SAMPLE_START, 0, range(COUNT), (1, *SIZE))
    with peer.drawing(start, iter([np.zeros_like(start)] * STEPS)):
        theirs = trained.ema_model.sample(COUNT, return_all_timesteps=True).numpy()
    assert ours.shape == theirs.shape == (COUNT, 1 + STEPS, 1, *SIZE)
    theirs[:, -1] = np.clip(theirs[:, -1], 0.0, 1.0)
    error = float(np.abs(ours - theirs).max())
    table.add("imported run: states on the way", f"{error:.1e}", "1e-3")
    assert error <= 1e-3  # float32 on both sides, of numbers up to 3


def test_an_imported_run_draws_the_pictures_that_the_package_draws(
    peer: Any, trained: Any, tmp_path: Path, table: Any
) -> None:
    path = saved_by_its_trainer(peer, trained, tmp_path / "model-3.pt")
    import_weights(ImportConfig(path, SIZE, str(tmp_path / "run")))
    ours = open_run(tmp_path / "run").diffusion
    drawn = ours.sample(COUNT, sampler="ddim", sampling_timesteps=STEPS, seed=SEED)

    start = normal(SEED, Purpose.SAMPLE_START, 0, range(COUNT), (1, *SIZE))
    no_noise: Iterator[np.ndarray] = iter([np.zeros_like(start)] * STEPS)
    with peer.drawing(start, no_noise):
        theirs32 = trained.ema_model.sample(COUNT).numpy()
    with peer.in_float64():
        exact = diffusion(peer)
        exact.model.load_state_dict(trained.ema_model.model.state_dict())
        with peer.drawing(start, iter([np.zeros_like(start)] * STEPS)):
            theirs64 = exact.double().sample(COUNT).numpy()
    theirs64 = np.clip(theirs64, 0.0, 1.0)
    # A picture's float32 numbers are rounded themselves, however well they were computed.
    error, allowed = rms(drawn - theirs64), FACTOR * (rms(theirs32 - theirs64) + 2**-24)
    table.add("imported run: pictures beside its float64 ones", f"{error:.1e}", f"{allowed:.1e}")
    assert drawn.std() > 0.1  # not clipped to nothing
    assert error <= allowed


def test_exported_weights_load_strictly_and_compute_the_same(
    peer: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The printed lines are followed as a user would, and the network is one of ours."""
    from safetensors.numpy import save_file

    from ddpm_mindspore.accelerated import Unet

    options = {"dim": 8, "dim_mults": (2, 1), "attn_heads": (1, 3), "full_attn": (True, False)}
    ours = Unet(**options, channels=1, seed=9)
    save_file(ours.arrays(), tmp_path / "ours.safetensors")
    import_weights(
        ImportConfig(
            tmp_path / "ours.safetensors", 4, str(tmp_path / "run"), T, "pred_v", "sigmoid"
        )
    )
    capsys.readouterr()
    assert export_run(ExportConfig(tmp_path / "run")) == 0
    lines = [line[2:] for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
    names = {"Unet": peer.Unet, "GaussianDiffusion": peer.GaussianDiffusion}
    exec("\n".join(lines), names)
    model: Any = names["model"]
    assert_same(parameters(model), ours.arrays())
    assert names["diffusion"].num_timesteps == T
    x = np.random.default_rng(0).standard_normal((2, 1, 4, 4)).astype(np.float32)
    time = np.array([0.0, 39.0], np.float32)
    compare_forward(peer, ours, model, x, time)


def compare_forward(peer: Any, ours: Any, model: Any, x: np.ndarray, time: np.ndarray) -> None:
    from mindspore import Tensor

    from ddpm_mindspore.reference.networks.unet import unet

    params = {name: array.astype(np.float64) for name, array in ours.arrays().items()}
    truth = unet(params, ours.config, x.astype(np.float64), time.astype(np.float64))
    error32 = rms(peer.call(model.eval(), x, time) - truth)
    assert error32 <= 1e-5 * rms(truth)  # a thousand float32 roundings: the same function
    assert rms(ours(Tensor(x), Tensor(time)).asnumpy() - truth) <= FACTOR * error32


def load(peer: Any, path: Path) -> dict[str, np.ndarray]:
    """Through the package's own strict loading."""
    from safetensors.torch import load_file

    network = peer.Unet(**NETWORK)
    network.load_state_dict(load_file(path), strict=True)
    return parameters(network)


def rms(x: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(x, dtype=np.float64))))
