"""What denoising-diffusion-pytorch makes of the same digits, for comparison.

    python tests/benchmarks/peer_digits.py --dim 32 --dim-mults 1,2 --steps 2000 --output peer.npy
    python tests/benchmarks/digits_quality.py peer.npy

Needs torch, denoising-diffusion-pytorch 2.3.4 and ema-pytorch, in an environment of their own.
Its network, its diffusion and its moving average are used as they are, in a plain loop instead of
its Trainer, which needs more packages: the same Adam betas (0.9, 0.99), gradient clipping at a
norm of 1 and shuffled epochs; no flips, which would turn digits into something else. Its loss
weights differ from a plain mean square: pred_v is weighted by alpha_bar, pred_x0 by the SNR.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from shipped_digits import Pixels, load_digits

BATCH_OF_SAMPLES = 600


# What the package imports for its Trainer and for FID alone, and the names it takes from there.
UNUSED = {
    "torchvision": ("transforms", "utils"),
    "accelerate": ("Accelerator",),
    "pytorch_fid": (),
    "pytorch_fid.fid_score": ("calculate_frechet_distance",),
    "pytorch_fid.inception": ("InceptionV3",),
}


def import_peer() -> tuple[Any, Any, Any]:
    """Import Unet, GaussianDiffusion and EMA; a stub stands in for each UNUSED that is missing."""
    for name, attributes in UNUSED.items():
        try:
            __import__(name)
        except ImportError:
            sys.modules[name] = types.ModuleType(name)
            for attribute in attributes:
                setattr(sys.modules[name], attribute, object)
    from denoising_diffusion_pytorch.denoising_diffusion_pytorch import GaussianDiffusion, Unet
    from ema_pytorch import EMA

    return Unet, GaussianDiffusion, EMA


def batches(images: Pixels, size: int, seed: int) -> Iterator[Any]:
    """Endless shuffled epochs of float batches in [0, 1]; a batch may span two epochs."""
    rng, queue = np.random.default_rng(seed), np.empty(0, np.int64)
    while True:
        while len(queue) < size:
            queue = np.concatenate([queue, rng.permutation(len(images))])
        yield images[queue[:size]].astype(np.float32) / 255.0
        queue = queue[size:]


def train(options: argparse.Namespace, images: Pixels) -> tuple[Any, list[float]]:
    """Train and return the moving average of the diffusion, and the losses."""
    import torch

    unet, gaussian_diffusion, ema_of = import_peer()
    torch.manual_seed(options.seed)
    network = unet(
        dim=options.dim,
        dim_mults=options.dim_mults,
        channels=images.shape[1],
        attn_heads=options.attn_heads,
        attn_dim_head=options.attn_dim_head,
    )
    diffusion = gaussian_diffusion(
        network,
        image_size=images.shape[2:],
        timesteps=options.timesteps,
        sampling_timesteps=options.sampling_timesteps,
        objective=options.objective,
        beta_schedule=options.beta_schedule,
    )
    ema = ema_of(diffusion, beta=options.ema_decay, update_every=options.ema_update_every)
    adam = torch.optim.Adam(diffusion.parameters(), lr=options.lr, betas=(0.9, 0.99))
    losses = []
    for step, batch in enumerate(batches(images, options.batch_size, options.seed), start=1):
        loss = diffusion(torch.from_numpy(batch))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(diffusion.parameters(), 1.0)
        adam.step()
        adam.zero_grad()
        ema.update()
        losses.append(loss.item())
        if step % 100 == 0:
            print(f"step {step}: loss {np.mean(losses[-100:]):.4f}", file=sys.stderr)
        if step == options.steps:
            return ema.ema_model.eval(), losses
    raise AssertionError("batches never end")


def draw(diffusion: Any, count: int) -> Pixels:
    """Draw ``count`` images, uint8 (count, C, H, W)."""
    parts = []
    for start in range(0, count, BATCH_OF_SAMPLES):
        drawn = diffusion.sample(batch_size=min(BATCH_OF_SAMPLES, count - start))
        parts.append(np.rint(drawn.numpy().clip(0.0, 1.0) * 255.0).astype(np.uint8))
    return np.concatenate(parts)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )

    def numbers(text: str) -> tuple[int, ...]:
        return tuple(int(part) for part in text.split(","))

    parser.add_argument("--dim", type=int, required=True)
    parser.add_argument("--dim-mults", type=numbers, required=True, help="as 1,2,4")
    parser.add_argument("--attn-heads", type=int, default=4)
    parser.add_argument("--attn-dim-head", type=int, default=32)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--ema-decay", type=float, default=0.995)
    parser.add_argument("--ema-update-every", type=int, default=10)
    parser.add_argument("--timesteps", type=int, default=1000)
    parser.add_argument("--sampling-timesteps", type=int, default=None)
    parser.add_argument("--objective", default="pred_v")
    parser.add_argument("--beta-schedule", default="sigmoid")
    parser.add_argument("--num-samples", type=int, default=1797)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=None, help="of torch (default: its own)")
    parser.add_argument("--output", type=Path, required=True, help="an .npy file")
    return parser.parse_args()


def main() -> None:
    """Train, draw, write the .npy and print what was done as JSON."""
    options = parse()
    import torch

    if options.threads:
        torch.set_num_threads(options.threads)
    started = time.perf_counter()
    diffusion, losses = train(options, load_digits()[0])
    trained = time.perf_counter()
    np.save(options.output, draw(diffusion, options.num_samples))
    done = {
        **{name: str(v) if isinstance(v, Path) else v for name, v in vars(options).items()},
        "parameters": sum(p.numel() for p in diffusion.model.parameters()),
        "last_loss": float(np.mean(losses[-100:])),
        "training_seconds": round(trained - started, 1),
        "sampling_seconds": round(time.perf_counter() - trained, 1),
    }
    print(json.dumps(done, indent=2))


if __name__ == "__main__":
    main()
