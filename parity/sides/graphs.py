"""Which operators the compiled graphs are made of.

The graphs are those that MindSpore's front end hands to the backend of the device: after
differentiation and optimisation, before the backend chooses kernels. The U-Net, with its options
on, is trained, which applies and differentiates it; sampling steps, the other losses and
micro-batches add no more than a small network shows. Mixed precision is looked at in float16,
at the level with the most of it, with one layer of each kind; bfloat16 takes the same operators,
and cannot be compiled where the device lacks it.
"""

from __future__ import annotations

# First, since it prepares the environment that MindSpore reads when it is imported.
from ...accelerated.system import runtime as _runtime  # noqa: F401

# isort: split
from collections.abc import Callable

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops
from mindspore.graph.api import JitExecutor_, ms_compile_cache
from mindspore.train.anf_ir_pb2 import ModelProto

from ...accelerated.batch import MicroBatch
from ...accelerated.config import TrainerConfig
from ...accelerated.degradations import on_device
from ...accelerated.denoiser import clipped, denoiser, within
from ...accelerated.guidance import classifier_step, guided_step
from ...accelerated.networks import blocks
from ...accelerated.networks.attention import Attention, LinearAttention
from ...accelerated.networks.autoencoder import LOG_VARIANCE, kl, sample
from ...accelerated.networks.conditioning import SpatialTransformer
from ...accelerated.networks.convolutions import Conv1d, Conv2d, Linear
from ...accelerated.networks.efficientnet import EfficientNet
from ...accelerated.networks.inception import Prepare, Way
from ...accelerated.networks.layers import (
    Downsample,
    RandomOrLearnedSinusoidalPosEmb,
    ResnetBlock,
    SinusoidalPosEmb,
    Upsample,
    gelu,
)
from ...accelerated.networks.transformer import Transformer
from ...accelerated.networks.unet import Unet
from ...accelerated.networks.unet1d import PreNorm, Residual
from ...accelerated.optimizer import Optimizer, step_scalars
from ...accelerated.precision import set_precision
from ...accelerated.samplers import sampling_step
from ...accelerated.samplers.plan import MEMORY
from ...accelerated.tasks.posterior_sampling import posterior_step
from ...accelerated.tasks.restoration import restoration_step
from ...accelerated.thresholding import limit_of
from ...accelerated.training import TrainStep, training_loss
from ...reference.config import LatentUnetConfig
from ...reference.config.efficientnet import EfficientNetConfig, Stage
from ...reference.config.inception import InceptionConfig
from ...reference.degradations import degradation
from . import device

SHAPE = (2, 1, 4, 4)


def operators() -> dict[str, frozenset[str]]:
    """The operator types in each of GRAPHS, by its name; all of them are compiled, about 20 s."""
    return {name: operators_of(build) for name, build in GRAPHS.items()}


def operators_of(build: Callable[[], object]) -> frozenset[str]:
    """The operator types in the graphs that are compiled while ``build()`` runs."""
    before = set(ms_compile_cache)
    with device.kernels("stock"):  # a card has no others
        build()
    return frozenset().union(*map(_types, ms_compile_cache - before))


def _types(phase: str) -> frozenset[str]:
    model = ModelProto()
    model.ParseFromString(JitExecutor_.get_instance().get_func_graph_proto(phase, "anf_ir", True))
    return frozenset(node.op_type for node in model.graph.node)


def _unet() -> Unet:
    """Every layer but one embedding, dropout, classes, an estimate that is read, a variance."""
    return Unet(
        dim=4,
        dim_mults=(1, 2),
        channels=1,
        self_condition=True,
        learned_variance=True,
        learned_sinusoidal_cond=True,
        dropout=0.1,
        attn_heads=1,
        attn_dim_head=2,
        num_classes=2,
    )


class _OneOfEach(nn.Cell):
    """Every layer once, one after the other."""

    def __init__(self) -> None:
        super().__init__()
        rng = np.random.default_rng(0)
        self.embedding = RandomOrLearnedSinusoidalPosEmb(rng, 4, learned=True)
        self.linear = Linear(rng, 5, 4)
        self.layers = nn.CellList(
            [
                Conv2d(rng, 1, 2, 7),
                ResnetBlock(rng, 2, 4, 4),
                Downsample(rng, 4, 4),
                LinearAttention(rng, 4, 1, 2),
                Attention(rng, 4, 1, 2),
                Upsample(rng, 4, 1),
            ]
        )

    def construct(self, x, time, x_self_cond=None, dropout_masks=None):  # type: ignore[no-untyped-def]
        time = ops.silu(gelu(self.linear(self.embedding(time))))
        x = self.layers[1](self.layers[0](x), time)
        for layer in self.layers[2:]:
            x = layer(x)
        return x


