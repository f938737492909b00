"""Bugs in the layers, the network and its gradients."""

from __future__ import annotations

from ..planting import Bug

LAYERS = [
    Bug(
        "the attention's scores are not scaled",
        "networks.layers.Attention.construct",
        "* dim_head**-0.5",
        "",
        "layers: attention",
    ),
    Bug(
        "the attention's softmax runs over the queries",
        "networks.layers.Attention.construct",
        "self.softmax(cast(scores, ms.float32))",
        "ops.softmax(cast(scores, ms.float32), -2)",
        "layers: attention",
    ),
    Bug(
        "memory keys and values are dropped",
        "networks.layers._with_memory",
        "ops.concat((memory, kv), -1)",
        "kv",
        "layers: attention",
    ),
    Bug(
        "memory keys and values are swapped",
        "networks.layers._with_memory",
        "k, v = ops.Split",
        "v, k = ops.Split",
        "layers: linear_attention",
    ),
    Bug(
        "linear attention is not scaled",
        "networks.layers.LinearAttention.construct",
        "* dim_head**-0.5",
        "",
        "layers: linear_attention",
    ),
    Bug(
        "linear attention's queries are normalised over the pixels",
        "networks.layers.LinearAttention.construct",
        "self.softmax(q)",
        "ops.softmax(q, 1)",
        "layers: linear_attention",
    ),
    Bug(
        "linear attention's keys are normalised over the channels",
        "networks.layers.LinearAttention.construct",
        "self.softmax(cast(k, ms.float32))",
        "ops.softmax(cast(k, ms.float32), -2)",
        "layers: linear_attention",
    ),
    Bug(
        "the norm runs over the pixels",
        "networks.layers.RMSNorm.construct",
        "self.normalize(cast(x, ms.float32), self.g)",
        "self.normalize(x.swapaxes(1, 2), ops.ones((1, x.shape[2], 1, 1), x.dtype)).swapaxes(1, 2)"
        " * self.g.reshape(1, -1, 1)",
        "layers: rms_norm",
    ),
    Bug(
        "the norm has a larger epsilon",
        "networks.operators._inverse_norm",
        "ops.maximum(_sum_channels(x * x), 1e-24)",
        "(_sum_channels(x * x) + 1e-8)",
        "layers: rms_norm",
        {"kernels": "stock"},
    ),
    Bug(
        "the norm's gain lacks the root of the channels",
        "networks.operators._gain",
        "* math.sqrt(x.shape[1])",
        "",
        "layers: rms_norm",
        {"kernels": "stock"},
    ),
    Bug(
        "the norm's derivative lacks its projection",
        "networks.operators._normalize_bprop",
        "(dunit - unit * _sum_channels(unit * dunit)) * inverse",
        "dunit * inverse",
        "layers: rms_norm",
        {"kernels": "stock"},
    ),
    Bug(
        "the derivative of SiLU lacks its second term",
        "networks.operators.NormalizeSilu.bprop",
        "(gate + out * (1.0 - gate))",
        "gate",
        "layers: block",
        {"kernels": "stock"},
    ),
    Bug(
        "the scale has no one added",
        "networks.operators.NormalizeSilu.construct",
        "(scale + 1.0)",
        "scale",
        "layers: block",
        {"kernels": "stock"},
    ),
    Bug(
        "scale and shift are swapped",
        "networks.operators._scale_and_shift",
        "scale, shift = ops.Split",
        "shift, scale = ops.Split",
        "layers: block",
        {"kernels": "stock"},
    ),
    Bug(
        "the gain's gradient lacks the scale",
        "networks.operators.NormalizeSilu.bprop",
        "dmodulated * (scale + 1.0), gain",
        "dmodulated, gain",
        "layers: block",
        {"kernels": "stock"},
    ),
    Bug(
        "the second block is modulated too",
        "networks.layers.ResnetBlock.construct",
        "self.block2(h)",
        "self.block2(h, self.mlp[1](silu_time))",
        "layers: resnet_block",
    ),
    Bug(
        "dropout does not scale what it keeps",
        "networks.layers.ResnetBlock.construct",
        " * self.kept_scale",
        "",
        "layers: resnet_block",
    ),
    Bug(
        "a bias's gradient is a mean",
        "networks.operators.AddBias.bprop",
        "reshape(x.shape[0], x.shape[1], -1))",
        "reshape(x.shape[0], x.shape[1], -1)) / x.shape[0]",
        "layers: upsample",
        {"kernels": "stock"},
    ),
    Bug(
        "the time embedding's frequencies are off by one",
        "networks.layers.SinusoidalPosEmb.__init__",
        "(half - 1)",
        "half",
        "layers: sinusoidal_embedding",
    ),
    Bug(
        "sines and cosines are swapped",
        "networks.layers.SinusoidalPosEmb.construct",
        "(ops.sin(angles), ops.cos(angles))",
        "(ops.cos(angles), ops.sin(angles))",
        "layers: sinusoidal_embedding",
    ),
    Bug(
        "GELU is the approximation by tanh",
        "networks.layers.gelu",
        "(1.0 + ops.erf(x * math.sqrt(0.5)))",
        "(1.0 + ops.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))",
        "layers: gelu",
    ),
    Bug(
        "what was prepared for one size is used for another with as many pixels",
        "networks.layers.upsample_nearest",
        "rows = ops.matmul(x.reshape(-1, width), Tensor(repeat, x.dtype))",
        "_, width = vars(upsample_nearest).setdefault(height * width, (height, width))\n"
        "    repeat = np.tile(np.kron(np.eye(width), np.ones((1, 2))), 2)\n"
        "    rows = ops.matmul(x.reshape(-1, width), Tensor(repeat, x.dtype))\n"
        "    width = x.shape[3]",
        "unet: sizes",
    ),
    Bug(
        "enlarging puts rows where columns belong",
        "networks.layers.upsample_nearest",
        "np.tile(np.kron(np.eye(width), np.ones((1, 2))), 2)",
        "np.kron(np.eye(width), np.ones((1, 4)))",
        "layers: upsample",
    ),
    Bug(
        "pixel-unshuffle swaps rows and columns",
        "networks.layers.Downsample.construct",
        "-1, 2, 2)",
        "-1, 2, 2).swapaxes(2, 3)",
        "layers: downsample",
    ),
]

