"""Bugs in types and constants: rounded early, rounded to a half precision, cut to a few digits."""

from __future__ import annotations

from ..planting import Bug

LEVELS = "reference.levels.Levels.__call__"

CASTS = [
    Bug(
        "tables are made of tables that were rounded to float32",
        LEVELS,
        "one, zero = np.ones_like(signal), np.zeros_like(signal)",
        "signal, noise = signal.astype(np.float32), noise.astype(np.float32)\n"
        "    one, zero = np.ones_like(signal), np.zeros_like(signal)",
        "levels: columns",
    ),
    Bug(
        "1 - alpha_bar is a difference in float32",
        LEVELS,
        "one, zero = np.ones_like(signal), np.zeros_like(signal)",
        "noise = np.sqrt(np.float32(1.0) - (signal**2).astype(np.float32))\n"
        "    one, zero = np.ones_like(signal), np.zeros_like(signal)",
        "levels: columns",
    ),
    Bug(
        "what is told of times is rounded to float16",
        "process.on_device",
        "levels.astype(np.float32)",
        "levels.astype(np.float16).astype(np.float32)",
        "levels: columns",
    ),
    Bug(
        "the index into the tables is rounded to float16",
        LEVELS,
        "levels_at(self.schedule, times)",
        "levels_at(self.schedule, times.astype(np.float16).astype(times.dtype))",
        "levels: columns",
        {"schedule": ("linear", 4000, False), "t": (2049, 3999)},
    ),
    Bug(
        "the index into the weights of the loss is rounded to float16",
        LEVELS,
        "weight_at((signal / noise) ** 2,",
        "weight_at(\n        np.divide(*levels_at(self.schedule, times.astype(np.float16))) ** 2,",
        "objective: simple_loss",
        {
            "schedule": ("linear", 4000, False),
            "t": (2049,),
            "weight": {"p2_loss_weight_gamma": 1.0},
        },
    ),
    Bug(
        "the weights of the loss are rounded to float16",
        LEVELS,
        "*target, weight)",
        "*target, weight.astype(np.float16).astype(float))",
        "objective: simple_loss",
        {"weight": {"p2_loss_weight_gamma": 1.0}},
    ),
    Bug(
        "a sampler tells the network the time in float16",
        "denoiser.ask",
        "levels[:, TIME]",
        'levels[:, TIME].astype("float16").astype("float32")',
        "samplers: trajectory",
        {"schedule": ("cosine", 4000, False), "timesteps": (4000, 2050, 1000)},
    ),
    Bug(
        "a sampler's coefficients are rounded to float16",
        "samplers.plan.run_plan",
        "Tensor(value, ms.float32)",
        "Tensor(np.float16(value), ms.float32)",
        "samplers: trajectory",
    ),
    Bug(
        "training tells the network the time in float16",
        "denoiser.ask",
        "levels[:, TIME]",
        'levels[:, TIME].astype("float16").astype("float32")',
        "gradients: gradients",
        {"schedule": ("cosine", 4000, False), "t": (4000, 2050)},
    ),
    Bug(
        "the time embedding's frequencies are rounded to float16",
        "networks.layers.SinusoidalPosEmb.__init__",
        "Tensor(frequencies[None, :], ms.float32)",
        "Tensor(frequencies[None, :].astype(np.float16), ms.float32)",
        "layers: sinusoidal_embedding",
    ),
    Bug(
        "pi has four digits",
        "networks.layers.RandomOrLearnedSinusoidalPosEmb.construct",
        "(2 * math.pi)",
        "(2 * 3.1416)",
        "layers: fourier_embedding",
    ),
    Bug(
        "the root of a half in GELU has four digits",
        "networks.layers.gelu",
        "math.sqrt(0.5)",
        "0.7071",
        "layers: gelu",
    ),
    Bug(
        "the norm's root of the channels has three digits",
        "networks.operators._gain",
        "math.sqrt(x.shape[1])",
        "{4: 2.0, 8: 2.828, 6: 2.449, 2: 1.414, 3: 1.732}.get(x.shape[1], 1.0)",
        "layers: rms_norm",
        {"kernels": "stock", "dims": (8, 8)},
    ),
    Bug(
        "what dropout scales by is rounded to float16",
        "networks.layers.ResnetBlock.__init__",
        "1.0 / (1.0 - dropout)",
        "float(np.float16(1.0 / (1.0 - dropout)))",
        "layers: resnet_block",
    ),
    Bug(
        "Adam's betas are rounded to float16",
        "optimizer.Optimizer.__init__",
        "Tensor(beta, ms.float32)",
        "Tensor(np.float16(beta), ms.float32)",
        "optimizer: updates",
    ),
    Bug(
        "an update's scalars are rounded to float16",
        "optimizer.StepScalars.tensors",
        "Tensor(value, ms.float32)",
        "Tensor(np.float16(value), ms.float32)",
        "optimizer: updates",
    ),
]
