"""The network of ``painter-scenes`` in ``diffusers`` and ``transformers``: to train, and to paint.

    python tests/benchmarks/peer_texts.py SPECIFICATION FOLDER    (JSON: see texts.py)

paints as ``ddpm-mindspore paint`` does: it builds the network, draws pictures of one text in DDIM
steps with guidance, and writes a PNG file of each. Its parameters are drawn, and its text is ids.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from PIL import Image
from torch.nn import Module
from torch.nn import functional as F  # noqa: N812
from transformers import CLIPTextConfig, CLIPTextModel

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
        attention = network["attention"]
        self.unet = UNet2DConditionModel(
            in_channels=3,
            out_channels=3,
            down_block_types=tuple(
                "CrossAttnDownBlock2D" if there else "DownBlock2D" for there in attention
            ),
            up_block_types=tuple(
                "CrossAttnUpBlock2D" if there else "UpBlock2D" for there in reversed(attention)
            ),
            block_out_channels=tuple(network["dim"] * times for times in network["dim_mults"]),
            layers_per_block=network["blocks"],
            cross_attention_dim=network["context_dim"],
            attention_head_dim=network["heads"],  # its name for their number
            norm_num_groups=network["groups"],
            flip_sin_to_cos=True,
            freq_shift=0,
        )
        for module in self.unet.modules():
            if network["gelu"] == "tanh" and type(module).__name__ == "GEGLU":
                module.gelu = partial(F.gelu, approximate="tanh")  # type: ignore[assignment]
        self.text = CLIPTextModel(
            CLIPTextConfig(
                vocab_size=network["vocabulary"],
                hidden_size=network["context_dim"],
                intermediate_size=4 * network["context_dim"],
                num_hidden_layers=network["text_layers"],
                num_attention_heads=network["text_heads"],
                max_position_embeddings=network["length"],
                hidden_act="quick_gelu",
                pad_token_id=0,
                bos_token_id=0,
                eos_token_id=2,
            )
        )
        self.scheduler = DDIMScheduler(num_train_timesteps=T, clip_sample=True)
        self.vocabulary, self.length = network["vocabulary"], network["length"]

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