# In the Python that surrounds the compiled operators for the CPU.
KERNELS = [
    Bug(
        "a convolution's image gradient takes the kernel transposed",
        "kernels.CompiledConvolution.bprop",
        "self.input_gradient(x, weight, dout)",
        "self.input_gradient(x, weight.swapaxes(2, 3), dout)",
        "layers: upsample",
    ),
    Bug(
        "a convolution's bias gets no gradient",
        "kernels.CompiledConvolution.bprop",
        "dweight, dbias\n",
        "dweight, ops.zeros_like(dbias)\n",
        "layers: downsample",
    ),
    Bug(
        "the compiled norm's gradient takes its output for its input",
        "kernels.CompiledNormalize.bprop",
        "self.gradient(x, g, dout)",
        "self.gradient(out, g, dout)",
        "layers: rms_norm",
    ),
    Bug(
        "the compiled SiLU's scale and shift change places",
        "kernels.CompiledNormalizeSilu.construct",
        "self.normalize(x, g, modulation)",
        "self.normalize(x, g, ops.concat(ops.split(modulation, g.size, 1)[::-1], 1))",
        "layers: block",
    ),
    Bug(
        "the compiled SiLU's modulation gets the gradient of a sum over the batch",
        "kernels.CompiledNormalizeSilu.bprop",
        "return dx, dg, dmodulation",
        "return dx, dg, ops.zeros_like(dmodulation) + dmodulation.sum(0, keepdims=True)",
        "layers: block",
    ),
    Bug(
        "the compiled softmax's gradient takes its input for its output",
        "kernels.CompiledSoftmax.bprop",
        "self.gradient(out, dout)",
        "self.gradient(x, dout)",
        "layers: attention",
    ),
    Bug(
        "the vector of parameters is cut up from its other end",
        "kernels.CompiledSplit.construct",
        "self.split(vector)",
        "self.split(vector[::-1])",
        "training: steps",
    ),
]

NETWORK = [
    Bug(
        "the skips are taken in the wrong order",
        "networks.unet.Unet.construct",
        "skips[-1]), 1), t, None if masks is None else masks[block])\n"
        "        x = up[1](ops.concat((x, skips[-2])",
        "skips[-2]), 1), t, None if masks is None else masks[block])\n"
        "        x = up[1](ops.concat((x, skips[-1])",
        "unet: forward",
    ),
    Bug(
        "the first convolution's output comes before, not after",
        "networks.unet.Unet.construct",
        "(x, first)",
        "(first, x)",
        "unet: forward",
    ),
    Bug(
        "the estimate comes after the image",
        "networks.unet.Unet.construct",
        "(x_self_cond, x)",
        "(x, x_self_cond)",
        "unet: forward",
    ),
    Bug(
        "the middle attention replaces its input",
        "networks.unet.Unet.construct",
        "self.mid_attn(x) + x",
        "self.mid_attn(x)",
        "unet: forward",
    ),
    Bug(
        "training tells the network t for t - 1",
        "denoiser.ask",
        "(t - 1).astype",
        "t.astype",
        "gradients: gradients",
    ),
    Bug(
        "the gradient flows through the first estimate",
        "training.training_loss",
        "ops.stop_gradient(estimate)",
        "estimate",
        "gradients: gradients",
    ),
    Bug(
        "every image is shown its estimate",
        "training.training_loss",
        "* self_cond_mask",
        "",
        "gradients: gradients",
    ),
]
