"""What low-rank factors (LoRA) are called in files.

There are two tensors for each layer, A (rank, C) and B (O, rank); what is added to the layer's
weight is B A, times alpha / rank where there is an alpha. With L the layer's name here, and D its
name in ``diffusers``:

    mindone     L.lora_down.weight, L.lora_up.weight           MindONE, and the runs of this package
                L.tk_delta_lora_a, L.mindpet_delta_lora_a, _b  MindDiffusion, by MindPet's LoRADense
    diffusers   unet.D.lora_A.weight, unet.D.lora_B.weight     ``diffusers`` with ``peft``
                unet.D.lora.down.weight, ...processor.to_q_lora.down.weight       before it
                lora_unet_D.lora_down.weight, D with _ for .   sd-scripts

Sources: mindspore-lab/mindone, examples/stable_diffusion_v2/ldm/modules/lora.py; mindspore-lab/
minddiffusion, vision/wukong-huahua, with mindpet; huggingface/diffusers, src/diffusers/utils/
state_dict_utils.py. A text encoder's queries, keys and values are one weight here, and three there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ...reference.config import TextUnetConfig
from ...reference.config.wukong import PREFIXES
from ...reference.networks.lora import ATTENTION, DOWN, TEXT_ATTENTION, UP

UNET, TEXT = PREFIXES["unet"], PREFIXES["text_encoder"]

_PAIRS = (
    (DOWN, UP),
    (".lora_A.weight", ".lora_B.weight"),
    (".lora.down.weight", ".lora.up.weight"),
    (".lora_linear_layer.down.weight", ".lora_linear_layer.up.weight"),
    (".tk_delta_lora_a", ".tk_delta_lora_b"),
    (".mindpet_delta_lora_a", ".mindpet_delta_lora_b"),
)


class Place(NamedTuple):
    """Where a pair of factors belongs.

    Attributes:
        weight: the full name of the weight that is added to.
        rows: of it.
        own: what the layer is called here; None for what is a part of a layer.
        theirs: what it is called in ``diffusers``; None for what is several layers there.
    """

    weight: str
    rows: slice
    own: str | None
    theirs: str | None

    def spellings(self) -> Iterator[tuple[str, str, str]]:
        """The names that A, B and alpha may have."""
        layers = [] if self.own is None else [self.own]
        if self.theirs is not None:
            part, _, path = self.theirs.partition(".")
            flat = path.replace(".", "_")
            layers += [self.theirs, path, f"lora_{'unet' if part == 'unet' else 'te'}_{flat}"]
            attention, _, which = path.removesuffix(".0").rpartition(".")
            for start in (f"{part}.", ""):
                old = f"{start}{attention}.processor.{which}_lora"
                yield f"{old}.down.weight", f"{old}.up.weight", f"{old}.alpha"
        for layer in layers:
            yield from ((layer + a, layer + b, f"{layer}.alpha") for a, b in _PAIRS)


def places(config: TextUnetConfig) -> Iterator[Place]:
    """All places of a network where factors may belong: its attention."""
    unet, each = config.unet, config.blocks + 1
    names = [f"input_blocks.{i}.1" for i, s in enumerate(unet.input_stages, 1) if s.attention]
    names += ["middle_block.1"]
    names += [f"output_blocks.{i}.1" for i, s in enumerate(unet.output_stages) if s.attention]
    for name in names:
        way, block, *_ = name.split(".")
        level, j = divmod(int(block) - (way == "input_blocks"), each)
        side = {"input_blocks": f"down_blocks.{level}", "output_blocks": f"up_blocks.{level}"}
        where = f"{side[way]}.attentions.{j}" if way in side else "mid_block.attentions.0"
        for end in ATTENTION:
            weight = f"{name}.transformer_blocks.0{end}"
            own = UNET + weight.removesuffix(".weight")
            theirs = f"unet.{where}.transformer_blocks.0{end.removesuffix('.weight')}"
            yield Place(UNET + weight, slice(None), own, theirs)
    width = config.context_dim
    for i in range(config.text_layers):
        theirs = f"text_encoder.text_model.encoder.layers.{i}.self_attn"
        joined, last = (f"{TEXT}transformer_layer.resblocks.{i}{end}" for end in TEXT_ATTENTION)
        yield Place(joined, slice(None), joined.removesuffix(".weight"), None)
        for k, which in enumerate("qkv"):
            rows = slice(k * width, (k + 1) * width)
            yield Place(joined, rows, None, f"{theirs}.{which}_proj")
        yield Place(last, slice(None), last.removesuffix(".weight"), f"{theirs}.out_proj")
