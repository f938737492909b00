"""Bugs in the networks over sequences and vectors, and in what is convolved along sequences."""

from __future__ import annotations

from ..planting import Bug

SHAPES = [
    Bug(
        "the kernel of a sequence is turned around",
        "networks.convolutions.Conv1d.construct",
        "self.weight.reshape(dim_out, dim, 1, kernel)",
        "ops.flip(self.weight, (2,)).reshape(dim_out, dim, 1, kernel)",
        "layers: conv1d",
    ),
    Bug(
        "sequences are halved one place too late",
        "networks.convolutions.Conv1d.construct",
        "x.reshape(batch, dim, 1, length), weight",
        "(x if kernel % 2 else ops.concat((x[:, :, 1:], x[:, :, :1]), 2))"
        ".reshape(batch, dim, 1, length), weight",
        "layers: conv1d",
    ),
    Bug(
        "a sequence is enlarged by being said twice",
        "networks.layers.upsample_nearest",
        "ops.matmul(x.reshape(-1, 1), ops.ones((1, 2), x.dtype))",
        "ops.concat((x, x), 2)",
        "networks: sequences",
    ),
    Bug(
        "attention over sequences has no norm before it",
        "networks.unet1d.PreNorm.construct",
        "self.fn(cast(self.norm(x), x.dtype))",
        "self.fn(x)",
        "networks: sequences",
    ),
    Bug(
        "attention over sequences has no way around it",
        "networks.unet1d.Residual.construct",
        "self.fn(x) + x",
        "self.fn(x)",
        "networks: sequences",
    ),
    Bug(
        "the middle of the U-Net over sequences attends to nothing",
        "networks.unet1d.Unet1D.construct",
        "self.mid_attn(self.mid_block1(x, t, masks[0]))",
        "self.mid_block1(x, t, masks[0])",
        "networks: sequences",
    ),
    Bug(
        "all blocks over vectors drop what the first one drops",
        "networks.mlp.Mlp.construct",
        "masks = masks[1:]",
        "masks = masks",
        "networks: vectors",
    ),
    Bug(
        "the time reaches vectors without its SiLU",
        "networks.network.Network.embedded",
        "return ops.silu(t)",
        "return t",
        "networks: vector_gradients",
    ),
    Bug(
        "vectors are shown themselves as the estimate of x_0",
        "networks.network.Network.with_estimate",
        "ops.concat((x_self_cond, x), 1)",
        "ops.concat((x, x), 1)",
        "networks: vectors",
    ),
]
