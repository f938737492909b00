"""Small examples of the properties: where nothing is broken, all of them hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ddpm_mindspore.parity import test_accumulation as accumulation
from ddpm_mindspore.parity import test_alone as alone
from ddpm_mindspore.parity import test_bound as bound
from ddpm_mindspore.parity import test_captions as captions
from ddpm_mindspore.parity import test_commands as commands
from ddpm_mindspore.parity import test_diffusion as diffusion
from ddpm_mindspore.parity import test_distributed as distributed
from ddpm_mindspore.parity import test_effective as effective
from ddpm_mindspore.parity import test_efficientnet as efficientnet
from ddpm_mindspore.parity import test_ema as ema
from ddpm_mindspore.parity import test_exact as exact
from ddpm_mindspore.parity import test_gradients as gradients
from ddpm_mindspore.parity import test_guidance as guidance
from ddpm_mindspore.parity import test_inception as inception
from ddpm_mindspore.parity import test_latents as latents
from ddpm_mindspore.parity import test_layers as layers
from ddpm_mindspore.parity import test_levels as levels
from ddpm_mindspore.parity import test_likelihood as likelihood
from ddpm_mindspore.parity import test_objective as objective
from ddpm_mindspore.parity import test_optimizer as optimizer
from ddpm_mindspore.parity import test_precision as precision
from ddpm_mindspore.parity import test_precision_levels as precision_levels
from ddpm_mindspore.parity import test_process as process
from ddpm_mindspore.parity import test_randomness as randomness
from ddpm_mindspore.parity import test_randomness_streams as randomness_streams
from ddpm_mindspore.parity import test_samplers as samplers
from ddpm_mindspore.parity import test_tasks as tasks
from ddpm_mindspore.parity import test_text as text
from ddpm_mindspore.parity import test_train_batches as train_batches
from ddpm_mindspore.parity import test_trainer as trainer
from ddpm_mindspore.parity import test_training as training
from ddpm_mindspore.parity import test_unet as unet
from ddpm_mindspore.parity.examples import fixed_runs, plans
from ddpm_mindspore.parity.examples import tasks as task_cases
from ddpm_mindspore.parity.examples.bound import BOUNDS
from ddpm_mindspore.parity.examples.efficientnet import STAGES
from ddpm_mindspore.parity.examples.guidance import FIXED
from ddpm_mindspore.parity.examples.latents import LATENTS
from ddpm_mindspore.parity.examples.likelihood import PROBED
from ddpm_mindspore.parity.examples.samplers import THRESHOLDS

# What a property compares does not depend on how the device runs it, and eager is quicker.
EAGER = {"modes": ("eager",)}
TIMES = {"schedule": ("linear", 1000, False), "t": (1, 2, 500, 1000)}
IMAGES: dict[str, Any] = {**TIMES, "shape": (2, 3, 2), "scale": 1.0, "seed": 0, **EAGER}
WEIGHTS = {
    "objective": "pred_noise",
    "weight": {"min_snr_loss_weight": True, "min_snr_gamma": 5.0},
}
WALK = {
    "sampler": "ddim",
    "options": {"eta": 0.5},
    "timesteps": (50, 30, 20, 10),
    "schedule": ("cosine", 50, False),
    "objective": "pred_v",
    "clip": True,
    "self_cond": 0.25,
    "shape": (1, 2, 2),
    "batch": 3,
    "spread": 2.0,
    "seed": 0,
    **EAGER,
}
LAYER: dict[str, Any] = {
    "dims": (4, 6),
    "size": (4, 2),
    "batch": 2,
    "scale": 1.0,
    "seed": 0,
    **EAGER,
}
CONV2D = {"kind": "conv2d", "kernel": 3}
SUM: dict[str, Any] = {"dims": (4, 6), "size": (4, 2), "batch": 3, "seed": 0, **EAGER}
CALLS = tuple((kind, batch, 0) for batch in (2, 3) for kind in ("attention", "block"))
AGAIN = {"draws": 2, "modes": ("compiled",)}
PART = {"dim": 8, "size": (4, 6), "batch": 2, "scale": 1.0, "seed": 0}
TWO = {"seed": 0, **EAGER}
HEADS = {"heads": 2, "dim_head": 4, "sharpness": 8.0}
NET = {
    "dim": 4,
    "dim_mults": (1,),
    "channels": 1,
    "self_condition": True,
    "attn_heads": 1,
    "attn_dim_head": 4,
}
TOLD = {**NET, "num_classes": 2}
SEQUENCES = {
    "kind": "unet1d",
    "dim": 4,
    "dim_mults": (1, 2),
    "channels": 2,
    "self_condition": True,
    "attn_heads": 1,
    "attn_dim_head": 4,
    "linear_attn_heads": 2,
    "linear_attn_dim_head": 3,
}
VECTORS = {
    "kind": "mlp",
    "dim": 8,
    "depth": 2,
    "channels": 3,
    "self_condition": True,
    "dropout": 0.25,
}
FORWARD = {
    "net": TOLD,
    "size": (2, 3),
    "time": (3.0, 500.0),
    "self_cond": True,
    "seed": 0,
    **EAGER,
}
SIZES = {
    **{name: value for name, value in FORWARD.items() if name != "size"},
    "net": {**NET, "dim_mults": (1, 1)},
    "sizes": ((4, 6), (6, 4), (4, 6)),
}
GRADIENTS = {
    "net": TOLD,
    "size": (2, 3),
    "schedule": ("cosine", 1000, False),
    "t": (1, 1000, 300),
    "loss": {"objective": "pred_v"},
    "seed": 0,
    **EAGER,
}
ADAM = {
    "lr": 1e-2,
    "warmup_steps": 0,
    "weight_decay": 1.0,
    "adam_betas": (0.9, 0.99),
    "adam_eps": 1e-2,
    "max_grad_norm": 0.1,
    "ema_decay": 0.995,
    "ema_update_every": 1,
    "ema_update_after_step": 1,
}
UPDATES = {
    "shapes": ((3, 4), (5,)),
    "steps": 3,
    "scale": 0.1,
    "optimizer": ADAM,
    "ema_sigma_rels": (0.05, 0.2),
    "seed": 0,
    **EAGER,
}
SCALARS = {
    "step": 4,
    "lr": 1e-3,
    "warmup_steps": 5,
    "lr_schedule": "cosine",
    "train_num_steps": 20,
    "min_lr": 1e-4,
    "ema_decay": 0.995,
    "ema_update_every": 1,
    "ema_update_after_step": 1,
}
STEPS = {
    "net": {**NET, "self_condition": False},
    "size": (2, 3),
    "batch": 1,
    "accumulate": 2,
    "count": 2,
    "schedule": ("cosine", 1000, False),
    "training": {"objective": "pred_v", **ADAM},
    "seed": 0,
    **EAGER,
}
SCALE = {"scale": 4.0, "good": 1998, "outcomes": ((True, 2), (False, 5), (True, 3))}
STREAMS = {
    "seed": 2**40 + 3,
    "step": 2**35 + 1,
    "indices": (2**34, 1),
    "shape": (2, 3),
    "T": 1000,
    "p": 0.3,
    "layer": 2,
}
SMALL = {"dim": 4, "dim_mults": (1,), "channels": 1, "self_condition": True, "dropout": 0.25}
# Short walks, in which noise matters.
DRAWING: dict[str, Any] = {
    "net": SMALL,
    "size": (2, 3),
    "diffusion": {"timesteps": 4, "clip_denoised": False, "loss_type": "huber"},
    "seed": 11,
    "params": 1,
}
BATCH = {
    "net": SMALL,
    "size": (4, 6),
    "diffusion": {"timesteps": 1000},
    "data": {"kind": "uint8", "count": 7},
    "trainer": {
        "seed": 5,
        "train_batch_size": 3,
        "gradient_accumulate_every": 2,
        "augment_horizontal_flip": True,
    },
    "steps": (1, 2),
    "world": (1, 2),
    "images": 0,
}
SAMPLES = (
    {"batch_size": 2, "num_samples": 5, "first": 3, "return_all_timesteps": True},
    {"batch_size": 2, "num_samples": 3, "sampling_timesteps": 3, "eta": 0.7, "seed": 0},
)
MIXED = {"kind": "uint8", "t": 3, "lam": 0.3, "given_seed": None}
COMMAND = {
    **DRAWING,
    "net": {**SMALL, "num_classes": 3},
    "diffusion": {"timesteps": 4},
    "steps": (1000, 2000, 3000),
    "options": {
        "num_samples": 3,
        "batch_size": 2,
        "ema": 0.08,
        "step": 2000,
        "image_size": (4, 2),
        "seed": 3,
        **{"sampler": "ancestral", "sampling_timesteps": 3, "spacing": "karras"},
        "dynamic_threshold": 0.8,
        **fixed_runs.GUIDED,
    },
}
HALF = {"level": "O2", "dtype": "float16", "scale": 300.0}

PROPERTIES: dict[str, tuple[Callable[..., None], dict[str, Any]]] = {
    "levels: columns": (levels.columns, {**TIMES, "objective": "pred_noise", **EAGER}),
    "process: q_sample": (process.two_terms, {**IMAGES, "formula": "q_sample"}),
    "objective: target": (objective.conversion, {**IMAGES, "formula": "target"}),
    "objective: x0_from_output": (objective.conversion, {**IMAGES, "formula": "x0_from_output"}),
    "objective: simple_loss": (objective.simple_loss, {**IMAGES, **WEIGHTS, "loss_type": "l2"}),
    "bound: terms": (bound.terms, {**BOUNDS[0], **EAGER}),
    "samplers: trajectory": (samplers.walk, WALK),
    "tasks: directions": (tasks.directions, {**task_cases.DIRECTIONS[0], **EAGER}),
    "tasks: repaint": (tasks.painted, {**task_cases.PAINTED[0], **EAGER}),
    "tasks: ddnm": (tasks.restored, {**task_cases.RESTORED[0], **EAGER}),
    "tasks: dps": (tasks.followed, {**task_cases.FOLLOWED[0], **EAGER}),
    "samplers: registers": (samplers.registers, plans.MEMORY[0]),
    "samplers: threshold": (samplers.threshold, {**THRESHOLDS[0], **EAGER}),
    "guidance: combined": (
        guidance.combined,
        {"options": {"cond_scale": 3.0}, "scale": 1.0, "seed": 0, **EAGER},
    ),
    "guidance: walk": (guidance.walk, {**FIXED[0], **EAGER}),
    "exact: conv2d": (exact.sums, {**SUM, **CONV2D, "draws": 2}),
    "exact: large": (exact.sums, SUM),
    "effective: float32": (effective.float32, {}),
    "effective: copies": (effective.copies, {"seed": 0, "kernels": "auto"}),
    "alone: images": (alone.images, {"batch": 5, "seed": 0}),
    "alone: order": (alone.order, {"calls": CALLS, "kernels": "auto"}),
    "alone: not_finite": (alone.not_finite, {"value": "nan", "seed": 0}),
    "alone: half_input": (alone.half_input, {"seed": 0}),
    "layers: large": (layers.layer, {**LAYER, "kind": "block"}),
    "layers: gelu": (layers.layer, {**LAYER, "kind": "gelu"}),
    "layers: rms_norm": (layers.layer, {**LAYER, "kind": "rms_norm", "scale": 1e-3, "draws": 2}),
    "layers: upsample": (layers.layer, {**LAYER, "kind": "upsample"}),
    "layers: downsample": (layers.layer, {**LAYER, "kind": "downsample"}),
    "layers: sinusoidal_embedding": (
        layers.layer,
        {**LAYER, "kind": "sinusoidal_embedding", "scale": 30.0, "theta": 1e4},
    ),
    "layers: block": (layers.layer, {**LAYER, "kind": "block"}),
    "layers: resnet_block": (layers.layer, {**LAYER, "kind": "resnet_block", "dropout": 0.25}),
    "layers: linear_attention": (layers.layer, {**LAYER, **HEADS, "kind": "linear_attention"}),
    "layers: attention": (layers.layer, {**LAYER, **HEADS, "kind": "attention"}),
    "layers: conv1d": (layers.layer, {**LAYER, "kind": "conv1d", "kernel": 4}),
    "networks: sequences": (unet.forward, {**FORWARD, "net": SEQUENCES, "size": (6,)}),
    "networks: vectors": (unet.forward, {**FORWARD, "net": VECTORS, "size": ()}),
    "networks: vector_gradients": (gradients.gradients, {**GRADIENTS, "net": VECTORS, "size": ()}),
    "likelihood: probe": (likelihood.probed, {**PROBED[0], "modes": ("eager",)}),
    "efficientnet: features": (
        efficientnet.features,
        {"stages": STAGES[0], "size": (16, 16), "batch": 2, "scale": 5.0, "seed": 0},
    ),
    "inception: resizing": (inception.resizing, {"have": (5, 8), "want": (13, 3), "seed": 0}),
    "inception: features": (inception.features, {"size": (75, 107), "batch": 1, "seed": 0}),
    "text: group_norm": (
        text.part,
        {**PART, "kind": "group_norm", "groups": 2, "eps": 0.5, "kernels": "stock"},
    ),
    "text: layer_norm": (
        text.part,
        {**PART, "kind": "layer_norm", "eps": 1e-5, "kernels": "stock"},
    ),
    "text: activation": (text.part, {**PART, "kind": "activation", "name": "gelu_tanh"}),
    "text: geglu": (text.part, {**PART, "kind": "geglu", "gelu": "tanh"}),
    "text: cross_attention": (text.part, {**PART, "kind": "cross_attention", "heads": 2}),
    "text: low_rank": (text.part, {**PART, "kind": "low_rank", "rank": 2, "alpha": 3.0}),
    "text: halving_conv": (text.part, {**PART, "kind": "halving_conv", "before": 1}),
    "text: time_embedding": (text.part, {**PART, "kind": "time_embedding"}),
    "text: spatial_transformer": (
        text.part,
        {**PART, "kind": "spatial_transformer", "heads": 2, "gelu": "tanh"},
    ),
    "text: divergence": (text.part, {**PART, "kind": "divergence"}),
    "text: transformer": (text.text_encoder, {**TWO, "length": 6}),
    "text: encoder": (text.coder, {**TWO, "kind": "encoder", "size": (4, 6)}),
    "text: decoder": (text.coder, {**TWO, "kind": "decoder", "size": (4, 6)}),
    "text: latent_unet": (text.latent_unet, {**TWO, "size": (2, 4)}),
    "text: text_unet": (text.text_unet, TWO),
    "text: text_unet_adapted": (text.text_unet, {**TWO, "lora_rank": 2, "lora_text_encoder": True}),
    "text: inpainting_unet": (text.inpainting_unet, TWO),
    "latents: latents": (latents.of_moments, LATENTS[1]),
    "captions: captions": (captions.captions, {"seed": 5, "steps": (3,), "batch": 40}),
    "unet: forward": (unet.forward, FORWARD),
    "unet: forward_compiled": (unet.forward, {**FORWARD, **AGAIN}),
    "unet: sizes": (unet.at_sizes, SIZES),
    "gradients: gradients": (gradients.gradients, GRADIENTS),
    "optimizer: updates": (optimizer.updates, UPDATES),
    "accumulation: accumulation": (accumulation.accumulation, {**STEPS, "count": 1}),
    "ema: reconstruction": (
        ema.reconstruction,
        {
            "snapshots": tuple((step, width) for step in (10, 20, 30) for width in (0.05, 0.1)),
            "sigma_rel": 0.15,
            "shape": (3, 4),
            "seed": 0,
        },
    ),
    "training: steps": (training.steps, STEPS),
    "training: steps_compiled": (training.steps, {**STEPS, **AGAIN, "accumulate": 1, "count": 1}),
    "precision: left_out": (training.steps, {**STEPS, "scale": 1024.0, "spoiled": (1,)}),
    "precision: bfloat16_factors": (precision.factors, {**LAYER, "kernel": 3}),
    "precision: whole_block": (
        layers.layer,
        {
            **LAYER,
            **{"kind": "whole_block", "dims": (32, 16), "skip": 16},
            **{"level": "O1", "dtype": "bfloat16"},
        },
    ),
    "precision_levels: bfloat16_levels": (
        precision_levels.levels,
        {"level": "O1", "params": 3, "dtype": "bfloat16"},
    ),
    "precision: float16": (layers.layer, {**LAYER, **HALF, "kind": "block"}),
    "precision: bfloat16": (
        layers.layer,
        {**LAYER, **HEADS, "kind": "attention", "level": "O1", "dtype": "bfloat16"},
    ),
    "distributed: steps": (distributed.steps, {**STEPS, "processes": 2}),
    "distributed: means": (
        distributed.means,
        {"size": 3, "count": 5, "scale": 1.0, "wishes": 2, "seed": 0, **EAGER},
    ),
    "randomness: table": (randomness.table, STREAMS),
    "randomness: epochs": (
        randomness.epochs,
        {"seed": 3, "count": 7, "start": 12, "length": 9},
    ),
    "randomness: times": (randomness.times, {"seed": 3, "T": 7}),
    "randomness: normals": (randomness.normals, {"seed": 3, "purpose": "noise"}),
    "randomness: coins": (randomness.coins, {"seed": 3, "p": 0.1}),
    "randomness: independence": (randomness.independence, {"seed": 3}),
    "randomness_streams: streams": (
        randomness_streams.streams,
        {
            **{name: BATCH[name] for name in ("net", "size", "data", "trainer", "images")},
            "diffusion": DRAWING["diffusion"],
            "steps": (1, 2),
            "processes": 1,
            "samples": (1, 3),
        },
    ),
    "train_batches: batches": (train_batches.batches, BATCH),
    "diffusion: loss": (
        diffusion.loss,
        {**DRAWING, "kind": "uint8", "batch": 2, "calls": 2},
    ),
    "diffusion: sample": (diffusion.sample, {**DRAWING, "calls": SAMPLES}),
    "diffusion: interpolate": (diffusion.interpolate, {**DRAWING, **MIXED}),
    "commands: sample": (commands.sample, COMMAND),
    "trainer: run": (trainer.run, fixed_runs.SPOILED),
}
"""Each property by its file and name, with the function behind it and the example it is given."""
