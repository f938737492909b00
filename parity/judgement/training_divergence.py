"""The first part of training that is wrong when it is given what the reference gives it.

In the order of the computation: noising, the layers of the network and their gradients, the loss,
the formulas of the update. Where all of them are right, they are joined wrongly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from mindspore import Tensor

from ...accelerated import objective as accelerated
from ...accelerated import process as accelerated_process
from ...reference import objective as reference
from ...reference import process
from ...reference.bound import halves
from ...reference.config import UnetConfig
from ...reference.preconditioning import network_input
from ...reference.schedule import Schedule as Tables
from ...reference.schedule import levels_at
from ...reference.training import MicroBatch, TrainingConfig, training_loss, value_and_grad
from ..sides import device, network
from ..sides.device import Array
from ..sides.network import Batch, Options, Schedule
from . import update_formulas
from .explain import Finding, source
from .first_divergence import of_network
from .tolerance import Arrays, deep


def of_gradients(
    net: Options, seed: int, schedule: Schedule, config: TrainingConfig, batch: Batch
) -> Finding | None:
    """Noising, layers and loss, and then how they are joined."""
    finding = of_loss(network_batch(net, batch), schedule, config)
    if finding is None:
        inputs = _given_to_the_network(net, seed, schedule, config, batch)
        masks = batch.masks or []
        finding = of_network(net, seed, inputs, (batch.t - 1.0).tolist(), masks, back=True)
    what = "every layer and the loss are right by themselves: the training loss joins them wrongly"
    return finding or Finding(what, source("training.py", "^def training_loss"))


def of_training(
    net: Options,
    seed: int,
    schedule: Schedule,
    config: TrainingConfig,
    batch: Batch,
    step: int,
    accumulate: int = 1,
) -> Finding | None:
    """The same, and the formulas of update number ``step``, given the reference's gradient."""
    values = network.parameters(net, seed)
    gradient = _gradient(net, values, schedule, config, batch)
    trained = [p.name for p in network.network(net).trainable_params()]
    starts, grads = ({n: arrays[n] for n in trained} for arrays in (values, gradient))
    finding = update_formulas.first_wrong(config, starts, grads, step, accumulate)
    if finding is None:
        finding = of_loss(network_batch(net, batch), schedule, config)
    if finding is None:
        inputs = _given_to_the_network(net, seed, schedule, config, batch)
        masks = batch.masks or []
        finding = of_network(net, seed, inputs, (batch.t - 1.0).tolist(), masks, back=True)
    what = "every layer and every formula is right by itself: the training step joins them wrongly"
    return finding or Finding(what, source("training.py", "^class TrainStep"))


class Given(NamedTuple):
    """What the formulas around the network are given: float32 images."""

    x_0: Array
    t: Array
    noise: Array
    output: Array


def network_batch(net: Options, batch: Batch) -> Given:
    """A batch, with a drawn output of the network."""
    return Given(batch.x_0, batch.t, batch.noise, device.draw(5, batch.x_0.shape))


class Formula(NamedTuple):
    """A formula around the network on both sides: (x_0, noise, output) to an array."""

    name: str
    file: str
    on_device: Callable[..., Any]
    in_reference: Callable[..., Array]


def of_loss(given: Given, schedule: Schedule, config: TrainingConfig) -> Finding | None:
    """The first formula between x_0 and the loss that is wrong, but for the network."""
    images = {name: getattr(given, name) for name in ("x_0", "noise", "output")}
    images = {name: np.nan_to_num(np.asarray(x, np.float32)) for name, x in images.items()}
    for formula in loss_formulas(schedule, config, np.asarray(given.t)):

        def function(arrays: Arrays, formula: Formula = formula) -> Arrays:
            result = formula.in_reference(*(arrays[name] for name in images))
            return {"result": np.asarray(result)}

        expected, bounds = deep(function, images)
        actual = device.run("eager", formula.on_device, *images.values())
        error = np.max(np.abs(actual - expected["result"]), initial=0.0)
        share = float(error) / max(bounds["result"], 1e-300)
        if not share <= 1.0:
            where = source(formula.file, rf"def {formula.name}\b")
            options = {k: v for k, v in vars(config).items() if v != vars(TrainingConfig())[k]}
            t = tuple(given.t.tolist())
            line = (
                f"from {__name__} import loss_alone; "
                f"loss_alone(schedule={schedule!r}, t={t!r}, training={options!r})"
            )
            return Finding(f"{formula.name}: {share:.3g} times its bound", where, line)
    return None


