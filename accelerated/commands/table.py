"""The commands, a long table: what each says of itself, what it is told and what it does.

Nothing is imported before a command is given: what it needs is named as "module:name", as entry
points are, the module seen from here.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, NamedTuple


class Command(NamedTuple):
    """One command.

    Attributes:
        text: what its help begins with; the first sentence is its line in the list of commands.
        options: the dataclass whose fields are its options.
        run: the function that is given those, and returns an exit code.
        start: a function of the arguments: what options start from, and what ``run`` is told too.
        keeps_graphs: compiled graphs are kept on disk.
    """

    text: str
    options: str
    run: str
    start: str | None = None
    keeps_graphs: bool = False

    @property
    def sentence(self) -> str:
        """What it does, in a line."""
        return self.text[0].lower() + self.text[1:].partition(".\n")[0]


def load(place: str) -> Any:
    """What stands at "module:name"."""
    module, _, name = place.partition(":")
    return getattr(import_module(module, __package__), name)


COMMANDS = {
    "train": Command(
        """Train a diffusion model on images, and draw some.

Without options: handwritten digits, a few minutes on two CPU cores.

With --data FOLDER the defaults are those for photographs, or for recordings (WAV files).

Those of a CSV file are for the lines of a table, with --sequence-length for a series.
  ddpm-mindspore train --data FOLDER --help

Examples:
  ddpm-mindspore train
  ddpm-mindspore train --data photos --image-size 64 --steps 20000 --results-folder my-run
  ddpm-mindspore train --data table.csv --leave-out name --results-folder my-table
  ddpm-mindspore train --resume --results-folder my-run --steps 40000
  ddpm-mindspore train --from my-run --data sketches --lr 2e-5 --results-folder my-sketches
  ddpm-mindspore train --lora-rank 4 --data five-pictures --results-folder my-lora
  ddpm-mindspore train --from wukong --data my-pictures --results-folder my-wukong
""",
        options="..config:RunConfig",
        run=".train:train",
        start=".defaults:start_of_training",
        keeps_graphs=True,
    ),
    "sample": Command(
        """Draw images with a trained model.

Writes each image as PNG, samples.npy (N, C, H, W), uint8, grid.png, and drawn.json: what drew them.

Of a table samples.csv, of recordings WAV files, in the units of the data; and plot.png.

The same seed gives the same pictures, whatever the batch size.

Examples:
  ddpm-mindspore sample results
  ddpm-mindspore sample results --num-samples 100 --sampling-timesteps 250 --seed 7
  ddpm-mindspore sample results --weights trained   (not their average)
  ddpm-mindspore sample results --ema 0.08   (after train --ema-sigma-rels 0.05 0.10)
  ddpm-mindspore sample results --like results/drawn/00003.png   (the same once more)
""",
        options=".options:SampleConfig",
        run=".sample:sample",
        keeps_graphs=True,
    ),
    "paint": Command(
        """Paint what a Chinese text says.

With a model that comes with the program (animals, plants, food and faces, or two coloured
digits: --words shows what they know and how to say it), or with a run that was trained with
captions (--run).

Writes each picture as PNG, samples.npy (N, C, H, W), uint8, grid.png, and drawn.json: what drew
them. What the model has never met, and what it was taught to be told and is not, is named.

Examples:
  ddpm-mindspore paint "立体风格的熊猫，蓝色背景"
  ddpm-mindspore paint --words
  ddpm-mindspore paint "左边是红色的三，右边是蓝色的八"
  ddpm-mindspore paint "上面是黄色的5，下面是绿色的0" --num-samples 4 --guidance 3 --seed 7
  ddpm-mindspore train --data scenes --results-folder my-scenes
  ddpm-mindspore paint "红色的一在蓝色的二的左边" --run my-scenes
  ddpm-mindspore paint "左边是紫色的三" --lora my-lora/lora.safetensors
""",
        options=".paint_options:PaintConfig",
        run=".paint:paint",
        keeps_graphs=True,
    ),
    "inpaint": Command(
        """Paint what a mask hides of a picture.

The picture has the size and the colours of the run's images (or --fit makes it so). The mask is
white where it is to be painted; with --mask alpha that is where the picture is transparent.

Examples:
  ddpm-mindspore inpaint results photo.png --mask mask.png
  ddpm-mindspore inpaint results cut-out.png --mask alpha --jump-repeats 10
  ddpm-mindspore inpaint my-scenes scene.png --mask mask.png --prompt "左边是红色的三"
  ddpm-mindspore inpaint wukong-inpaint photo.png --mask mask.png --prompt "一只猫"
""",
        options=".task_options:InpaintConfig",
        run=".inpaint:inpaint",
        keeps_graphs=True,
    ),
    "super-resolve": Command(
        """Draw the large pictures that a small one may come from.

Any run can do it; one that was trained with train --super-resolve 4 does it best.

Examples:
  ddpm-mindspore super-resolve results small.png
  ddpm-mindspore super-resolve results photo.png --fit --factor 4
""",
        options=".task_options:SuperResolveConfig",
        run=".super_resolve:super_resolve",
        keeps_graphs=True,
    ),
    "restore": Command(
        """Undo noise, blur, or a loss of size or colours.

Examples:
  ddpm-mindspore restore results blurred.png --degradation blur:1.5
  ddpm-mindspore restore results noisy.png --degradation noise --noise 0.2
  ddpm-mindspore restore results old.png --degradation grey --method dps
