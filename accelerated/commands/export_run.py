"""``ddpm-mindspore export``: a run's weights become a file that another package reads."""

from __future__ import annotations

import shlex

from ...reference.config import TextUnetConfig
from ...reference.config.diffusion import PREDICTIONS
from ..runs.base import read_base
from ..runs.checkpoint import load_newest
from ..runs.folder import RunFolder
from ..runs.names import LORA
from ..runs.vocabulary import TABLE, read_tokenizer
from ..system.say import say
from ..weights.convert import call, export_weights
from ..weights.lora import write_lora
from ..weights.read import PEER
from .exit_codes import DONE
from .options import ExportConfig


def export_run(config: ExportConfig) -> int:
    """Export weights, and say how they are loaded over there."""
    if RunFolder(config.run).config.read().network.lora_rank is not None:
        return _export_factors(config)
    if config.layout is not None:
        raise ValueError(
            f"layout {config.layout!r} is for a run that was trained with --lora-rank: leave it out"
        )
    output = config.run / "weights.safetensors" if config.output is None else config.output
    run, step = export_weights(config.run, output, config.which)
    diffusion, rank = run.diffusion, run.network.rank
    model, kind = ("Unet", "GaussianDiffusion") if rank == 2 else ("Unet1D", "GaussianDiffusion1D")
    size = f"image_size={run.sides}" if rank == 2 else f"seq_length={run.sides[0]}"
    say(
        f"done: {output} ({config.which} of step {step:,}); in {PEER}:\n"
        "  from safetensors.torch import load_file\n"
        f"  model = {call(model, run.network)}\n"
        f"  model.load_state_dict(load_file({str(output)!r}))\n"
        f"  diffusion = {kind}(model, {size}, "
        f"timesteps={diffusion.timesteps}, objective={diffusion.objective!r}, "
        f"beta_schedule={diffusion.beta_schedule!r})"
    )
    if RunFolder(config.run).draws_latents():
        say("It draws latents there, which the run's autoencoder decodes: sample from it here.")
    elif not diffusion.auto_normalize:
        say("It draws there on the scale of training: auto_normalize=False, images.scaling here.")
    if diffusion.objective not in PREDICTIONS:
        say(f"It has no objective {diffusion.objective!r}: sample from this run here.")
    if run.network.learned_variance:
        say("Its GaussianDiffusion takes no learned_variance: sample from this run here.")
    if diffusion.zero_terminal_snr:
        say("Its schedules have no zero_terminal_snr: sample from this run here.")
    return DONE


def _export_factors(config: ExportConfig) -> int:
    """Export what a run has trained to be added to weights, and say how it is painted with."""
    run = RunFolder(config.run)
    network = run.config.read().network
    assert isinstance(network, TextUnetConfig)
    output = run.path / LORA if config.output is None else config.output
    checkpoint = load_newest(run.path, [config.which]).checkpoint
    base, known = read_base(run)
    pieces = read_tokenizer(run).vocabulary.items()
    rows = {piece: base[TABLE][i] for piece, i in pieces if known <= i < len(base[TABLE])}
    layout = config.layout or "mindone"
    write_lora(output, checkpoint.tensors[config.which], network, layout, rows)
    new = f", and the rows of {' '.join(rows)}" if rows else ""
    say(
        f"done: {output} ({config.which} of step {checkpoint.step:,}, rank {network.lora_rank}"
        f"{new}); add it to the weights that it was trained with:\n"
        f"  ddpm-mindspore paint TEXT --lora {shlex.quote(str(output))}"
    )
    return DONE
