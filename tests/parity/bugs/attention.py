"""Bugs in compiled attention, in what is compiled beside it, and in residual blocks as a whole."""

from __future__ import annotations

from ..planting import Bug

KERNELS = "kernels.attention"
BLOCK = "kernels.residual.CompiledResidualBlock"
DENSE = "kernels.dense"

ATTENTION = [
    Bug(
        "compiled attention takes its keys for its values",
        f"{KERNELS}.CompiledAttention.construct",
        "self.attend(q, k, v, self.no_mask, self.plain)",
        "self.attend(q, k, k, self.no_mask, self.plain)",
        "text: cross_attention",
    ),
    Bug(
        "compiled attention's mask is not seen",
        f"{KERNELS}.CompiledAttention.construct",
        "self.attend(q, k, v, mask, self.masked)",
        "self.attend(q, k, v, mask, self.plain)",
        "text: transformer",
    ),
    Bug(
        "the gradients of compiled attention's keys and values are swapped",
        f"{KERNELS}.CompiledAttention.bprop",
        "return dq, dk, dv, None",
        "return dq, dv, dk, None",
        "text: cross_attention",
        {"size": (4, 4)},
    ),
    Bug(
        "backwards compiled attention does not see its mask",
        f"{KERNELS}.CompiledAttention.bprop",
        "self.gradient(q, k, v, mask, self.masked, dout)",
        "self.gradient(q, k, v, mask, self.plain, dout)",
        "text: transformer",
    ),
    Bug(
        "compiled attention over pixels has one head",
        f"{KERNELS}._OverPixels.__init__",
        "Tensor([heads, memories]",
        "Tensor([1, memories]",
        "layers: linear_attention",
    ),
    Bug(
        "compiled attention over pixels forgets its memory",
        f"{KERNELS}._OverPixels.__init__",
        "Tensor([heads, memories]",
        "Tensor([heads, 0]",
        "layers: attention",
    ),
    Bug(
        "backwards compiled attention takes its result for what is told of it",
        f"{KERNELS}._OverPixels.bprop",
        "self.settings, dout)",
        "self.settings, out)",
        "layers: attention",
    ),
    Bug(
        "compiled attention is linear attention",
        f"{KERNELS}.CompiledPixelAttention.__init__",
        '"pixel_attention"',
        '"linear_attention"',
        "layers: attention",
    ),
    Bug(
        "compiled attention of more than 256 pixels has no gradient by the rest",
        f"{KERNELS}._OverPixels.bprop",
        "return dqkv, dmemory",
        "return dqkv * (ops.arange(qkv.shape[-1]) < 256).astype(ms.float32), dmemory",
        "layers: large",
        {"kind": "attention", "dims": (8, 8), "size": (16, 17), "heads": 1, "dim_head": 4},
    ),
    Bug(
        "a compiled linear map's gradient is that of its result",
        f"{DENSE}.CompiledLinear.bprop",
        "self.input_gradient(x, weight, dout)",
        "self.input_gradient(x, weight, out)",
        "text: geglu",
    ),
    Bug(
        "a compiled linear map in bfloat16 is that in float32",
        f"{DENSE}.CompiledLinear.__init__",
        '"linear" if factors == "float32" else f"linear_{factors}"',
        '"linear"',
        "precision: bfloat16_factors",
        {"kernel": None},
    ),
    Bug(
        "a compiled linear map's weight learns in float32",
        f"{DENSE}.CompiledLinear.__init__",
        'f"{name}_weight_gradient"',
        '"linear_weight_gradient"',
        "precision: bfloat16_factors",
        {"kernel": None},
    ),
    Bug(
        "the compiled gated layer's gradient is told of its result",
        f"{DENSE}.CompiledGeglu.bprop",
        "self.gradient(x, dout)",
        "self.gradient(x, out)",
        "text: geglu",
    ),
    Bug(
        "the SiLU after a compiled group norm is not in its gradient",
        f"{DENSE}.CompiledGroupNormalizeSilu.bprop",
        "return dx,",
        "return dout,",
        "text: group_norm",
        {"kernels": "auto", "silu": True},
    ),
    Bug(
        "a residual block as a whole has one gain for both of its norms",
        f"{BLOCK}.construct",
        "w2, b2, g2, wr, br)",
        "w2, b2, g1, wr, br)",
        "precision: whole_block",
    ),
    Bug(
        "backwards a residual block as a whole knows of no modulation",
        f"{BLOCK}.bprop",
        "of_x, of_y, modulation,",
        "of_x, of_y, 0.0 * modulation,",
        "precision: whole_block",
    ),
    Bug(
        "a residual block as a whole takes its result for what comes backwards",
        f"{BLOCK}.bprop",
        "kept, dout[0]",
        "kept, out[0]",
        "precision: whole_block",
    ),
    Bug(
        "a residual block that is computed again does without what skips a level",
        f"{BLOCK}.bprop",
        "self.compute(later, y,",
        "self.compute(later, 0.0 * y,",
        "precision: whole_block",
        {"recomputed": True},
    ),
    Bug(
        "a residual block does without what skips a level",
        "networks.layers.ResnetBlock.construct",
        "x = ops.concat((x, skip), 1)",
        "x = ops.concat((x, 0.0 * skip), 1)",
        "unet: forward",
    ),
    Bug(
        "a residual block as a whole does without what skips a level",
        "networks.layers.ResnetBlock._as_a_whole",
        "nothing if skip is None else skip,",
        "nothing if skip is None else 0.0 * skip,",
        "precision: whole_block",
    ),
]
