"""The network of ``painter-scenes`` in ``diffusers`` and ``transformers``: to train, and to paint.

    python tests/benchmarks/peer_texts.py SPECIFICATION FOLDER    (JSON: see texts.py)

paints as ``ddpm-mindspore paint`` does: it builds the network, draws pictures of one text in DDIM
steps with guidance, and writes a PNG file of each. Its parameters are drawn, and its text is ids.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import peer_networks
import torch
from diffusers import DDIMScheduler
from PIL import Image
from torch.nn import Module
from torch.nn import functional as F  # noqa: N812

T = 1000
SIDE = 16
GUIDANCE = 2.0


class Captioned(Module):
    """A U-Net, the text encoder that it reads, and the loss of both.

    Args:
        network: fields of this package's ``TextUnetConfig`` that say what is built.
    """

    channels, image_size = 3, (SIDE, SIDE)

    def __init__(self, network: dict[str, Any]) -> None:
        super().__init__()
        self.vocabulary, self.length = network["vocabulary"], network["length"]
        widths = [network["dim"] * times for times in network["dim_mults"]]
        fields = ("blocks", "heads", "context_dim", "groups", "gelu")
        named = {name: network[name] for name in fields}
        self.unet = peer_networks.unet(3, 3, widths, network["attention"], **named)
        width = network["context_dim"]
        self.text = peer_networks.text_encoder(
            vocabulary=self.vocabulary,
            length=self.length,
            width=width,
            inner=4 * width,
            layers=network["text_layers"],
            heads=network["text_heads"],
            norm_eps=network["text_norm_eps"],
        )
        self.scheduler = DDIMScheduler(num_train_timesteps=T, clip_sample=True)

    def ids(self, count: int) -> torch.Tensor:
        """Texts: what they say makes no difference to how long they take."""
        return torch.randint(0, self.vocabulary, (count, self.length))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """The loss of a batch (B, 3, 16, 16) in [0, 1]."""
        x_0, noise = 2 * images - 1, torch.randn_like(images)
        t = torch.randint(0, T, (len(images),))
        x_t = self.scheduler.add_noise(x_0, noise, t)  # type: ignore[arg-type]
        states = self.text(self.ids(len(images))).last_hidden_state
        return F.mse_loss(self.unet(x_t, t, states).sample, noise)

    def paint(self, count: int, steps: int) -> np.ndarray[Any, Any]:
        """So many pictures of one text, uint8 (count, 16, 16, 3)."""
        # The text and its absence, once each: every picture is of the same.
        states = self.text(self.ids(2)).last_hidden_state.repeat_interleave(count, 0)
        x = torch.randn(count, 3, SIDE, SIDE)
        self.scheduler.set_timesteps(steps)
        for t in self.scheduler.timesteps:
            told, untold = self.unet(torch.cat([x, x]), t, states).sample.chunk(2)
            x = self.scheduler.step(untold + GUIDANCE * (told - untold), int(t), x).prev_sample
        return (x.clamp(-1, 1) * 127.5 + 127.5).byte().permute(0, 2, 3, 1).numpy()


def main() -> None:
    """Paint as the specification says."""
    spec, folder = json.loads(sys.argv[1]), Path(sys.argv[2])
    torch.set_num_threads(spec["threads"])
    folder.mkdir(parents=True, exist_ok=True)
    with torch.no_grad():
        pictures = Captioned(spec["network"]).eval().paint(spec["num_samples"], spec["steps"])
    for number, picture in enumerate(pictures):
        Image.fromarray(picture).save(folder / f"{number:05}.png")


if __name__ == "__main__":
    main()
