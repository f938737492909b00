"""Examples of whole runs which, together, have every option at a value that is not its default.

A run costs seconds, so few of them are drawn: these are in every run of the suite.
"""

from __future__ import annotations

from .values import Case

ADAM: Case = {
    "train_lr": 1e-2,
    "adam_betas": (0.8, 0.95),
    # Where |g| is near eps, the update is a smooth function of g: with the usual 1e-8 it is a sign.
    "adam_eps": 1e-2,
    "max_grad_norm": 0.3,
}

FROM_A_FOLDER: Case = {
    "net": {
        "dim": 4,
        "dim_mults": (1,),
        "channels": 3,
        "self_condition": True,
        "dropout": 0.25,
        "num_classes": 2,
        "cond_drop_prob": 0.5,
    },
    "size": (4, 6),
    "diffusion": {
        "timesteps": 7,
        "sampling_timesteps": 3,
        "objective": "pred_x0",
        "beta_schedule": "cosine",
        "zero_terminal_snr": True,
        "loss_type": "huber",
        "min_snr_loss_weight": True,
        "min_snr_gamma": 0.7,
        "time_distribution": "log_normal",
        "p_mean": -0.4,
        "p_std": 0.8,
        "immiscible": True,
        "sampler": "dpm++2m-sde",
        "spacing": "karras",
        "cond_scale": 2.5,
        "guidance_interval": (0.01, 50.0),
        "guidance_rescale": 0.6,
        "guidance_parallel": 0.4,
        "guidance_norm": 0.1,
        "guidance_momentum": -0.3,
    },
    "data": {"kind": "folder", "count": 9},
    "trainer": {
        **ADAM,
        "train_num_steps": 5,
        "train_batch_size": 2,
        "gradient_accumulate_every": 2,
        "warmup_steps": 2,
        "lr_schedule": "cosine",
        "min_lr": 2e-3,
        "weight_decay": 0.5,
        "ema_decay": 0.4,
        "ema_update_every": 2,
        "ema_update_after_step": 1,
        "ema_sigma_rels": (0.05, 0.2),
        "crop": "random_resized",
        "crop_min_share": 0.5,
        "augment_horizontal_flip": True,
        "only_class": ("cat", "eel"),
        "save_and_sample_every": 2,
        "num_samples": 3,
        "keep_last": 1,
        "keep_every": 4,
        "seed": 2**32 + 7,
    },
    "spoiled": (),
    "started_from": "",
    "resumed_after": 4,
    "params": 1,
}
"""Pictures of two classes, cropped at random and flipped, two gradients an update; guided."""

SPOILED: Case = {
    "net": {"dim": 4, "dim_mults": (1,), "channels": 1, "learned_variance": True},
    "size": (2, 3),
    "diffusion": {
        "timesteps": 4,
        "vlb_weight": 0.05,
        "sampler": "ancestral",
        "variance": "learned",
        "objective": "pred_noise",
        "beta_schedule": "linear",
        "offset_noise": 0.3,
        "p2_loss_weight_gamma": 0.5,
        "p2_loss_weight_k": 2.0,
        "clip_denoised": False,
    },
    "data": {"kind": "float", "count": 7},
    "trainer": {
        **ADAM,
        "train_num_steps": 7,
        "train_batch_size": 2,
        "ema_update_every": 1,
        "ema_update_after_step": 0,
        "ema_sigma_rels": (0.1,),
        "save_and_sample_every": 4,
        "num_samples": 2,
        "seed": 5,
    },
    "spoiled": (3,),
    "started_from": "trained",
    "resumed_after": 4,
    "params": 2,
}
"""Floats, of which one image is NaN: the updates that see it are left out; a learned variance."""

WITH_THE_UNET: Case = {
    "net": {
        "dim": 4,
        "dim_mults": (1,),
        "channels": 1,
        "dropout": 0.3,
        "random_fourier_features": True,
        "attn_heads": 1,
        "attn_dim_head": 4,
        "cond_channels": 1,
        "cond_drop_prob": 0.5,
    },
    "size": (2, 4),
    "diffusion": {"timesteps": 3},
    "data": {"kind": "uint8", "count": 5},
    "trainer": {
        **ADAM,
        "train_num_steps": 2,
        "train_batch_size": 2,
        "augment_horizontal_flip": True,
        "ema_update_every": 1,
        "ema_update_after_step": 0,
        "super_resolve": 2,
        "save_and_sample_every": 1,
        "num_samples": 2,
        "seed": 3,
    },
    "resumed_after": 1,
    "params": 3,
    "small": False,
}
"""The whole U-Net, with parameters that are not trained, shown each image half as large; its graphs
are kept for who resumes."""

RUN: Case = {
    "net": {"dim": 4, "dim_mults": (1,), "channels": 3, "self_condition": True},
    "size": (4, 6),
    "diffusion": {"timesteps": 7, "objective": "pred_v", "eta": 0.3},
    "seed": 9,
    "steps": (1000, 2000, 3000),
    "params": 4,
}

TOLD: Case = {**RUN, "net": {**RUN["net"], "num_classes": 3}}
GUIDED: Case = {
    **{"label": ("2", "0"), "guidance": 2.0, "autoguidance": 1000, "guidance_rescale": 0.6},
    **{"guidance_interval": (0.3, 20.0), "guidance_parallel": 0.4, "guidance_norm": 0.1},
    "guidance_momentum": -0.3,
}

COMMANDS: tuple[Case, ...] = (
    {**TOLD, "options": {"num_samples": 6, "batch_size": 4, "guidance": 3.0}},
    {**TOLD, "options": {"num_samples": 4, "batch_size": 2, **GUIDED}},
    {**RUN, "options": {"num_samples": 3, "batch_size": 2, "ema": 0.08, "seed": 3}},
    {**RUN, "options": {"num_samples": 3, "batch_size": 2, "sampling_timesteps": 3}},
    {
        **RUN,
        "options": {
            **{"num_samples": 2, "step": 2000, "image_size": (4, 2), "weights": "trained"},
            **{"sampling_timesteps": 3, "eta": 0.9, "seed": 3, "dynamic_threshold": 0.8},
        },
    },
)
"""``sample``, with each of its options at another value than its default."""

BATCHES: list[Case] = [
    {
        "net": {
            **{"dim": 4, "dim_mults": (1,), "channels": 1},
            **{"cond_channels": 1, "cond_drop_prob": 0.5},
        },
        **{"size": (4, 6), "diffusion": {"timesteps": 1000}},
        "data": {"kind": "uint8", "count": 7},
        "trainer": {
            **{"seed": 5, "train_batch_size": 3, "gradient_accumulate_every": 2},
            **{"super_resolve": 2, "augment_horizontal_flip": True},
        },
        **{"steps": (1, 2), "world": (1, 2), "images": 0},
    }
]
"""Mirrored images, half of which are shown to the network half as large."""
