"""Bugs in the plans of samplers, in the step that applies them, and in what limits estimates."""

from __future__ import annotations

from typing import Any

from ..planting import Bug

TRAJECTORY = "samplers: trajectory"


def _of(sampler: str, **options: Any) -> dict[str, Any]:
    """A walk of a sampler that is long enough for its history."""
    return {
        **{"sampler": sampler, "options": options, "clip": False, "spread": 0.3},
        "timesteps": (45, 30.25, 20, 12.5, 6),
    }


# What the first port of this model to MindSpore had: see parity/README.md.
FIRST_PORT = [
    Bug(
        "the noise that the network predicts is taken for x_0",
        "denoiser.denoiser",
        "joined(x0_from_output(x_t, levels, output), raw if variance else None)",
        "joined(output, raw if variance else None)",
        TRAJECTORY,
        {"objective": "pred_noise"},
    ),
    Bug(
        "a step's parenthesis closes behind the noise",
        "samplers.plan.move",
        "factors[0] * x + factors[1] * x0_hat + factors[2] * noise",
        "(factors[0] * x + factors[1] * x0_hat + factors[2]) * noise",
        TRAJECTORY,
    ),
]

STEP = [
    Bug(
        "the clip is computed and dropped",
        "denoiser.within",
        "return ops.clamp(x0_hat, -1.0, 1.0)",
        "_ = ops.clamp(x0_hat, -1.0, 1.0)\n    return x0_hat",
        TRAJECTORY,
    ),
    Bug(
        "the oldest thing that was kept is taken for the newest",
        "samplers.plan.run_plan",
        "ms.mutable(registers)",
        "ms.mutable(registers[::-1])",
        "samplers: registers",
    ),
    Bug(
        "a row that keeps nothing keeps zeros",
        "samplers.plan.run_plan",
        "if any(plan.keeps(i)):",
        "if True:",
        "samplers: registers",
    ),
    Bug(
        "only the newest thing that was kept is read",
        "samplers.plan.move",
        "factors[5 + i] * registers[i]",
        "factors[5] * registers[0]",
        "samplers: registers",
    ),
    Bug(
        "x is kept as it is after the step",
        "samplers.plan.move",
        "factors[3] * x + factors[4] * x0_hat",
        "factors[3] * moved + factors[4] * x0_hat",
        "samplers: registers",
    ),
    Bug(
        "a row's noise is that of its place",
        "samplers.plan.run_plan",
        "noise(plan.draw(i))",
        "noise(i)",
        "samplers: registers",
    ),
    Bug(
        "the sampler tells the network t for t - 1",
        "denoiser.ask",
        "levels[:, TIME]",
        "levels[:, TIME] + 1.0",
        TRAJECTORY,
    ),
    Bug(
        "every step gets the first step's noise",
        "samplers.plan.run_plan",
        "noise(plan.draw(i))",
        "noise(0)",
        TRAJECTORY,
    ),
    Bug(
        "the estimate before is not handed to the network",
        "samplers.plan.run_plan",
        "condition, x0_hat,",
        "condition, zeros,",
        TRAJECTORY,
    ),
]

