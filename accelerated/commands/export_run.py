"""``ddpm-mindspore export``: a run's weights become a file that another package reads."""

from __future__ import annotations

from ...reference.config.diffusion import PREDICTIONS
from ..system.say import say
from ..weights.convert import call, export_weights
from ..weights.read import PEER
from .exit_codes import DONE
from .options import ExportConfig


def export_run(config: ExportConfig) -> int:
    """Export weights, and say how they are loaded over there."""
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
    if not diffusion.auto_normalize:
        say("It draws there on the scale of training: auto_normalize=False, images.scaling here.")
    if diffusion.objective not in PREDICTIONS:
        say(f"It has no objective {diffusion.objective!r}: sample from this run here.")
    if run.network.learned_variance:
        say("Its GaussianDiffusion takes no learned_variance: sample from this run here.")
    if diffusion.zero_terminal_snr:
        say("Its schedules have no zero_terminal_snr: sample from this run here.")
    return DONE
