"""Bugs in the optimiser and the training step."""

from __future__ import annotations

from ..planting import Bug
from ..properties import ADAM

TRAINING = [
    Bug(
        "Adam does not correct its bias",
        "optimizer.step_scalars",
        "* root / (1.0 - beta_1**applied)",
        "",
        "optimizer: updates",
    ),
    Bug(
        "Adam's epsilon stands beside the uncorrected root",
        "optimizer.step_scalars",
        "options.adam_eps * root",
        "options.adam_eps",
        "optimizer: updates",
    ),
    Bug(
        "Adam's epsilon is under the root",
        "optimizer.Optimizer.update",
        "done = self.adam(self.params, self.m, self.v, 0.0, 0.0, lr, beta_1, beta_2, eps, grad)",
        "ops.assign(self.m, beta_1 * self.m + (1.0 - beta_1) * grad)\n"
        "    ops.assign(self.v, beta_2 * self.v + (1.0 - beta_2) * grad * grad)\n"
        "    step = lr * self.m / ops.sqrt(self.v + eps * eps)\n"
        "    done = ops.assign(self.params, self.params - step)",
        "optimizer: updates",
    ),
    Bug(
        "the average never moves",
        "optimizer.Optimizer.update",
        "ops.assign_add(self.ema, (params - self.ema) * ema)",
        "self.ema",
        "optimizer: updates",
    ),
    Bug(
        "the average is one step late",
        "optimizer.ema_weight",
        "since = before - update_after_step",
        "since = before - update_after_step - 1",
        "optimizer: scalars",
    ),
    Bug(
        "the average waits for as many steps as lie between its updates",
        "optimizer.ema_weight",
        "before % update_every",
        "step % update_every",
        "optimizer: scalars",
        {"step": 1, "ema_update_every": 10},
    ),
    Bug(
        "an average with a decay of 1 goes on moving",
        "optimizer.ema_weight",
        "1.0 if decay == 1.0 else ",
        "",
        "optimizer: scalars",
        {"ema_decay": 1.0},
    ),
    Bug(
        "the average takes what it should keep",
        "optimizer.step_scalars",
        "1.0 - weight",
        "weight",
        "optimizer: updates",
    ),
    Bug(
        "warm-up starts at zero",
        "optimizer.learning_rate",
        "(step / warmup_steps)",
        "((step - 1) / warmup_steps)",
        "optimizer: scalars",
    ),
    Bug(
        "the learning rate falls during warm-up already",
        "optimizer.learning_rate",
        "(step - warmup_steps) / max(1, train_num_steps - warmup_steps)",
        "step / max(1, train_num_steps)",
        "optimizer: scalars",
        {"step": 9},
    ),
    Bug(
        "the learning rate falls to zero",
        "optimizer.learning_rate",
        "min_lr + (lr - min_lr) * share",
        "lr * share",
        "optimizer: scalars",
        {"step": 9},
    ),
    Bug(
        "biases decay too",
        "optimizer._decaying",
        'name.endswith(".weight")',
        "True",
        "optimizer: updates",
    ),
    Bug(
        "weight decay goes through the moments",
        "optimizer.Optimizer.update",
        "ops.assign(self.params, self.params * (1.0 - decay * self.decays))",
        "grad = grad + decay * self.decays * self.params",
        "optimizer: updates",
    ),
    Bug(
        "longer averages count their steps from zero",
        "optimizer.step_scalars",
        "power_weight(step, sigma_rel)",
        "power_weight(max(1, step - 1), sigma_rel)",
        "optimizer: updates",
        {"ema_sigma_rels": (0.2,)},
    ),
    Bug(
        "longer averages all move alike",
        "optimizer.Optimizer.update",
        "powers[i], 0.0)",
        "powers[0], 0.0)",
        "optimizer: updates",
    ),
    Bug(
        "an average's exponent is gamma, not gamma + 1",
        "ema.power_weight",
        "gamma_of(sigma_rel) + 1.0",
        "gamma_of(sigma_rel)",
        "ema: widths",
    ),
    Bug(
        "late in training an average moves by one step's share at every stride",
        "ema.power_weight",
        "1.0 - stride / step",
        "1.0 - 1.0 / step",
        "ema: widths",
        {"step": 2**20},
    ),
    Bug(
        "the profile's ends are exchanged in the inner product",
        "ema._products",
        "np.where(first, gamma, gamma[:, None])",
        "np.where(first, gamma[:, None], gamma)",
        "ema: reconstruction",
    ),
    Bug(
        "the snapshots' weights are not divided by their sum",
        "ema.post_hoc_weights",
        "weights / weights.sum()",
        "weights",
        "ema: reconstruction",
    ),
    Bug(
        "each tensor is clipped by itself",
        "optimizer.Optimizer.update",
        "grad = self.mul_no_nan(grad, ops.where(finite, shorten, 0.0))",
        "parts = self.split(grad)\n"
        "    shares = [self.max_grad_norm / (ops.sqrt((g * g).sum()) + 1e-6) for g in parts]\n"
        "    pairs = zip(parts, shares, strict=True)\n"
        "    grad = ops.concat([g * ops.minimum(share, 1.0) for g, share in pairs])",
        "optimizer: updates",
    ),
    Bug(
        "short gradients are lengthened",
        "optimizer.Optimizer.update",
        "ops.minimum(self.max_grad_norm / (norm + 1e-6), 1.0)",
        "(self.max_grad_norm / (norm + 1e-6))",
        "optimizer: updates",
        {"optimizer": {**ADAM, "max_grad_norm": 100.0}},
    ),
    Bug(
        "accumulated gradients are added up, not averaged",
        "training.TrainStep.__init__",
        "share = 1.0 / micro_batches",
        "share = 1.0",
        "accumulation: accumulation",
    ),
    Bug(
        "accumulation divides twice",
        "training.TrainStep.__init__",
        "grad * share)",
        "grad * share * share)",
        "training: steps",
    ),
    Bug(
        "accumulated gradients are not forgotten",
        "training.TrainStep.__init__",
        "ops.assign(total, ops.zeros_like(total))",
        "ops.assign(total, total)",
        "training: steps",
    ),
]