def loss_formulas(schedule: Schedule, config: TrainingConfig, t: Array) -> Iterator[Formula]:
    """Noising, the target, the estimate of x_0, the weights, and the loss of a given output."""
    tables = device.schedule(*schedule)
    signal, sigma = levels_at(tables, t)
    weights = reference.weight_at((signal / sigma) ** 2, config.objective, **config.weight_rule)
    data = config.sigma_data
    rule = {"objective": config.objective, **config.weight_rule}
    levels = Tensor(device.levels(schedule, np.asarray(t), **rule))
    score = accelerated.simple_loss(config.loss_type)
    q_sample = partial(process.q_sample, tables)
    yield Formula(
        "q_sample",
        "process.py",
        lambda x_0, noise, output: accelerated_process.q_sample(x_0, levels, noise),
        lambda x_0, noise, output: q_sample(x_0, t, noise),
    )
    yield Formula(
        "target",
        "objective.py",
        lambda x_0, noise, output: accelerated.target(x_0, levels, noise),
        lambda x_0, noise, output: reference.target(tables, config.objective, x_0, t, noise, data),
    )
    yield Formula(
        "x0_from_output",
        "objective.py",
        lambda x_t, noise, output: accelerated.x0_from_output(x_t, levels, output),
        lambda x_t, noise, output: reference.x0_from_output(
            tables, config.objective, x_t, t, output, data
        ),
    )
    yield Formula(
        "simple_loss",
        "objective.py",
        lambda x_0, noise, output: score(output, noise, levels),
        lambda x_0, noise, output: reference.simple_loss(output, noise, weights, config.loss_type),
    )


def loss_alone(schedule: Schedule, t: Sequence[float], training: Options) -> None:
    """Compare the formulas around the network on drawn images of one pixel."""
    shape = (len(t), 1, 1, 1)
    given = Given(*(device.draw(i, shape) if i != 1 else np.array(t) for i in range(4)))
    if finding := of_loss(given, schedule, network.training_config(training)):
        raise AssertionError(finding.what)


def _given_to_the_network(
    net: Options, seed: int, schedule: Schedule, config: TrainingConfig, batch: Batch
) -> Arrays:
    """x_t, and the estimate that every second image is shown."""
    tables: Tables = device.schedule(*schedule)
    values = network.parameters(net, seed)
    x_t = process.q_sample(tables, np.nan_to_num(batch.x_0), batch.t, batch.noise)
    data = config.sigma_data
    seen = network_input(tables, config.objective, x_t, batch.t, data)
    inputs = {"x": np.asarray(seen, np.float32)}
    if batch.condition is not None:
        inputs["condition"] = batch.condition.astype(np.float32)
    if UnetConfig(**net).self_condition:
        first = network.in_reference(UnetConfig(**net), {**values, **inputs}, batch.t - 1, None)
        first, _ = halves(first, x_t)
        estimate = reference.x0_from_output(tables, config.objective, x_t, batch.t, first, data)
        shown = batch.self_cond_mask.reshape(-1, 1, 1, 1)
        inputs["x_self_cond"] = np.asarray(estimate * shown, np.float32)
    return inputs


def _gradient(
    net: Options, values: Arrays, schedule: Schedule, config: TrainingConfig, batch: Batch
) -> Arrays:
    """The reference's, of a batch without its NaN."""
    unet_config = UnetConfig(**net)
    micro: MicroBatch = batch.in_reference(np.float64, unet_config.self_condition)
    micro = micro._replace(x_0=np.nan_to_num(micro.x_0))
    compute = partial(
        training_loss,
        config=config,
        net=unet_config,
        schedule=device.schedule(*schedule),
        batch=micro,
    )
    params = {name: value.astype(np.float64) for name, value in values.items()}
    grads = value_and_grad(compute, params)[1]
    return {name: np.asarray(grad, np.float32) for name, grad in grads.items()}
