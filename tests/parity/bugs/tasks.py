"""Bugs in inpainting and restoration."""

from __future__ import annotations

from ..planting import Bug

SHOWN = {
    "net": {"dim": 4, "dim_mults": (1,), "channels": 1, "cond_channels": 1, "cond_drop_prob": 0.5},
    "trainer": {
        **{"seed": 5, "train_batch_size": 3, "gradient_accumulate_every": 2, "super_resolve": 2},
        "augment_horizontal_flip": True,
    },
}
"""A network that is shown images half as large, half of which it is not shown."""

TASKS = [
    Bug(
        "a basis is not turned",
        "degradations.out_of_directions",
        "turned = bases[i].swapaxes(0, 1)",
        "turned = bases[i]",
        "tasks: directions",
    ),
    Bug(
        "what is known is put in without its noise",
        "tasks.inpainting.repaint",
        "target = target + sigma * noise(2 * i + 1)",
        "target = target + 0.0 * noise(2 * i + 1)",
        "tasks: repaint",
    ),
    Bug(
        "what is known is put into the estimate only",
        "tasks.inpainting.repaint",
        "factors(a, b, a, b)",
        "factors(a, b, 0.0, b)",
        "tasks: repaint",
    ),
    Bug(
        "going up to noise keeps all of the signal",
        "tasks.paths.Solver.walk",
        "x * kept",
        "x",
        "tasks: repaint",
    ),
    Bug(
        "the measurement's noise is taken for truth",
        "tasks.restoration.ddnm",
        "(share * degradation.known)[None]",
        "degradation.known[None]",
        "tasks: ddnm",
    ),
    Bug(
        "the noise of a direction goes to another",
        "tasks.restoration.ddnm",
        "added = along(degradation.right, each)",
        "added = each",
        "tasks: ddnm",
    ),
    Bug(
        "directions that are nearly lost are put in",
        "tasks.restoration.restoration_step",
        "gain * (target - seen)",
        "(target - gain * seen)",
        "tasks: ddnm",
        {"sigma_y": 1.0},
    ),
    Bug(
        "the gradient does not go through the network",
        "tasks.posterior_sampling.posterior_step",
        "return norms.sum(), x0_hat",
        "return (norms * 0.0).sum() + ops.stop_gradient(norms).sum(), x0_hat",
        "tasks: dps",
    ),
    Bug(
        "one norm for the whole batch",
        "tasks.posterior_sampling.posterior_step",
        "norms = ops.sqrt(",
        "squares = ops.ones_like(squares) * squares.mean()\n        norms = ops.sqrt(",
        "tasks: dps",
    ),
    Bug(
        "the gradient's factor is half of what it is",
        "tasks.posterior_sampling.dps",
        "2.0 * scale",
        "scale",
        "tasks: dps",
    ),
    Bug(
        "the small picture is not seen",
        "networks.unet.Unet.construct",
        "x = ops.concat((x, condition), 1)",
        "x = ops.concat((x, ops.zeros_like(condition)), 1)",
        "unet: forward",
        {
            "net": {
                **{"dim": 4, "dim_mults": (1,), "channels": 1, "cond_channels": 2},
                **{"self_condition": True, "attn_heads": 1, "attn_dim_head": 4},
            },
        },
    ),
    Bug(
        "the small picture comes before x",
        "networks.unet.Unet.construct",
        "x = ops.concat((x, condition), 1)",
        "x = ops.concat((condition, x), 1)",
        "unet: forward",
        {
            "net": {
                **{"dim": 4, "dim_mults": (1,), "channels": 1, "cond_channels": 2},
                **{"self_condition": True, "attn_heads": 1, "attn_dim_head": 4},
            },
        },
    ),
    Bug(
        "the small picture is that of the image before it is mirrored",
        "trainer.batches.Batches._micro_batch",
        "shown(x_0, self",
        "shown(to_model_range(items.x, self._diffusion.config.auto_normalize), self",
        "train_batches: batches",
        SHOWN,
    ),
    Bug(
        "a picture that is not told is a black one",
        "data.told.with_untold",
        "= config.null_condition",
        "= config.null_condition - config.cond_channels",
        "train_batches: batches",
        SHOWN,
    ),
    Bug(
        "the small picture is made of single pixels instead of means",
        "reference.tasks.super_resolution.shown",
        "small(x_0, factor)",
        "x_0[..., ::factor, ::factor]",
        "train_batches: batches",
        SHOWN,
    ),
]