class _SequencesAndVectors(nn.Cell):
    """Every layer of the networks over both once, one after the other; an image is read as both."""

    def __init__(self) -> None:
        super().__init__()
        rng = np.random.default_rng(0)
        self.time = Linear(rng, 1, 4)
        self.first = Conv1d(rng, 1, 2, 7)
        self.halve = Conv1d(rng, 2, 2, 4, stride=2)
        self.block = ResnetBlock(rng, 2, 4, 4, rank=1)
        self.linear = Residual(PreNorm(4, LinearAttention(rng, 4, 1, 2, rank=1)))
        self.attention = Residual(PreNorm(4, Attention(rng, 4, 1, 2, rank=1)))
        self.double = Upsample(rng, 4, 1, rank=1)
        self.vector = Linear(rng, 16, 4)
        self.vector_block = ResnetBlock(rng, 4, 16, 4, rank=0)

    def construct(self, image, time, x_self_cond=None, dropout_masks=None):  # type: ignore[no-untyped-def]
        time = ops.silu(self.time(time.reshape(-1, 1)))
        x = self.block(self.halve(self.first(image.reshape(image.shape[0], 1, -1))), time)
        x = self.double(self.attention(self.linear(x)))
        v = self.vector_block(self.vector(image.reshape(image.shape[0], -1)), time)
        return (x.reshape(v.shape) + v).reshape(image.shape)


class _Small(nn.Cell):
    """A convolution, and the time embedding that the other network has not."""

    def __init__(self, out_channels: int = 1) -> None:
        super().__init__()
        rng = np.random.default_rng(0)
        self.conv = Conv2d(rng, 1, out_channels, 3)
        self.embedding = SinusoidalPosEmb(4, 10000.0)
        self.linear = Linear(rng, 4, 1)

    def construct(self, x, time, x_self_cond=None, dropout_masks=None):  # type: ignore[no-untyped-def]
        return self.conv(x) + self.linear(self.embedding(time)).reshape(-1, 1, 1, 1)


class _Painting(nn.Cell):
    """Every part of the networks that paint from text once, one after the other."""

    def __init__(self) -> None:
        super().__init__()
        values = blocks.drawn(np.random.default_rng(0))
        config = LatentUnetConfig(
            dim=4, dim_mults=(1,), heads=1, context_dim=2, groups=2, gelu="tanh"
        )
        self.text = Transformer(vocabulary=3, length=2, width=2, layers=1, heads=1)
        self.time = blocks.TimeEmbedding(4)
        self.halve = blocks.HalvingConv(values, "a", 4, before=1)
        self.read = SpatialTransformer(values, "b", 4, config)
        self.double = blocks.DoublingConv(values, "c", 4)
        self.end = blocks.NormSiluConv(values, ("d", "e"), 4, 4, 2, 1e-5)

    def construct(self, x, time, ids, noise):  # type: ignore[no-untyped-def]
        x = self.read(self.halve(x), self.text(ids)) + self.time(time).reshape(-1, 4, 1, 1)
        x = self.end(self.double(x))
        moments = ops.concat((x[:, :2], ops.clamp(x[:, 2:], *LOG_VARIANCE)), 1)
        return sample(moments, noise).sum() + kl(moments).sum()


def _features() -> None:
    """What images are compared by: EfficientNet, and each kind of way through Inception."""
    small, lite = InceptionConfig(16), EfficientNetConfig(2, (Stage(2, 3, 2, 2, 2),), 3)
    params = {n: np.ones(s, np.float32) for n, s in (lite.tensors | small.shapes).items()}
    network, prepare = EfficientNet(lite, params), Prepare((4, 4), (9, 9))
    ways = [Way(params, small.blocks[i][-1]) for i in (1, 3, 6, -1)]

    def features(image, inputs):  # type: ignore[no-untyped-def]
        return network(image), prepare(image), [way(x) for way, x in zip(ways, inputs)]  # noqa: B905

    images = (np.zeros((1, n, 9, 9), np.float32) for n in (2, 4, 12, 128))
    ms.jit(features)(Tensor(np.zeros((1, 3, 4, 4), np.float32)), tuple(map(Tensor, images)))


