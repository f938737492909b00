"""Bugs in mixed precision, the loss scale and the treatment of NaN."""

from __future__ import annotations

from ..planting import Bug
from ..properties import ADAM

PRED_V = {"objective": "pred_v"}

PRECISION = [
    Bug(
        "the norm is in float16",
        "networks.layers.Block.construct",
        "cast(x, ms.float32).reshape",
        "x.reshape",
        "precision: float16",
    ),
    Bug(
        "an update with a NaN is applied",
        "optimizer.Optimizer.update",
        "ops.isfinite(norm + loss)",
        "ops.isfinite(ops.zeros_like(norm))",
        "optimizer: updates",
        {"spoiled": "gradient"},
    ),
    Bug(
        "what is left out moves the moments",
        "optimizer.Optimizer.update",
        "ops.where(finite, self.beta_1, 1.0)",
        "self.beta_1",
        "optimizer: updates",
        {"spoiled": "gradient"},
    ),
    Bug(
        "what is left out moves the average",
        "optimizer.Optimizer.update",
        "ops.where(finite, ema, 0.0)",
        "ema",
        "optimizer: updates",
        {"spoiled": "loss", "optimizer": {**ADAM, "ema_update_after_step": 0}},
    ),
    Bug(
        "an update that was left out counts for Adam's bias",
        "optimizer.step_scalars",
        "applied = step - skipped",
        "applied = step",
        "precision: left_out",
    ),
    Bug(
        "the gradient is clipped with the scale still in it",
        "training.gradient_function",
        "flatten(grads) / scale",
        "flatten(grads)",
        "precision: left_out",
    ),
    Bug(
        "convolutions in bfloat16 are those in float32",
        "kernels.CompiledConvolution.__init__",
        '"convolution" if factors == "float32" else f"convolution_{factors}"',
        '"convolution"',
        "precision: bfloat16_factors",
    ),
    Bug(
        "the weight's gradient keeps its factors in float32",
        "kernels.CompiledConvolution.__init__",
        'f"{name}_weight_gradient"',
        '"convolution_weight_gradient"',
        "precision: bfloat16_factors",
    ),
    Bug(
        "the input's gradient keeps its factors in float32",
        "kernels.CompiledConvolution.__init__",
        'f"{name}_input_gradient"',
        '"convolution_input_gradient"',
        "precision: bfloat16_factors",
    ),
    Bug(
        "bfloat16 inside a convolution is asked for and not set",
        "precision.set_precision",
        "(arrays or cell.inside)",
        "arrays",
        "precision_levels: bfloat16_levels",
    ),
]
