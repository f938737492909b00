"""Bugs in the process and the objective."""

from __future__ import annotations

from ..planting import Bug

LEVELS = "reference.levels.Levels.__call__"

PROCESS = [
    Bug(
        "every table is read at t - 1",
        LEVELS,
        "levels_at(self.schedule, times)",
        "levels_at(self.schedule, np.maximum(times - 1, 0.5))",
        "levels: columns",
    ),
    Bug(
        "alpha_bar is a product in float32",
        LEVELS,
        "one, zero = np.ones_like(signal), np.zeros_like(signal)",
        "one, zero = np.ones_like(signal), np.zeros_like(signal)\n"
        "    rounded = np.cumprod(self.schedule.alpha, dtype=np.float32)\n"
        "    signal = np.sqrt(rounded[np.floor(times).astype(int)].astype(float))",
        "levels: columns",
    ),
    Bug(
        "alpha_bar is a product in float16",
        LEVELS,
        "one, zero = np.ones_like(signal), np.zeros_like(signal)",
        "one, zero = np.ones_like(signal), np.zeros_like(signal)\n"
        "    rounded = np.cumprod(self.schedule.alpha, dtype=np.float16)\n"
        "    signal = np.sqrt(rounded[np.floor(times).astype(int)].astype(float))",
        "levels: columns",
    ),
    Bug(
        "signal and noise are swapped in q_sample",
        "process.q_sample",
        "* x_0 + column(levels, NOISE, x_0) * noise",
        "* noise + column(levels, NOISE, x_0) * x_0",
        "process: q_sample",
    ),
    Bug(
        "q_sample takes alpha_bar for its root",
        "process.q_sample",
        "column(levels, SIGNAL, x_0) * x_0",
        "column(levels, SIGNAL, x_0) ** 2 * x_0",
        "process: q_sample",
    ),
    Bug(
        "every image has the first one's time",
        "process.column",
        "levels[:, which]",
        "(0.0 * levels[:, which] + levels[0, which])",
        "levels: columns",
    ),
    Bug(
        "between two whole times the later one has its noise taken",
        LEVELS,
        "levels_at(self.schedule, times)",
        "levels_at(self.schedule, np.ceil(times))",
        "levels: columns",
        {"schedule": ("linear", 1000, False), "t": (0.3, 17.25, 999.5)},
    ),
]

OBJECTIVE = [
    Bug(
        "v has the wrong sign",
        LEVELS,
        "(-noise, signal)",
        "(noise, signal)",
        "objective: target",
        {"objective": "pred_v"},
    ),
    Bug(
        "x_0 and v are confused in the estimate of x_0",
        LEVELS,
        "zero, one, (one, zero)",
        "signal, -noise, (one, zero)",
        "objective: x0_from_output",
        {"objective": "pred_x0"},
    ),
    Bug(
        "the target's factors are swapped",
        "objective.target",
        "* x_0 + column(levels, TARGET_NOISE, x_0) * noise",
        "* noise + column(levels, TARGET_NOISE, x_0) * x_0",
        "objective: target",
        {"objective": "pred_v"},
    ),
    Bug(
        "the weight is read at t - 1",
        LEVELS,
        "weight_at((signal / noise) ** 2,",
        "weight_at(\n"
        "        np.divide(*levels_at(self.schedule, np.maximum(times - 1, 0.5))) ** 2,",
        "objective: simple_loss",
    ),
    Bug(
        "the weight is broadcast over the wrong axis",
        "objective.simple_loss",
        "ops.matmul(weight, per_image).reshape(())",
        "ops.sum(weight * per_image) / batch",
        "objective: simple_loss",
    ),
    Bug(
        "the Huber loss has no half outside",
        "objective.simple_loss",
        "inside * (size - 0.5 * inside)",
        "inside * (size - 0.5 * inside * inside)",
        "objective: simple_loss",
        {"loss_type": "huber"},
    ),
]