PLANS = [
    Bug(
        "DDIM takes alpha_bar of t - 1 for that of the next timestep",
        "samplers.plan.alpha_bars",
        "np.append(steps[1:], 0)",
        "steps - 1",
        TRAJECTORY,
    ),
    Bug(
        "eta is ignored",
        "samplers.ddim.ddim_plan",
        "sigma = eta * np.sqrt(var)",
        "sigma = np.sqrt(var)",
        TRAJECTORY,
    ),
    Bug(
        "noise is added at the last step",
        "samplers.ancestral.ancestral_plan",
        "c = np.sqrt((1.0 - alpha_bar_s) * (1.0 - alpha) / (1.0 - alpha_bar_t))",
        "c = np.sqrt(np.maximum(1.0 - alpha_bar_s, 1.0 - alpha_bar_t) * (1.0 - alpha)\n"
        "                / (1.0 - alpha_bar_t))",
        TRAJECTORY,
        _of("ancestral"),
    ),
    Bug(
        "the other variance of ancestral sampling is the same",
        "samplers.ancestral.ancestral_plan",
        'variance == "beta"',
        'variance == "large"',
        TRAJECTORY,
        _of("ancestral", variance="beta"),
    ),
    Bug(
        "DPM-Solver++(2M) begins with an estimate that there is not",
        "samplers.dpmpp_2m.ahead_of",
        "return [0.0, *found]",
        "return [0.5, *found]",
        TRAJECTORY,
        _of("dpm++2m"),
    ),
    Bug(
        "DPM-Solver++(2M) goes behind its estimate, not ahead of it",
        "samplers.dpmpp_2m.dpmpp_2m_plan",
        "of_D * (1.0 + ahead), earlier=(-of_D * ahead,)",
        "of_D * (1.0 - ahead), earlier=(of_D * ahead,)",
        TRAJECTORY,
        _of("dpm++2m"),
    ),
    Bug(
        "the last step of DPM-Solver++(2M) stays at its own time",
        "samplers.dpmpp_2m.dpmpp_2m_plan",
        "    rows = []\n",
        "    walk[-1] = (walk[-1][0], walk[-1][0])\n    rows = []\n",
        TRAJECTORY,
        _of("dpm++2m"),
    ),
    Bug(
        "DPM-Solver++(3M) takes its oldest estimate for the one before",
        "samplers.dpmpp_3m.dpmpp_3m_plan",
        "earlier=weights[1:].tolist()",
        "earlier=weights[:0:-1].tolist()",
        TRAJECTORY,
        _of("dpm++3m"),
    ),
    Bug(
        "DPM-Solver++(3M) has half of its third term",
        "samplers.dpmpp_3m.dpmpp_3m_plan",
        "1.0 - 2.0 * of_u / h",
        "(1.0 - 2.0 * of_u / h) / 2.0",
        TRAJECTORY,
        _of("dpm++3m"),
    ),
    Bug(
        "DPM-Solver++(2S) does not undo its way to the middle",
        "samplers.dpmpp_2s.dpmpp_2s_plan",
        "earlier=(-of_x * of_first,)",
        "earlier=(of_x * of_first,)",
        TRAJECTORY,
        _of("dpm++2s"),
    ),
    Bug(
        "SDE-DPM-Solver++ adds the noise of an ODE's step",
        "samplers.dpmpp_2m_sde.dpmpp_2m_sde_plan",
        "new = 1.0 - shrink**2",
        "new = 1.0 - shrink",
        TRAJECTORY,
        _of("dpm++2m-sde"),
    ),
    Bug(
        "UniPC does not correct",
        "samplers.unipc.unipc_plan",
        "found = of_x * correction + ahead",
        "found = ahead",
        TRAJECTORY,
        _of("unipc", order=3),
    ),
    Bug(
        "UniPC corrects with the estimates in another order",
        "samplers.unipc.unipc_plan",
        "_estimates(t, s, [s, *others], variant)",
        "_estimates(t, s, [*others, s], variant)",
        TRAJECTORY,
        _of("unipc", order=3),
    ),
    Bug(
        "UniPC has one B(h) only",
        "samplers.unipc._estimates",
        "weights(t, s, others, variant)",
        'weights(t, s, others, "bh2")',
        TRAJECTORY,
        _of("unipc", variant="bh1"),
    ),
    Bug(
        "DEIS takes its times for each other's",
        "samplers.deis.deis_plan",
        "sigma_weights(schedule, times, t.t, s.t)",
        "sigma_weights(schedule, times[::-1], t.t, s.t)",
        TRAJECTORY,
        _of("deis"),
    ),
    Bug(
        "PLMS remembers the improved part of its first step",
        "samplers.plms.plms_plan",
        "kept=(0.0, 0.0)",
        "kept=eps_of(s)",
        TRAJECTORY,
        _of("plms"),
    ),
    Bug(
        "PLMS has no improved first step",
        "samplers.plms.plms_plan",
        "half = s.signal * (s.sigma - t.sigma) / 2.0",
        "half = 0.0",
        TRAJECTORY,
        _of("plms"),
    ),
    Bug(
        "Heun's slopes are not averaged",
        "samplers.heun.heun_plan",
        "/ 2.0 * s.signal / s.noise",
        "* s.signal / s.noise",
        TRAJECTORY,
        _of("heun"),
    ),
    Bug(
        "churn does not shrink x",
        "samplers.churn.churned",
        "x=of_x * row.x,",
        "x=row.x,",
        TRAJECTORY,
        _of("euler", s_churn=1.0),
    ),
    Bug(
        "churn adds the noise of the step before",
        "samplers.euler.euler_plan",
        "hats[i + 1], i + 1)",
        "hats[i + 1], i)",
        TRAJECTORY,
        _of("euler", s_churn=1.0),
    ),
    Bug(
        "Heun's network is not told of the churn",
        "samplers.heun.heun_plan",
        "hats = churn.hats(schedule, walk)",
        "hats = [t for t, _ in walk]",
        TRAJECTORY,
        _of("heun", s_churn=1.0),
    ),
]

LIMITS = [
    Bug(
        "a threshold is found over the whole batch",
        "thresholding.dynamic_threshold",
        "s = ops.maximum(",
        "lower = ops.zeros_like(lower) + lower.max()\n    s = ops.maximum(",
        "samplers: threshold",
    ),
    Bug(
        "a threshold below 1 stretches an estimate",
        "thresholding.dynamic_threshold",
        "(upper - lower), 1.0)",
        "(upper - lower), 0.0)",
        "samplers: threshold",
    ),
    Bug(
        "a threshold is the next larger value, not on the line to it",
        "thresholding.dynamic_threshold",
        "(place - below) * (upper - lower)",
        "(upper - lower)",
        "samplers: threshold",
    ),
]
