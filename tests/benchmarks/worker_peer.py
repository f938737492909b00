"""Trains or samples with denoising-diffusion-pytorch 2.3.4, when it is told to.

    python tests/benchmarks/worker_peer.py SPECIFICATION     (JSON: see workloads.py)

Or multiplies matrices with PyTorch; or what its networks are in diffusers or OpenVINO.

Its Trainer reads image files only. The training step here is made of the parts that its Trainer
uses, in that order, on an array: its diffusion's loss, backward, clip_grad_norm_, torch's Adam and
ema-pytorch's moving average, and the loss read at every step.
"""

from __future__ import annotations

import inspect
import json
import sys
import time
from typing import Any

import numpy as np
from peer_digits import batches, import_peer
from serving import Pipe, serve

THREADS = 2
SIDE = 4096


def make(spec: dict[str, Any]) -> tuple[Any, int]:
    """The diffusion, and how many parameters it has."""
    if spec.get("captioned"):
        from peer_texts import Captioned

        captioned = Captioned(spec["unet"])
        return captioned, sum(p.numel() for p in captioned.parameters())
    unet, gaussian_diffusion, _ = import_peer()
    known = inspect.signature(unet).parameters
    network = unet(**{name: value for name, value in spec["unet"].items() if name in known})
    # Fewer steps than T: its sampler is then DDIM, and takes as many steps as it is told to.
    options = {"sampling_timesteps": 50, **spec["diffusion"]}
    diffusion = gaussian_diffusion(network, image_size=spec["image_size"], **options)
    if spec.get("channels_last"):
        import torch

        network.to(memory_format=torch.channels_last)
    if spec.get("compile"):
        network.compile()
    parameters = sum(p.numel() for p in network.parameters())
    if precision := spec.get("openvino"):
        diffusion.model = in_openvino(diffusion, spec["batch_size"], precision)
    return diffusion, parameters


def in_openvino(diffusion: Any, batch_size: int, precision: str) -> Any:
    """Its network, computed by OpenVINO for batches of this size."""
    import openvino
    import torch

    shape = (batch_size, diffusion.channels, *diffusion.image_size)
    example = (torch.randn(shape), torch.zeros(batch_size, dtype=torch.long))
    options = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": THREADS}
    converted = openvino.convert_model(diffusion.model.eval(), example_input=example)
    converted.reshape({0: list(shape), 1: [batch_size]})
    compiled = openvino.Core().compile_model(converted, "CPU", options)

    class Network(torch.nn.Module):
        def forward(self, x: Any, t: Any, x_self_cond: Any = None) -> Any:
            return torch.from_numpy(compiled([x.numpy(), t.numpy()])[0])

    return Network()


def half(spec: dict[str, Any]) -> Any:
    """Within it bfloat16 is computed in, where PyTorch thinks that it may, if it is asked for."""
    import torch

    return torch.autocast("cpu", torch.bfloat16, enabled=spec.get("autocast", False))


def train(spec: dict[str, Any], pipe: Pipe) -> None:
    """Train until the parent hangs up."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    diffusion, parameters = make(spec)
    options = spec["trainer"]
    ema = import_peer()[2](
        diffusion,
        beta=options["ema_decay"],
        update_every=options["ema_update_every"],
        update_after_step=0,
    )
    adam = torch.optim.Adam(diffusion.parameters(), lr=options["train_lr"], betas=(0.9, 0.99))
    shape = (spec["images"], diffusion.channels, *diffusion.image_size)
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    feed = batches(images, options["train_batch_size"], seed=0)

    def step() -> None:
        with half(spec):
            loss = diffusion(torch.from_numpy(next(feed)))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(diffusion.parameters(), 1.0)
        adam.step()
        adam.zero_grad()
        ema.update()
        loss.item()

    def block(steps: int) -> float:
        step()  # to be where a loop that runs is
        begin = time.perf_counter()
        for _ in range(steps):
            step()
        return time.perf_counter() - begin

    counted = {}
    if spec.get("count"):
        with FlopCounterMode(display=False) as counter:
            step()
        counted["flops"] = counter.get_total_flops()
    serve(pipe, parameters, block, **counted)


def multiply(spec: dict[str, Any], pipe: Pipe) -> None:
    """Multiply two matrices; a step is one floating-point operation of it."""
    import torch

    a, b = torch.randn(2, SIDE, SIDE, dtype=getattr(torch, spec.get("dtype", "float32")))
    out = torch.empty_like(a)

    def block(steps: int) -> float:
        torch.mm(a, b, out=out)
        times = []
        for _ in range(3):
            begin = time.perf_counter()
            torch.mm(a, b, out=out)
            times.append(time.perf_counter() - begin)
        return min(times) / (2 * SIDE**3) * steps

    serve(pipe, 0, block)


def sample(spec: dict[str, Any], pipe: Pipe) -> None:
    """Draw ``num_samples`` images by DDIM in as many steps as the parent says."""
    diffusion, parameters = make(spec)
    diffusion.eval()

    def block(steps: int) -> float:
        diffusion.sampling_timesteps = steps
        count, size = spec["num_samples"], spec["batch_size"]
        begin = time.perf_counter()
        with half(spec):
            for start in range(0, count, size):
                diffusion.sample(batch_size=min(size, count - start)).float().numpy()
        return time.perf_counter() - begin

    serve(pipe, parameters, block)


def main() -> None:
    """Do what the specification says."""
    import torch

    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    spec = json.loads(sys.argv[1])
    if precision := spec.get("conv_precision"):
        torch.backends.mkldnn.conv.fp32_precision = precision  # type: ignore[attr-defined]
    tasks = {"train": train, "sample": sample, "product": multiply}
    tasks[spec["task"]](spec, Pipe())


if __name__ == "__main__":
    main()