def _painting() -> None:
    network = _Painting()
    gradient = ms.value_and_grad(network, None, network.trainable_params())

    def step(x, time, ids, noise):  # type: ignore[no-untyped-def]
        return gradient(x, time, ids, noise)

    image, time = np.zeros((2, 4, 4, 4), np.float32), np.ones(2, np.float32)
    ids = np.zeros((2, 2), np.int32)
    ms.jit(step)(*map(Tensor, (image, time, ids, image[:, :2])))


def _sampling() -> None:
    """With a learned variance, which is one more factor and a few more operators."""
    step = ms.jit(sampling_step(clipped(denoiser(_Small(2), variance=True))))
    image = Tensor(np.zeros(SHAPE, np.float32))
    factors = ms.mutable(tuple(Tensor(0.5, ms.float32) for _ in range(5 + MEMORY + 1)))
    registers = ms.mutable((image,) * MEMORY)
    step(image, Tensor(_levels()), image, None, image, registers, factors)


def _guided() -> None:
    """Both kinds of guidance: two estimates asked for at once, and one with a gradient."""
    image, predict = Tensor(np.zeros(SHAPE, np.float32)), denoiser(_Small())
    factors = ms.mutable(tuple(Tensor(0.5, ms.float32) for _ in range(5)))
    numbers = ms.mutable(tuple(Tensor(0.5, ms.float32) for _ in range(5)))
    given = (image, Tensor(_levels()), image, None, image, (), factors)
    ms.jit(guided_step(predict, within))(*given, image, numbers, None)
    ms.jit(classifier_step(predict, within))(*given, Tensor(1.0, ms.float32), image)


def _thresholded() -> None:
    """What squeezes estimates by a share of their values."""
    ms.jit(limit_of(True, 0.9))(Tensor(np.zeros(SHAPE, np.float32)))


def _tasks() -> None:
    """What puts in what is known, and what follows the gradient of a misfit by x_t."""
    image, predict = Tensor(np.zeros(SHAPE, np.float32)), clipped(denoiser(_Small()))
    known = on_device(degradation("blur:1", SHAPE[1:]))
    factors = ms.mutable(tuple(Tensor(0.5, ms.float32) for _ in range(4)))
    given = (image, Tensor(_levels()), image, None, image, image)
    ms.jit(restoration_step(predict))(*given, known.singular, known.bases, factors)
    ms.jit(posterior_step(predict))(*given, known.singular, known.bases, factors)


def _training(
    network: Callable[[], nn.Cell],
    loss_type: str,
    micro_batches: int,
    level: str = "O0",
) -> Callable[[], None]:
    def build() -> None:
        model = network()
        set_precision(model, level, "float16")
        self_condition = getattr(model, "has_self_condition", False)
        loss = training_loss(model, loss_type, self_condition)
        options = TrainerConfig(
            train_lr=1e-3, ema_decay=0.9, ema_update_every=1, ema_update_after_step=0
        )
        optimizer = Optimizer(model.trainable_params(), options)
        step = TrainStep(loss, optimizer, micro_batches, scaled=level != "O0")
        step([_batch(model)] * micro_batches, step_scalars(1, options))

    return build


def _levels() -> device.Array:
    return device.levels(("linear", 30, False), np.array([1, 3], np.int32))


def _batch(model: nn.Cell) -> MicroBatch:
    zeros, masks, told = np.zeros(SHAPE, np.float32), None, None
    if isinstance(model, Unet):
        told = np.array([0, 2], np.int32)
        shapes = model.dropout_shapes(SHAPE[2:])
        masks = [np.ones((SHAPE[0], *shape), np.bool_) for shape in shapes]
    t, shown = np.array([1, 3], np.int32), np.array([True, False])
    return MicroBatch(zeros, t, zeros, shown, masks, told, _levels())


GRAPHS: dict[str, Callable[[], None]] = {
    "sampling step": _sampling,
    "sampling step, thresholded": _thresholded,
    "sampling step, guided": _guided,
    "steps of tasks": _tasks,
    "training step": _training(_unet, "l2", 1),
    "training step, mixed precision": _training(_OneOfEach, "l2", 1, "O3"),
    "training step, l1, accumulated": _training(_Small, "l1", 2),
    "training step, huber, accumulated": _training(_Small, "huber", 2),
    "training step, from text": _painting,
    "features of images": _features,
    "training step, sequences and vectors": _training(_SequencesAndVectors, "l2", 1),
}
"""What is compiled, by name: a function that compiles it."""

COSTLY = tuple(n for n in GRAPHS if n.startswith("training") and "accumulated" not in n)
"""Those that take longer to compile than all others: steps that train more than a small network."""
