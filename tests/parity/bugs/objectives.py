"""Bugs in the objectives of other papers, and in the times and the noise that training draws."""

from __future__ import annotations

from typing import Any

from ..bug import Bug

LEVELS = "reference.levels.Levels.__call__"
DRAWS = "batch.times_and_noise"
PATH = "tests/reference/test_preconditioning.py"
TIMES = "tests/reference/test_times.py"
NOISE = "tests/reference/test_noise.py"

FLOW = {"objective": "flow"}
EDM = {"objective": "edm"}
V_LOSS = {"objective": "x0_v_loss"}


def _drawn(**options: Any) -> dict[str, Any]:
    return {"diffusion": {"timesteps": 1000, **options}}


SCALED = [
    Bug(
        "the network of a flow sees x_t in its own scale",
        LEVELS,
        "seen, skip, out, target = straight, straight,",
        "seen, skip, out, target = one, straight,",
        "levels: columns",
        FLOW,
    ),
    Bug(
        "the flow runs from noise to data",
        LEVELS,
        "(-one, one)",
        "(one, -one)",
        "objective: target",
        FLOW,
    ),
    Bug(
        "the flow is followed back for the noise instead of its share",
        LEVELS,
        "-noise * straight",
        "-noise",
        "objective: x0_from_output",
        FLOW,
    ),
    Bug(
        "the network of EDM sees x_0 + sigma eps in its own scale",
        LEVELS,
        "seen, skip, out = 1.0 / scale,",
        "seen, skip, out = 1.0 / signal,",
        "levels: columns",
        EDM,
    ),
    Bug(
        "EDM skips too much",
        LEVELS,
        "sigma_data * of_noise / scale",
        "of_noise / scale",
        "objective: x0_from_output",
        EDM,
    ),
    Bug(
        "the target of EDM has the data's variance",
        LEVELS,
        "target = of_x0 / sigma_data",
        "target = of_x0",
        "objective: target",
        EDM,
    ),
    Bug(
        "sigma_data is not what it was configured to be",
        LEVELS,
        "self.config.objective, self.config.sigma_data",
        "self.config.objective, 0.5",
        "levels: columns",
        {**EDM, "sigma_data": 0.8},
    ),
    Bug(
        "the velocity's error is divided by the noise instead of its share",
        "reference.objective.weight_at",
        "1.0 / (np.sqrt(snr) + 1.0), LEAST_S",
        "1.0 / np.sqrt(snr + 1.0), LEAST_S",
        f"{PATH}::test_x0_v_loss_is_the_velocity_s_error",
    ),
    Bug(
        "the velocity's error is not clipped",
        "reference.objective.weight_at",
        "1.0), LEAST_S",
        "1.0), 0.0",
        f"{PATH}::test_x0_v_loss_is_the_velocity_s_error",
    ),
    Bug(
        "the network with the velocity's error sees x_t in its own scale",
        LEVELS,
        'straight if objective == "x0_v_loss" else one',
        "one",
        "levels: columns",
        V_LOSS,
    ),
    Bug(
        "the network sees x_t, whatever its scale is",
        "denoiser.ask",
        "column(levels, INPUT, x_t) * x_t",
        "x_t",
        "gradients: gradients",
        {"loss": FLOW},
    ),
    Bug(
        "a rule weighs the flow as it weighs v",
        "reference.objective.weight_at",
        "snr / (np.sqrt(snr) + 1.0) ** 2",
        "snr / (snr + 1.0)",
        "tests/reference/test_objective.py::test_every_objective_weighs_one_mistake_alike",
    ),
    Bug(
        "a rule forgets sigma_data",
        "reference.objective.weight_at",
        '"edm": sigma_data**2 * snr',
        '"edm": snr',
        "tests/reference/test_objective.py::test_every_objective_weighs_one_mistake_alike",
    ),
]

DRAWN = [
    Bug(
        "real times have the stream of whole ones",
        DRAWS,
        "Purpose.REAL_TIME",
        "Purpose.TIME",
        "train_batches: batches",
        _drawn(time_distribution="uniform"),
    ),
    Bug(
        "all images of a batch have one real time",
        DRAWS,
        "uniform(seed, Purpose.REAL_TIME, step, positions, 1)[:, 0]",
        "uniform(seed, Purpose.REAL_TIME, step, [positions[0]] * len(positions), 1)[:, 0]",
        "train_batches: batches",
        _drawn(time_distribution="log_normal"),
    ),
    Bug(
        "the offset has the stream of the noise",
        DRAWS,
        "Purpose.OFFSET",
        "Purpose.NOISE",
        "randomness_streams: streams",
        {"diffusion": {"timesteps": 4, "offset_noise": 0.3}},
    ),
    Bug(
        "all channels have one offset",
        DRAWS,
        "each = (channels, ",
        "each = (1, ",
        "train_batches: batches",
        {
            **_drawn(offset_noise=0.3),
            "net": {"dim": 4, "dim_mults": (1,), "channels": 3},
        },
    ),
    Bug(
        "every offset has the strength of the noise",
        DRAWS,
        "offset, config.offset_noise",
        "offset, 1.0",
        "train_batches: batches",
        _drawn(offset_noise=0.3),
    ),
    Bug(
        "noise is not assigned",
        DRAWS,
        "assigned(x_0, noise) if config.immiscible else noise",
        "noise",
        "train_batches: batches",
        _drawn(immiscible=True),
    ),
    Bug(
        "noise is assigned before it has its offset",
        DRAWS,
        "    if config.offset_noise:",
        "    if config.immiscible:\n        noise = assigned(x_0, noise)\n"
        "    if config.offset_noise:",
        "train_batches: batches",
        _drawn(immiscible=True, offset_noise=5.0),
    ),
    Bug(
        "the farthest noise is assigned",
        "reference.noise.assigned",
        "maximize=True",
        "maximize=False",
        f"{NOISE}::test_the_sum_of_squared_distances_is_the_least_of_all",
    ),
    Bug(
        "noise is assigned the wrong way round",
        "reference.noise.assigned",
        "found: Array = noise[order]",
        "found: Array = noise[np.argsort(order)]",
        f"{NOISE}::test_the_sum_of_squared_distances_is_the_least_of_all",
    ),
    Bug(
        "uniform times begin at the data",
        "reference.times.real_times",
        "1.0 + (schedule.T - 1.0) * u",
        "schedule.T * u",
        f"{TIMES}::test_uniform_is_every_number_from_the_first_step_to_the_last",
    ),
    Bug(
        "the logarithm of the signal is normal",
        "reference.times.real_times",
        "-log_sigma",
        "log_sigma",
        f"{TIMES}::test_log_normal_is_the_distribution_of_the_noise",
    ),
]
