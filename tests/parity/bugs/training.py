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
        "the average takes what it should keep",
        "optimizer.step_scalars",
        "1.0 - weight",
        "weight",
        "optimizer: updates",
    ),
    Bug(
        "biases decay too",
        "optimizer._decaying",
        "decays(name)",
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
        "the compiled update reads gradients from their other end",
        "kernels.CompiledAdam.construct",
        "*grads,",
        "*[g[::-1] for g in grads],",
        "optimizer: updates",
    ),
    Bug(
        "the compiled update takes each moment for the other",
        "kernels.CompiledAdam.construct",
        "*parameters, *vectors",
        "*parameters, vectors[1], vectors[0], *vectors[2:]",
        "optimizer: updates",
    ),
    Bug(
        "the compiled update does not look at the loss",
        "kernels.CompiledAdam.construct",
        "self.decays, loss,",
        "self.decays, ops.zeros_like(loss),",
        "optimizer: updates",
        {"spoiled": "loss"},
    ),
    Bug(
        "the compiled update moves the averages in each other's place",
        "kernels.CompiledAdam.construct",
        "*shares,",
        "*shares[::-1],",
        "optimizer: updates",
    ),
    Bug(
        "in the compiled update biases decay too",
        "kernels.CompiledAdam.__init__",
        "np.array(decays, np.float32)",
        "np.ones(len(decays), np.float32)",
        "optimizer: updates",
    ),
    Bug(
        "the snapshots' weights are not divided by their sum",
        "ema.combine",
        "weights / weights.sum()",
        "weights",
        "ema: reconstruction",
    ),
    Bug(
        "each tensor is clipped by itself",
        "optimizer.Optimizer.update",
        "grad = self.mul_no_nan(grad, ops.where(finite, shorten, 0.0))",
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
        "accumulated gradients are added up, not averaged",
        "training.TrainStep.__init__",
        "share = 1.0 / micro_batches",
        "share = 1.0",
        "accumulation: accumulation",
    ),
    Bug(
        "accumulation divides twice",
        "training.TrainStep.__init__",
        "flatten(grads) * share)",
        "flatten(grads) * share * share)",
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