""",
        options=".task_options:RestoreConfig",
        run=".restore:restore",
        keeps_graphs=True,
    ),
    "edit": Command(
        """Draw a picture anew, the freer the more strength.

Example:
  ddpm-mindspore edit results sketch.png --strength 0.6
""",
        options=".task_options:EditConfig",
        run=".edit:edit",
        keeps_graphs=True,
    ),
    "invert": Command(
        """Find the noise that a picture is drawn from.

Says how well it is drawn from it, and writes noise.npy beside the picture that is drawn.

Example:
  ddpm-mindspore invert results photo.png
""",
        options=".task_options:InvertConfig",
        run=".invert:invert",
        keeps_graphs=True,
    ),
    "interpolate": Command(
        """Draw what lies between two pictures.

Example:
  ddpm-mindspore interpolate results one.png another.png --frames 9
""",
        options=".task_options:InterpolateConfig",
        run=".interpolate:interpolate",
        keeps_graphs=True,
    ),
    "evaluate": Command(
        """Measure how good what a model draws is.

Draws samples and compares them with what the run was trained on: Fréchet and kernel distance,
precision and recall, density and coverage, copies, colours, classes. Beside them stands what two
halves of the real images are from each other, and with --against what unseen ones are.

Writes evaluation.json, closest.png (what may be copied), and keeps the samples: stopped and given
again, it goes on with them.

Examples:
  ddpm-mindspore evaluate results
  ddpm-mindspore evaluate results --against held-out --num-samples 5000
  ddpm-mindspore evaluate results --features inception \\
      --inception-weights pt_inception-2015-12-05-6726825d.pth
""",
        options=".evaluation_options:EvaluateConfig",
        run=".evaluate:evaluate",
        keeps_graphs=True,
    ),
    "status": Command(
        """Show where a run is, also while another terminal trains it.

Example:
  ddpm-mindspore status results
""",
        options=".options:StatusConfig",
        run=".status:status",
    ),
    "report": Command(
        """Show a run as one page, which needs nothing beside itself.

What it draws beside real images, over the steps, and on the way from noise; curves, evaluations,
configuration, and how to go on. Every training ends with one, RUN/report.html, without what the
network has to be asked for: the film strip and the loss at each time.

Examples:
  ddpm-mindspore report results
  ddpm-mindspore report results --no-draw --output page.html   (at once)
""",
        options=".options:ReportConfig",
        run=".report:report",
        keeps_graphs=True,
    ),
    "demo": Command(
        """Draw on a page in the browser, without commands.

Without a run: what a Chinese text says. The page is this machine's own, its address holds a key.
  ddpm-mindspore demo
  ddpm-mindspore demo results
""",
        options=".demo_options:DemoConfig",
        run=".demo:demo",
        keeps_graphs=True,
    ),
    "replay": Command(
        """Do one update of a run again, to see where a NaN comes from.

Prints the loss of each image, which gradients are not finite, and the first layer whose output is
not. The updates that were left out are in the run's nonfinite.jsonl. Nothing is written.

Example:
  ddpm-mindspore replay results --step 1234
""",
        options=".options:ReplayConfig",
        run=".replay:replay",
        keeps_graphs=True,
    ),
    "parity": Command(
        """Prove that this device computes what the reference says.

Compares every formula, layer, gradient and training step with the NumPy reference on drawn cases.
Exit code 0: all hold; 1: one does not; 2: could not run.

Examples:
  ddpm-mindspore parity
  ddpm-mindspore parity --device Ascend --examples 200 --report my-report
  ddpm-mindspore parity --compare old/report.json
  ddpm-mindspore parity --record trace   (for a device where this cannot be installed)
""",
        options="ddpm_mindspore.parity.report.command:ParityConfig",
        run="ddpm_mindspore.parity.report.command:run",
    ),
    "import": Command(
        """Make a run of what denoising-diffusion-pytorch 2.3.4 has trained.

Or of the published Chinese weights, Wukong-Huahua, which paints then.

Examples:
  ddpm-mindspore import model-10.pt --image-size 64 --results-folder imported
  ddpm-mindspore import wukong-huahua-ms.ckpt --results-folder wukong
  ddpm-mindspore paint "城市夜景 赛博朋克" --run wukong --num-samples 1
""",
        options=".options:ImportConfig",
        run=".import_run:import_run",
    ),
    "export": Command(
        """Write a run's weights for denoising-diffusion-pytorch 2.3.4.

Of a run that was trained with --lora-rank what it adds, for paint --lora, MindONE or diffusers.

Examples:
  ddpm-mindspore export results
  ddpm-mindspore export my-lora --layout diffusers
""",
        options=".options:ExportConfig",
        run=".export_run:export_run",
    ),
    "info": Command(
        """Show device, operators, versions and the cache of graphs.

Example:
  ddpm-mindspore info
""",
        options=".options:InfoConfig",
        run=".info:info",
    ),
}


def usage() -> str:
    """What is shown without a command: all of them, each in a line."""
    commands = "\n".join(f"  {name:13} {command.sentence}" for name, command in COMMANDS.items())
    return f"""usage: ddpm-mindspore COMMAND [OPTIONS]

{commands}

ddpm-mindspore COMMAND --help shows a command's options. To begin with:

  ddpm-mindspore train"""
