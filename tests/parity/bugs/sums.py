"""Bugs in what multiplies and adds: of some channels, some images, some indices, some bits."""

from __future__ import annotations

from ..planting import Bug
from ..properties import CONV2D

SUMS = [
    Bug(
        "a convolution of more than 64 channels does without the rest",
        "kernels.CompiledConvolution.construct",
        "self.convolve(x, weight, bias)",
        "self.convolve(ops.concat((x[:, :64], 0.0 * x[:, 64:]), 1) if x.shape[1] > 64 else x, "
        "weight, bias)",
        "exact: large",
        {**CONV2D, "dims": (65, 8)},
    ),
    Bug(
        "a convolution takes the first image for the second",
        "kernels.CompiledConvolution.construct",
        "self.convolve(x, weight, bias)",
        "self.convolve(ops.concat((x[:1], x[:1], x[2:])) if x.shape[0] > 2 else x, weight, bias)",
        "exact: conv2d",
    ),
    Bug(
        "the 65,537th image of a convolution is its first",
        "kernels.CompiledConvolution.construct",
        "self.convolve(x, weight, bias)",
        "self.convolve(ops.concat((x[:65536], x[: x.shape[0] - 65536])) "
        "if x.shape[0] > 65536 else x, weight, bias)",
        "exact: large",
        {"kind": "conv2d", "kernel": 1, "dims": (1, 1), "size": (1, 1), "batch": 65_540},
    ),
    Bug(
        "the last of many images adds nothing to a kernel's gradient",
        "kernels.CompiledConvolution.bprop",
        "self.weight_gradient(x, weight, dout)",
        "self.weight_gradient(x, weight, dout if x.shape[0] < 16 else "
        "ops.concat((dout[:-1], 0.0 * dout[-1:])))",
        "exact: large",
        {**CONV2D, "batch": 16},
    ),
    Bug(
        "a bias's gradient leaves out the fifth image",
        "networks.operators._sum_batch_like",
        "ops.ones((1, batch), x.dtype)",
        "(ops.ones((1, batch), x.dtype) if batch < 5 else "
        "ops.concat((ops.ones((1, 4), x.dtype), ops.zeros((1, batch - 4), x.dtype)), 1))",
        "exact: large",
        {**CONV2D, "kernels": "stock", "batch": 5},
    ),
    Bug(
        "wide images are enlarged by one column too far",
        "networks.layers.upsample_nearest",
        "np.kron(np.eye(width), np.ones((1, 2)))",
        "np.roll(np.kron(np.eye(width), np.ones((1, 2))), int(width > 12), 1)",
        "exact: large",
        {"kind": "upsample", "dims": (2, 3), "size": (1, 13)},
    ),
    Bug(
        "a vector of gradients wraps at 65,536",
        "kernels.CompiledAdam.construct",
        "*grads,",
        "*[g if g.size <= 65536 else ops.concat((g[:65536], g[: g.size - 65536])) for g in grads],",
        "optimizer: updates",
        {"shapes": ((70_003,), (5,))},
    ),
    Bug(
        "a linear layer adds its bias once more for each 1,024 inputs",
        "networks.convolutions.Product.construct",
        "x + cast(bias, self.result)",
        "x + cast(bias, self.result) * (1 + x.shape[0] // 1024)",
        "exact: large",
        {"kind": "linear", "batch": 1024, "kernels": "stock"},
    ),
    Bug(
        "an image of nothing but zeros is no number",
        "kernels.CompiledConvolution.construct",
        "self.convolve(x, weight, bias)",
        "self.convolve(x + 0.0 / x.abs().max(), weight, bias)",
        "exact: large",
        {**CONV2D, "power": -200},
    ),
]

ROUNDED = [
    Bug(
        "a convolution's kernel is rounded to float16",
        "kernels.CompiledConvolution.construct",
        "self.convolve(x, weight, bias)",
        "self.convolve(x, weight.astype(ms.float16).astype(ms.float32), bias)",
        "effective: float32",
        {"operator": "conv2d 1x1"},
    ),
    Bug(
        "the gradient of a convolution's image is rounded to float16",
        "kernels.CompiledConvolution.bprop",
        "self.input_gradient(x, weight, dout)",
        "self.input_gradient(x, weight, dout.astype(ms.float16).astype(ms.float32))",
        "effective: float32",
        {"operator": "conv2d 3x3, by its image"},
    ),
    Bug(
        "the gradient of a convolution's kernel is a sum in float16",
        "kernels.CompiledConvolution.bprop",
        "dweight, dbias\n",
        "dweight.astype(ms.float16).astype(ms.float32), dbias\n",
        "effective: float32",
        {"operator": "conv2d 1x1, by its kernel"},
    ),
    Bug(
        "large convolutions lose the last bit of their image",
        "kernels.CompiledConvolution.construct",
        "self.convolve(x, weight, bias)",
        "self.convolve((x * 4097.0) - (x * 4097.0 - x) if x.size > 8192 else x, weight, bias)",
        "effective: copies",
        {"operator": "conv2d 1x1", "count": 300, "dim": 65},
    ),
    Bug(
        "a linear layer is in float16 at O0",
        "networks.convolutions.Product.construct",
        "cast(weight, self.compute)",
        "cast(weight.half(), self.compute)",
        "effective: float32",
        {"operator": "linear", "kernels": "stock"},
    ),
    Bug(
        "a linear layer computes in what it is given",
        "networks.convolutions.Product.construct",
        "cast(x, self.compute), cast(weight, self.compute)",
        "x, cast(weight, x.dtype)",
        "alone: half_input",
        {"kind": "linear", "kernels": "stock"},
    ),
    Bug(
        "the root in GELU is a float16",
        "networks.layers.gelu",
        "math.sqrt(0.5)",
        "float(np.float16(math.sqrt(0.5)))",
        "layers: gelu",
    ),
    Bug(
        "linear attention rounds its queries to float16",
        "networks.attention.LinearAttention.construct",
        "cast(self.softmax(q), low)",
        "cast(cast(self.softmax(q), ms.float16), low)",
        "layers: linear_attention",
        {"kernels": "stock"},
    ),
    Bug(
        "attention rounds its scores to float16",
        "networks.attention.Attention.construct",
        "self.softmax(cast(scores, ms.float32))",
        "self.softmax(cast(cast(scores, ms.float16), ms.float32))",
        "layers: attention",
        {"kernels": "stock"},
    ),
    Bug(
        "the modulation of a block passes through float16",
        "networks.layers.Block.construct",
        "cast(modulation, ms.float32)\n",
        "cast(cast(modulation, ms.float16), ms.float32)\n",
        "layers: block",
    ),
]
