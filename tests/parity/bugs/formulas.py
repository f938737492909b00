"""Bugs in the process, the objective and the samplers."""

from __future__ import annotations

from ..planting import Bug

PROCESS = [
    Bug(
        "every table is read at t - 1",
        "process.gather",
        "ops.gather(table, t, 0)",
        "ops.gather(table, t - 1, 0)",
        "schedule: gathers",
    ),
    Bug(
        "alpha_bar is a product in float32",
        "process.Process.__init__",
        "schedule.sqrt_alpha_bar,",
        "np.sqrt(np.cumprod(schedule.alpha, dtype=np.float32)),",
        "schedule: gathers",
    ),
    Bug(
        "alpha_bar is a product in float16",
        "process.Process.__init__",
        "schedule.sqrt_alpha_bar,",
        "np.sqrt(np.cumprod(schedule.alpha, dtype=np.float16)),",
        "schedule: gathers",
    ),
    Bug(
        "signal and noise are swapped in q_sample",
        "process.Process.q_sample",
        "* x_0 + gather(self.noise, t) * noise",
        "* noise + gather(self.noise, t) * x_0",
        "process: q_sample",
    ),
    Bug(
        "q_sample takes alpha_bar for its root",
        "process.Process.q_sample",
        "gather(self.signal, t) * x_0",
        "gather(self.signal, t) ** 2 * x_0",
        "process: q_sample",
    ),
    Bug(
        "the posterior's coefficients are swapped",
        "process.Process.q_posterior",
        "coef_x0, t) * x_0\n        + gather(self.posterior_mean_coef_xt, t) * x_t",
        "coef_x0, t) * x_t\n        + gather(self.posterior_mean_coef_xt, t) * x_0",
        "process: q_posterior",
    ),
    Bug(
        "the posterior's variance at t = 1 is beta_1",
        "process.Process.__init__",
        "_table(schedule.posterior_var)",
        "_table(np.where(np.arange(schedule.T + 1) == 1, schedule.beta, schedule.posterior_var))",
        "process: q_posterior",
    ),
    Bug(
        "the posterior's log-variance at t = 1 is infinite",
        "process.Process.__init__",
        "_table(schedule.posterior_log_var)",
        "_table(np.log(schedule.posterior_var))",
        "process: q_posterior",
    ),
    Bug(
        "eps is not divided by its deviation",
        "process.Process.eps_from_x0",
        "gather(self.signal_over_noise, t)",
        "gather(self.signal, t)",
        "process: eps_from_x0",
    ),
]

OBJECTIVE = [
    Bug(
        "v has the wrong sign",
        "process.Process.v_from_x0",
        "* eps - gather",
        "* eps + gather",
        "objective: target",
        {"objective": "pred_v"},
    ),
    Bug(
        "x_0 and v are confused in the estimate of x_0",
        "objective.Objective.x0_from_output",
        "return output",
        "return self.process.x0_from_v(x_t, t, output)",
        "objective: x0_from_output",
        {"objective": "pred_x0"},
    ),
    Bug(
        "the weight is read at t - 1",
        "objective.Objective.simple_loss",
        "ops.gather(self.weight, t, 0)",
        "ops.gather(self.weight, t - 1, 0)",
        "objective: simple_loss",
    ),
    Bug(
        "the weight is broadcast over the wrong axis",
        "objective.Objective.simple_loss",
        "ops.matmul(weight, per_image).reshape(())",
        "ops.sum(weight * per_image) / batch",
        "objective: simple_loss",
    ),
    Bug(
        "the Huber loss has no half outside",
        "objective.Objective.simple_loss",
        "inside * (size - 0.5 * inside)",
        "inside * (size - 0.5 * inside * inside)",
        "objective: simple_loss",
        {"loss_type": "huber"},
    ),
]

SAMPLERS = [
    Bug(
        "the clip is computed and dropped",
        "samplers.plan.sampling_step",
        "x0_hat = ops.clamp",
        "_ = ops.clamp",
        "samplers: trajectory",
    ),
    Bug(
        "eps is not derived again after clipping",
        "samplers.plan.sampling_step",
        "x0_hat = ops.clamp(x0_hat, -1.0, 1.0)\n        return a * x +",
        "clipped = ops.clamp(x0_hat, -1.0, 1.0)\n"
        "            signal = ops.gather(objective.process.signal, t, 0).reshape(-1, 1, 1, 1)\n"
        "            x0_hat, x = clipped, x + signal * (clipped - x0_hat)\n"
        "        return a * x +",
        "samplers: trajectory",
    ),
    Bug(
        "the sampler tells the network t for t - 1",
        "samplers.plan.sampling_step",
        "(t - 1).astype",
        "t.astype",
        "samplers: trajectory",
    ),
    Bug(
        "DDIM takes alpha_bar of t - 1 for that of the next timestep",
        "samplers.plan._alpha_bars",
        "np.append(steps[1:], 0)",
        "steps - 1",
        "samplers: trajectory",
    ),
    Bug(
        "eta is ignored",
        "samplers.plan.ddim_plan",
        "sigma = eta * np.sqrt(var)",
        "sigma = np.sqrt(var)",
        "samplers: trajectory",
    ),
    Bug(
        "noise is added at the last step",
        "samplers.plan.ancestral_plan",
        "c = np.sqrt((1.0 - alpha_bar_s) * (1.0 - alpha) / (1.0 - alpha_bar_t))",
        "c = np.sqrt(np.maximum(1.0 - alpha_bar_s, 1.0 - alpha_bar_t) * (1.0 - alpha)\n"
        "                / (1.0 - alpha_bar_t))",
        "samplers: trajectory",
        {"sampler": "ancestral"},
    ),
    Bug(
        "every step gets the first step's noise",
        "samplers.plan.run_plan",
        "Tensor(noise(i))",
        "Tensor(noise(0))",
        "samplers: trajectory",
    ),
    Bug(
        "the estimate before is not handed to the network",
        "samplers.plan.run_plan",
        "step(x, times, x0_hat,",
        "step(x, times, zeros,",
        "samplers: trajectory",
    ),
]
