"""What the commands say of themselves, above their options."""

from __future__ import annotations

USAGE = """usage: ddpm-mindspore COMMAND [OPTIONS]

  train    train a diffusion model on images, and draw some
  sample   draw images with a trained model
  status   show where a run is, also while it is trained
  replay   do one update of a run again, to see where a NaN comes from
  parity   prove that this device computes what the reference says
  import   make a run of weights that denoising-diffusion-pytorch trained
  export   write a run's weights as that package reads them
  info     show device, operators, versions and the cache of compiled graphs

ddpm-mindspore COMMAND --help shows a command's options. To begin with:

  ddpm-mindspore train
"""

TRAIN_EXAMPLES = """Train a diffusion model on images, and draw some.

Without options: handwritten digits, a few minutes on two CPU cores.

With --data FOLDER the defaults are those for photographs:
  ddpm-mindspore train --data FOLDER --help

Examples:
  ddpm-mindspore train
  ddpm-mindspore train --data photos --image-size 64 --steps 20000 --results-folder my-run
  ddpm-mindspore train --resume --results-folder my-run --steps 40000
  ddpm-mindspore train --from my-run --data sketches --lr 2e-5 --results-folder my-sketches
"""

SAMPLE_EXAMPLES = """Draw images with a trained model.

Writes each image as PNG, samples.npy (N, C, H, W), uint8, grid.png, and drawn.json: what drew them.

The same seed gives the same pictures, whatever the batch size.

Examples:
  ddpm-mindspore sample results
  ddpm-mindspore sample results --num-samples 100 --sampling-timesteps 250 --seed 7
  ddpm-mindspore sample results --weights trained   (not their average)
  ddpm-mindspore sample results --ema 0.08   (after train --ema-sigma-rels 0.05 0.10)
"""

STATUS = """Show where a run is, also while it is trained in another terminal.

Example:
  ddpm-mindspore status results
"""

PARITY = """Prove that this device computes what the reference says.

Compares every formula, layer, gradient and training step with the NumPy reference on drawn cases.
Exit code 0: all hold; 1: one does not; 2: could not run.

Examples:
  ddpm-mindspore parity
  ddpm-mindspore parity --device Ascend --examples 200 --report my-report
  ddpm-mindspore parity --compare old/report.json
  ddpm-mindspore parity --record trace   (for a device where this cannot be installed)
"""

REPLAY = """Do one update of a run again, to see where a NaN comes from.

Prints the loss of each image, which gradients are not finite, and the first layer whose output is
not. The updates that were left out are in the run's nonfinite.jsonl. Nothing is written.

Example:
  ddpm-mindspore replay results --step 1234
"""

IMPORT = """Make a run of weights that denoising-diffusion-pytorch 2.3.4 trained.

Example:
  ddpm-mindspore import model-10.pt --image-size 64 --results-folder imported
"""

EXPORT = """Write a run's parameters as a file that denoising-diffusion-pytorch 2.3.4 loads.

Example:
  ddpm-mindspore export results
"""

INFO = """Show what training and sampling would run on here, and with which versions.

Example:
  ddpm-mindspore info
"""

TEXTS = {
    "train": TRAIN_EXAMPLES,
    "sample": SAMPLE_EXAMPLES,
    "status": STATUS,
    "replay": REPLAY,
    "parity": PARITY,
    "import": IMPORT,
    "export": EXPORT,
    "info": INFO,
}
"""What each command's help begins with."""
