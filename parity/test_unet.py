"""The network's forward pass, for every option that it can be built with."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial

import numpy as np
import pytest
from hypothesis import given

from ddpm_mindspore.parity.examples.networks import (
    LEVELS,
    at_levels,
    network_cases,
    pairs_of_options,
    two_size_cases,
)
from ddpm_mindspore.parity.examples.values import Case, first
from ddpm_mindspore.parity.judgement import first_divergence
from ddpm_mindspore.parity.judgement.compare import check, reproducible
from ddpm_mindspore.parity.judgement.explain import explained
from ddpm_mindspore.parity.judgement.tolerance import Arrays, deep
from ddpm_mindspore.parity.report import budget, trace
from ddpm_mindspore.parity.sides import device, network
from ddpm_mindspore.parity.sides.device import Array
from ddpm_mindspore.parity.sides.network import EACH, FLOAT32, Options


@budget.examples(0.1)
@given(case=network_cases())
@first(pairs_of_options())
def test_forward(case: Case) -> None:
    """the network's output, one operator at a time"""
    forward(**case, modes=("eager",))


@pytest.mark.parametrize("case", at_levels(), ids=LEVELS)
def test_levels(case: Case) -> None:
    """the network's output with float16 in it, at each level of mixed precision"""
    forward(**case, modes=("eager",))


@pytest.mark.nightly
@pytest.mark.parametrize("case", at_levels(every=True))
def test_levels_of_every_network(case: Case) -> None:
    """the output with float16 in it, of networks in which every pair of options meets"""
    forward(**case, modes=("eager",))


@budget.examples(0.05)
@given(case=network_cases(levels=(2, 1)))
def test_forward_compiled(case: Case) -> None:
    """the network's output, as one graph that is given other parameters after its first call"""
    forward(**case, draws=2, modes=("compiled",))


@budget.examples(0.05)
@given(case=network_cases(levels=(1, 2), batch=2))
def test_batch(case: Case) -> None:
    """a batch of B images is B batches of one"""
    batch_of_one(**case)


@budget.examples(0.05)
@given(case=two_size_cases())
def test_sizes(case: Case) -> None:
    """one network at one size, at another, and at the first again"""
    at_sizes(**case)


@reproducible
def forward(
    net: Options,
    size: Sequence[int],
    time: Sequence[float],
    self_cond: bool,
    seed: int,
    draws: int = 1,
    level: str = "O0",
    dtype: str = "float16",
    modes: Sequence[str] = device.MODES,
) -> None:
    """``Unet(**net)`` at ``time``, shown an estimate of x_0 or not, with given dropout masks.

    One network is given the parameters and images of the seeds ``seed``, ``seed + 1``, ... in turn,
    ``draws`` of them.
    """
    precision = FLOAT32 if level == "O0" else (level, dtype)
    for number in range(seed, seed + draws):
        inputs, masks = draw_inputs(net, size, len(time), self_cond, number, precision)
        expected, bound = truth(net, inputs, time, masks, precision[1])
        search = partial(first_divergence.of_network, net, number, inputs, time, masks, False)
        known = precision == FLOAT32 and "kind" not in net  # the layers of which are, one by one
        with explained(search) if known else nullcontext():
            for mode in modes:
                output = on_device(mode, net, inputs, time, masks, precision)
                check(
                    f"{net.get('kind', 'unet')} ({mode})",
                    output,
                    expected,
                    bound,
                    x=inputs["x"],
                    time=time,
                )


@reproducible
def batch_of_one(
    net: Options, size: Sequence[int], time: Sequence[float], self_cond: bool, seed: int
) -> None:
    """Each image alone, against the truth about the batch and with its bound."""
    inputs, masks = draw_inputs(net, size, len(time), self_cond, seed)
    expected, bound = truth(net, inputs, time, masks)
    for i in range(len(time)):
        one = slice(i, i + 1)
        alone = {name: x[one] if name in EACH else x for name, x in inputs.items()}
        output = on_device("eager", net, alone, time[one], [mask[one] for mask in masks])
        check(f"unet, image {i} alone", output, expected[one], bound, x=alone["x"], time=time[i])


@reproducible
def at_sizes(
    net: Options,
    sizes: Sequence[Sequence[int]],
    time: Sequence[float],
    self_cond: bool,
    seed: int,
    modes: Sequence[str] = device.MODES,
) -> None:
    """The same ``Unet(**net)`` for images of each of these sizes, one after the other."""
    for mode in modes:
        for i, size in enumerate(sizes):
            inputs, masks = draw_inputs(net, size, len(time), self_cond, seed)
            expected, bound = truth(net, inputs, time, masks)
            output = on_device(mode, net, inputs, time, masks)
            check(f"unet, size {i} ({mode})", output, expected, bound, x=inputs["x"], time=time)


def draw_inputs(
    net: Options,
    size: Sequence[int],
    batch: int,
    self_cond: bool,
    seed: int,
    precision: tuple[str, str] = FLOAT32,
) -> tuple[Arrays, list[Array]]:
    """Images, their classes and parameters by name, and dropout masks."""
    shape = (batch, network.config_of(net).channels, *size)
    images = {"x": device.draw(seed, shape)}
    if self_cond:
        images["x_self_cond"] = device.draw(seed + 1, shape)
    masks = network.dropout_masks(net, size, batch, seed)
    told = network.conditions(net, size, batch, seed)
    return {**images, **told, **network.parameters(net, seed, precision)}, masks


def truth(
    net: Options,
    inputs: Arrays,
    time: Sequence[float],
    masks: list[Array],
    dtype: str = "float32",
) -> tuple[Array, float]:
    """The reference's output and the bound."""

    def function(arrays: Arrays) -> Arrays:
        return {"output": network.in_reference(network.config_of(net), arrays, time, masks)}

    expected, bounds = deep(function, inputs, dtype)
    if dtype == "float32" and "kind" not in net:
        named = {f"mask.{i}": mask for i, mask in enumerate(masks)}
        given = {**inputs, "time": np.array(time, np.float32), **named}
        if network.config_of(net).num_classes is not None:
            given["condition"] = inputs["condition"].astype(np.int32)
        trace.note(lambda: ("unet", {"net": dict(net)}, given, expected, bounds))
    return expected["output"], bounds["output"]


def on_device(
    mode: str,
    net: Options,
    inputs: Arrays,
    time: Sequence[float],
    masks: list[Array],
    precision: tuple[str, str] = FLOAT32,
) -> Array:
    """The device's output, with the parameters that ``draw_inputs`` gave it."""
    function = network.forward(network.network(net, precision), "x_self_cond" in inputs)
    x, *known = (inputs[name] for name in EACH if name in inputs)
    floats = [mask.astype(np.float32) for mask in masks]
    output: Array = device.run(mode, function, x, np.array(time, np.float32), *known, *floats)
    return output
