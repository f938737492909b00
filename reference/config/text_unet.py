"""The configuration of a text encoder and the U-Net that reads its states."""

from __future__ import annotations

from dataclasses import dataclass

from .latent_unet import LatentUnetConfig
from .network import at_least_1
from .transformer import TransformerConfig


@dataclass(frozen=True)
class TextUnetConfig(LatentUnetConfig):
    """Shape of the U-Net of latent diffusion together with the text encoder that it reads.

    Both are trained together, unless the encoder is frozen. The states that the U-Net is told are
    as wide as the encoder, ``context_dim``.

    Attributes:
        vocabulary: rows of the token table; ids are less than this (default, in training: as many
            as the data's captions need).
        length: pieces of a text, at most, with the marks of its beginning and end.
        text_layers: blocks of the text encoder.
        text_heads: its attention heads. They divide ``context_dim``.
        text_norm_eps: what its layer norms add to the variance.
        cond_drop_prob: share of items whose caption it is not told in training, so that it can be
            guided (arXiv 2207.12598).
        lora_rank: train a product of this rank, at most ``largest_rank``, that is added to each
            weight of attention, and nothing else (LoRA, arXiv 2106.09685).
        lora_alpha: times this over lora_rank it is added (default: lora_rank, which is once).
        lora_text_encoder: adapt the text encoder's attention too, which else stays as it is.
        freeze_text_encoder: leave the text encoder as it is, without a lora_rank too.

    Raises:
        ValueError: a value that no network can be built from; the message names it.
    """

    vocabulary: int | None = None
    length: int = 32
    text_layers: int = 2
    text_heads: int = 4
    text_norm_eps: float = 1e-5
    cond_drop_prob: float = 0.1
    lora_rank: int | None = None
    lora_alpha: float | None = None
    lora_text_encoder: bool = False
    freeze_text_encoder: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least_1(self, "vocabulary", "text_layers", "text_heads", "lora_rank")
        if self.length < 2:
            raise ValueError(f"length {self.length} must be at least 2: a text has two marks")
        if self.context_dim % self.text_heads:
            raise ValueError(
                f"text_heads {self.text_heads} must divide context_dim {self.context_dim}"
            )
        if not self.text_norm_eps > 0:
            raise ValueError(f"text_norm_eps {self.text_norm_eps} must be positive")
        if self.lora_alpha is not None and not self.lora_alpha > 0:
            raise ValueError(f"lora_alpha {self.lora_alpha} must be positive")
        if self.lora_rank is not None and self.lora_rank > self.largest_rank:
            raise ValueError(
                f"lora_rank {self.lora_rank} is more than any matrix has that it is added to: at "
                f"most {self.largest_rank}"
            )
        if self.lora_rank is None and (self.lora_alpha is not None or self.lora_text_encoder):
            raise ValueError("lora_alpha and lora_text_encoder need a lora_rank: give that too")

    @property
    def largest_rank(self) -> int:
        """Of the weights of attention that factors are added to: the most that a lora_rank is."""
        widths = [stage.dim_out for stage in self.input_stages if stage.attention]
        return max(*widths, self.widths[-1], self.context_dim * self.lora_text_encoder)

    @property
    def lora_scale(self) -> float:
        """What the product of two factors is multiplied by: lora_alpha / lora_rank."""
        if self.lora_rank is None or self.lora_alpha is None:
            return 1.0
        return self.lora_alpha / self.lora_rank

    @property
    def text_is_frozen(self) -> bool:  # type: ignore[override]
        """Whether the text encoder stays as it is."""
        if self.lora_rank is None:
            return self.freeze_text_encoder
        return not self.lora_text_encoder

    @property
    def text(self) -> TransformerConfig:
        """The text encoder.

        Raises:
            ValueError: it is not known how many rows its token table has.
        """
        if self.vocabulary is None:
            raise ValueError(
                "vocabulary is missing: say how many pieces there are (Tokenizer.size)"
            )
        return TransformerConfig(
            vocabulary=self.vocabulary,
            length=self.length,
            width=self.context_dim,
            layers=self.text_layers,
            heads=self.text_heads,
            norm_eps=self.text_norm_eps,
        )

    @property
    def unet(self) -> LatentUnetConfig:
        """The U-Net."""
        own = LatentUnetConfig.__dataclass_fields__
        return LatentUnetConfig(**{name: getattr(self, name) for name in own})
