"""No option can be ignored unnoticed: each of them changes numbers that a property compares.

The examples are those that every run of the suite has (``parity/examples/fixed_runs.py`` and
``networks.py``). Whether an option shows in them is a question to the reference alone, and quickly
answered; that a device which ignores it fails is then tried, option by option.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

from ddpm_mindspore.accelerated import diffusion
from ddpm_mindspore.accelerated.commands.options import SampleConfig
from ddpm_mindspore.accelerated.config import RunConfig, TrainerConfig, configurations
from ddpm_mindspore.accelerated.networks import unet
from ddpm_mindspore.accelerated.trainer import loop as trainer
from ddpm_mindspore.parity import test_commands, test_trainer
from ddpm_mindspore.parity.examples import fixed_runs
from ddpm_mindspore.parity.examples.images import give
from ddpm_mindspore.parity.examples.networks import pairs_of_options
from ddpm_mindspore.parity.examples.samplers import TRAJECTORIES
from ddpm_mindspore.parity.sides import device, door_device, walks
from ddpm_mindspore.parity.sides.closed_form import Denoiser
from ddpm_mindspore.parity.test_trainer import left_in_the_end
from ddpm_mindspore.parity.test_unet import draw_inputs, forward
from ddpm_mindspore.parity.test_unet import truth as unet_truth
from ddpm_mindspore.reference.config import DiffusionConfig, SamplingConfig, UnetConfig
from ddpm_mindspore.reference.config.samplers import SAMPLERS

from .properties import COMMAND

RUNS = (fixed_runs.FROM_A_FOLDER, fixed_runs.SPOILED)

NO_NUMBERS = {
    "RunConfig.data": "an array, a folder of them: what an example is given",
    "RunConfig.image_size": "the shape of everything that is compared",
    "RunConfig.device": "what is checked",
    "RunConfig.network": "UnetConfig",
    "RunConfig.diffusion": "DiffusionConfig",
    "RunConfig.sampling": "SamplingConfig",
    "RunConfig.trainer": "TrainerConfig",
    **{
        f"{config}.{name}": "of some samplers: test_an_option_shows_in_a_walk"
        for config in ("SamplingConfig", "SampleConfig")
        for name in ("variance", "s_churn", "s_tmin", "s_tmax", "s_noise", "order", "variant")
    },
    "SampleConfig.eta": "of one sampler: test_commands draws it",
    "SamplingConfig.eta": "of one sampler: test_diffusion draws it",
    "SamplingConfig.dynamic_threshold": "these runs draw nothing beyond the range: COMMAND does",
    "SampleConfig.run": "a path",
    "SampleConfig.like": "a path",
    "SampleConfig.output": "a path",
    "SampleConfig.device": "what is checked",
    "SampleConfig.amp_level": "test_precision_levels asks for more than the usual error",
    "SampleConfig.amp_dtype": "likewise; what files say of it: tests/accelerated/test_repeat.py",
    "TrainerConfig.recompute": "the same numbers, as tests/accelerated/test_recomputation.py sees",
    "TrainerConfig.prior": "of networks that are told texts: tests/accelerated/test_prior.py",
    "TrainerConfig.prior_number": "likewise",
    "TrainerConfig.prior_weight": "likewise",
    "SampleConfig.weights": "not with ema, which COMMAND has: see the bug planted there",
    "SampleConfig.batch_size": "image number i is the same in any batch: test_commands draws it",
    "TrainerConfig.from_run": "a path: SPOILED starts from a run",
    "TrainerConfig.from_weights": "SPOILED starts from the trained ones: see the bug planted there",
    "TrainerConfig.amp_level": "test_precision_levels asks for more than the usual error",
    "TrainerConfig.amp_dtype": "test_precision_levels asks for more than the usual error in either",
    "TrainerConfig.conditional": "where num_classes comes from, which FROM_A_FOLDER says itself",
    "TrainerConfig.super_resolve": "of networks that are shown images, as WITH_THE_UNET has one",
    "TrainerConfig.max_nonfinite_steps": "when training stops, after which nothing is computed",
    "TrainerConfig.caption_encoding": "which files are read: test_data_captions has lists of them",
    "TrainerConfig.data_memory_gb": "images read anew are the same: test_train_batches draws it",
    "TrainerConfig.data_cache": "images from a cache are the same",
    "TrainerConfig.autoencoder": "of latents: tests/accelerated/test_latents.py compares them",
    "TrainerConfig.scale_factor": "likewise, and test_latents",
    "TrainerConfig.tensorboard": "the same metrics in another file",
    "TrainerConfig.evaluate_every": "figures of samples, which training does not see",
    "TrainerConfig.evaluate_samples": "likewise",
    "TrainerConfig.results_folder": "a path",
    "TrainerConfig.resume": "what the examples do after their middle",
    "TrainerConfig.distributed": "test_train_batches and test_distributed draw several processes",
    "TrainerConfig.strict": "whether a broken file is refused",
    "TrainerConfig.leave_out": "which columns of a file are read: test_data_numbers",
    "DiffusionConfig.sigma_data": "of one objective: test_levels and test_trainer draw it",
    "DiffusionConfig.auto_normalize": "test_networks trains and draws vectors without it",
    "UnetConfig.cond_drop_prob": "of training: test_train_batches draws it, FROM_A_FOLDER has it",
    "UnetConfig.dim_mults": "the number and shapes of all parameters",
}
"""Options that change no number by themselves, and why."""

INSTEAD: dict[str, Any] = {
    "train_num_steps": 4,
    "train_lr": 5e-3,
    "timesteps": 5,
    "save_and_sample_every": 2,
    "num_samples": 4,
    "channels": 4,
    "dim": 8,
}
"""Where it would take too long, or not work, to ignore an option is to have this value."""


def names(*classes: type) -> list[str]:
    """Every option that has to show."""
    found = [f"{c.__name__}.{f.name}" for c in classes for f in fields(c)]
    return [name for name in found if name not in NO_NUMBERS]


def other(config: type, option: str) -> Any:
    """The value that an option has where it is ignored."""
    (field,) = (f for f in fields(config) if f.name == option)
    assert option in INSTEAD or field.default is not MISSING, f"{option}: say what instead of it"
    return INSTEAD.get(option, field.default)


def differs(one: dict[str, Any], two: dict[str, Any], bounds: dict[str, Any]) -> bool:
    """Whether nothing that is within the bounds of one is within those of the other."""
    if one.keys() != two.keys():
        return True
    for name, value in one.items():
        if np.shape(value) != np.shape(two[name]):
            return True
        if np.max(np.abs(value - two[name]), initial=0.0) > 2.0 * bounds.get(name, 0.0):
            return True
    return False


def once(function: Callable[..., Any], inputs: Any, dtype: str = "") -> Any:
    """``deep`` without its bounds: the float64 run alone."""
    return function({name: x.astype(np.float64) for name, x in inputs.items()}), {}


def run_truth(case: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """All numbers of a run, with the steps that are left on the disk and the rates."""
    door = door_device.door(case["net"], case["diffusion"], case["trainer"], case["size"])
    with tempfile.TemporaryDirectory() as folder:
        given = give(
            **case["data"],
            shape=door.shape,
            seed=case["params"],
            folder=Path(folder),
            config=door.trainer,
        )
        values = door_device.parameters(door, case["params"])
        numbers, bounds = test_trainer.truth(door, given, values, case["spoiled"])
    return {**numbers, "left": np.array(left_in_the_end(door))}, bounds


@pytest.fixture(scope="module")
def runs() -> list[tuple[dict[str, Any], dict[str, Any]]]:
    with np.errstate(invalid="ignore"):
        return [run_truth(case) for case in RUNS]


def changed(case: dict[str, Any], part: str, option: str, value: Any) -> dict[str, Any]:
    """The example with an option at another value, and what only goes with the old one."""
    options = {**case[part], option: value}
    if option == "lr_schedule":
        options.pop("min_lr", None)
    return {**case, part: options}


PARTS = {
    "DiffusionConfig": ("diffusion", DiffusionConfig),
    "SamplingConfig": ("diffusion", SamplingConfig),
    "TrainerConfig": ("trainer", TrainerConfig),
}


@pytest.mark.parametrize("name", names(DiffusionConfig, SamplingConfig, TrainerConfig))
def test_an_option_shows_in_a_run(name: str, runs: list[Any]) -> None:
    config, option = name.split(".")
    part, kind = PARTS[config]
    value = other(kind, option)
    for case, (numbers, bounds) in zip(RUNS, runs, strict=True):
        if case[part].get(option, value) == value:
            continue
        with mock.patch.object(test_trainer, "deep", once), np.errstate(invalid="ignore"):
            seen, _ = run_truth(changed(case, part, option, value))
        if differs(numbers, seen, bounds):
            return
    pytest.fail(f"{name} could be ignored: no example of parity/examples/fixed_runs.py shows it")


@pytest.mark.parametrize("name", names(UnetConfig))
def test_an_option_shows_in_a_network(name: str) -> None:
    option = name.partition(".")[2]
    value = other(UnetConfig, option)
    for case in pairs_of_options():
        net, time = case["net"], case["time"]
        if net.get(option, value) == value:
            continue
        inputs, masks = draw_inputs(net, case["size"], len(time), case["self_cond"], case["seed"])
        output, bound = unet_truth(net, inputs, time, masks)
        instead = {**net, option: value}
        shapes = [unet.Unet(**options).arrays() for options in (net, instead)]
        if [x.shape for x in shapes[0].values()] != [x.shape for x in shapes[1].values()]:
            return
        masks = masks if instead.get("dropout") else []
        inputs = {
            k: v for k, v in inputs.items() if k != "x_self_cond" or instead["self_condition"]
        }
        if differs({"": output}, {"": unet_truth(instead, inputs, time, masks)[0]}, {"": bound}):
            return
    pytest.fail(f"{name} could be ignored: no example of parity/examples/networks.py shows it")


@pytest.mark.parametrize("name", names(SampleConfig))
def test_an_option_shows_in_files(name: str) -> None:
    option = name.partition(".")[2]
    numbers, bound = command_truth(COMMAND["options"])
    instead = {**COMMAND["options"], option: other(SampleConfig, option)}
    with mock.patch.object(test_commands, "deep", deep_once):
        assert differs({"": numbers}, {"": command_truth(instead)[0]}, {"": bound}), name


@pytest.mark.parametrize(
    ("sampler", "option"), [(name, option) for name, own in SAMPLERS.items() for option in own]
)
def test_an_option_shows_in_a_walk(sampler: str, option: str) -> None:
    """Without it, the sampler of the reference draws something else."""

    def drawn(case: dict[str, Any], options: dict[str, Any]) -> Any:
        x_T, *noise = device.draw(case["seed"], (1 + len(case["timesteps"]), 2, *case["shape"]))
        denoiser = Denoiser(
            device.schedule(*case["schedule"]),
            case["objective"],
            0.0 * x_T[0],
            1.0 + x_T[0] ** 2,
            0.0,
        )
        walk = denoiser, sampler, options, case["timesteps"], False, x_T, noise
        return walks.on_reference(*walk).states[-1]

    for case in TRAJECTORIES:
        given = dict(case["options"])
        if case["sampler"] == sampler and option in given:
            whole, _ = drawn(case, given), given.pop(option)
            if np.max(np.abs(whole - drawn(case, given))) > 1e-3:
                return
    pytest.fail(f"no example of parity/examples/samplers.py shows {option} of {sampler}")


def deep_once(function: Callable[..., Any], inputs: Any) -> Any:
    truth, _ = once(function, inputs)
    return truth, dict.fromkeys(truth, 0.0)


def command_truth(given: dict[str, Any]) -> Any:
    trainer_options = {"seed": COMMAND["seed"], "ema_sigma_rels": test_commands.WIDTHS}
    door = door_device.door(COMMAND["net"], COMMAND["diffusion"], trainer_options, COMMAND["size"])
    kept = test_commands.averages(door, COMMAND["steps"], COMMAND["params"])
    return test_commands.truth(door, kept, COMMAND["steps"][-1], given)


def test_every_option_is_named() -> None:
    classes = (
        *(RunConfig, DiffusionConfig, SamplingConfig),
        *(TrainerConfig, UnetConfig, SampleConfig),
    )
    known = {f"{c.__name__}.{f.name}" for c in classes for f in fields(c)}
    assert NO_NUMBERS.keys() <= known


@contextlib.contextmanager
def ignored(module: Any, config: type, option: str) -> Iterator[None]:
    """Within it, the device's side has the option at another value, whatever it is told."""
    value = other(config, option)

    def made(**given: Any) -> Any:
        options = {**given, option: value}
        if option == "lr_schedule":
            options["min_lr"] = 0.0
        return config(**options)

    def both(options: Any) -> Any:
        return configurations({**options, option: value})

    known = config.__name__ if hasattr(module, config.__name__) else "configurations"
    device.clear()
    with mock.patch.object(module, known, both if known == "configurations" else made):
        yield
    device.clear()


@pytest.mark.nightly
@pytest.mark.parametrize("name", names(DiffusionConfig, SamplingConfig, TrainerConfig))
def test_who_ignores_an_option_of_a_run_fails(name: str) -> None:
    config, option = name.split(".")
    part, kind = PARTS[config]
    module = trainer if config == "TrainerConfig" else diffusion
    value = other(kind, option)
    cases = [case for case in RUNS if case[part].get(option, value) != value]
    with ignored(module, kind, option), pytest.raises(AssertionError, match="reproduce: "):
        for case in cases:
            test_trainer.run(**case)


@pytest.mark.slow
@pytest.mark.parametrize("name", names(UnetConfig))
def test_who_ignores_an_option_of_a_network_fails(name: str) -> None:
    option = name.partition(".")[2]
    value = other(UnetConfig, option)
    cases = [case for case in pairs_of_options() if case["net"].get(option, value) != value]
    with ignored(unet, UnetConfig, option), pytest.raises((AssertionError, ValueError)):
        for case in cases:
            forward(**case, modes=("eager",))
