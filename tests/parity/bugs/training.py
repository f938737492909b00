"""Bugs in the optimiser and the training step."""

from __future__ import annotations

from ..planting import Bug
from ..properties import ADAM

TRAINING = [
    Bug(
        "Adam does not correct its bias",
        "optimizer.step_scalars",
        "* root / (1.0 - beta_1**step)",
        "",
        "optimizer: updates",
    ),
    Bug(
        "Adam's epsilon stands beside the uncorrected root",
        "optimizer.step_scalars",
        "adam_eps * root",
        "adam_eps",
        "optimizer: updates",
    ),
    Bug(
        "Adam's epsilon is under the root",
        "optimizer.Optimizer.update",
        "done = self.adam(\n"
        "        self.params, self.m, self.v, 0.0, 0.0, lr, self.beta_1, self.beta_2, eps, grad\n"
        "    )",
        "ops.assign(self.m, self.beta_1 * self.m + (1.0 - self.beta_1) * grad)\n"
        "    ops.assign(self.v, self.beta_2 * self.v + (1.0 - self.beta_2) * grad * grad)\n"
        "    step = lr * self.m / ops.sqrt(self.v + eps * eps)\n"
        "    done = ops.assign(self.params, self.params - step)",
        "optimizer: updates",
    ),
    Bug(
        "the average never moves",
        "optimizer.Optimizer.update",
        "ops.assign(self.ema, ops.lerp(self.ema, params, ema))",
        "self.ema",
        "optimizer: updates",
    ),
    Bug(
        "the average is one step late",
        "optimizer.ema_weight",
        "since = step - update_after_step",
        "since = step - update_after_step - 1",
        "optimizer: scalars",
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
        "min(1.0, step / warmup_steps)",
        "min(1.0, (step - 1) / warmup_steps)",
        "optimizer: scalars",
    ),
    Bug(
        "each tensor is clipped by itself",
        "optimizer.Optimizer.update",
        "grad = grad * ops.minimum(self.max_grad_norm / (norm + 1e-6), 1.0)",
        "parts = self.split(grad, self.sizes, 0)\n"
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
        "accumulation divides twice",
        "train_step.TrainStep.__init__",
        "flatten(grads) * share",
        "flatten(grads) * share * share",
        "training: steps",
    ),
    Bug(
        "accumulated gradients are not forgotten",
        "train_step.TrainStep.__init__",
        "ops.assign(total, ops.zeros_like(total))",
        "ops.assign(total, total)",
        "training: steps",
    ),
]
