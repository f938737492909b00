"""Bugs that begin at a size, at a time, or where two options meet; and what becomes of a NaN."""

from __future__ import annotations

from ..planting import Bug

SIZES = [
    Bug(
        "the root of the channels is a float16, which is right for a power of four",
        "networks.operators._gain",
        "math.sqrt(x.shape[1])",
        "round(128.0 * math.sqrt(x.shape[1])) / 128.0",
        "layers: large",
        {"kind": "rms_norm", "dims": (130, 130), "kernels": "stock"},
    ),
    Bug(
        "a norm of more than 256 channels counts 256",
        "kernels.CompiledNormalize.construct",
        "self.normalize(x, g)",
        "self.normalize(x, g) * (min(256, x.shape[1]) / x.shape[1]) ** 0.5",
        "layers: large",
        {"kind": "rms_norm", "dims": (257, 257)},
    ),
    Bug(
        "a norm with SiLU forgets what is beyond 512 pixels",
        "kernels.CompiledNormalizeSilu.construct",
        "self.normalize(x, g, modulation)",
        "self.normalize(ops.concat((x[:, :, :512], 0.0 * x[:, :, 512:]), 2) "
        "if x.shape[2] > 512 else x, g, modulation)",
        "layers: large",
        {"size": (19, 27)},
    ),
    Bug(
        "from the 33rd image on, all are modulated as the first is",
        "kernels.CompiledNormalizeSilu.construct",
        "self.normalize(x, g, modulation)",
        "self.normalize(x, g, modulation if len(modulation) < 33 else ops.concat("
        "(modulation[:32], modulation[:1].broadcast_to(modulation[32:].shape))))",
        "layers: large",
        {"batch": 34, "size": (2, 2)},
    ),
    Bug(
        "times beyond 2,048 begin anew",
        "networks.layers.SinusoidalPosEmb.construct",
        "time.reshape(-1, 1)",
        "(time % 2048.0).reshape(-1, 1)",
        "unet: forward",
        {"time": (3999.0, 0.0)},
    ),
    Bug(
        "dropout is forgotten where an estimate is fed back",
        "networks.unet.Unet.construct",
        "masks = dropout_masks",
        "masks = None if self.has_self_condition else dropout_masks",
        "unet: forward",
        {
            "net": {
                "dim": 4,
                "dim_mults": (1,),
                "channels": 1,
                "self_condition": True,
                "dropout": 0.5,
                "attn_heads": 1,
                "attn_dim_head": 4,
            }
        },
    ),
    Bug(
        "an image is its own estimate where none is given",
        "networks.network.Network.with_estimate",
        "x_self_cond = ops.zeros_like(x)",
        "x_self_cond = x",
        "unet: forward",
        {"self_cond": False},
    ),
]

NOT_FINITE = [
    Bug(
        "a NaN in one image reaches all images",
        "kernels.CompiledNormalize.construct",
        "self.normalize(x, g)",
        "self.normalize(x + 0.0 * x.sum(), g)",
        "alone: not_finite",
        {"kind": "rms_norm"},
    ),
    Bug(
        "a norm takes a NaN for a zero",
        "kernels.CompiledNormalize.construct",
        "self.normalize(x, g)",
        "self.normalize(ops.where(x == x, x, ops.zeros_like(x)), g)",
        "alone: not_finite",
        {"kind": "rms_norm"},
    ),
    Bug(
        "the norm's gradient is that of the images before it",
        "kernels.CompiledNormalize.bprop",
        "self.gradient(x, g, dout)",
        "self.gradient(x.cumsum(0) if x.shape[0] > 4 else x, g, dout)",
        "alone: images",
        {"kind": "rms_norm"},
    ),
]
