"""Text to image beside ``diffusers``: the digit scenes, trained and painted."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench import HERE, THREADS, Bench, told, training, versus
from rows import Row
from starts import seconds_of

TEXT = "左边是红色的三，右边是蓝色的八"
PICTURES, STEPS = 9, 20

# In a process of its own: importing the package sets variables that the peer would inherit.
PRESET = """
import json
from dataclasses import asdict
from ddpm_mindspore.accelerated.commands.presets import SCENES
from ddpm_mindspore.accelerated.data.texts import texts
from ddpm_mindspore.reference.text.tokenizer import shipped
preset = asdict(SCENES)
preset["network"]["vocabulary"] = shipped().only(texts("scenes")).size
print(json.dumps(preset))
"""

MISSING = "skipped: the peer's environment has no diffusers and transformers"


def text_to_image(bench: Bench) -> Iterator[Row]:
    """The digit scenes: a training step, and one ``paint`` from the shell, beside diffusers."""
    if not bench.peer_has("diffusers", "transformers"):
        yield Row("T", "text to image", failed=MISSING)
        return
    preset = json.loads(told(bench.ours, "-c", PRESET))
    network, size = preset["network"], preset["trainer"]["train_batch_size"]
    spec = training(network, preset["image_size"], size, images=1024, captioned=True)
    measured = bench.compare({"ours": spec, "peer": spec}, 20)
    note = "PyTorch is diffusers' U-Net and transformers' text encoder, with as many parameters."
    what = f"digit scenes: training step, batch {size}"
    yield versus("T", what, measured, None, note)
    yield _painted(bench, network)


def _painted(bench: Bench, network: dict[str, Any]) -> Row:
    rounds = bench.few(3)
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        ours, theirs = Path(folder, "ours"), Path(folder, "theirs")
        command = [bench.program, "paint", TEXT, "--output", str(ours)]
        command += ["--run", "painter-scenes", "--num-samples", str(PICTURES)]
        command += ["--sampler", "ddim", "--sampling-timesteps", str(STEPS)]
        spec = {"network": network, "num_samples": PICTURES, "steps": STEPS}
        script, spoken = str(HERE / "peer_texts.py"), json.dumps(spec | {"threads": int(THREADS)})
        mine = seconds_of(command, rounds)
        peer = seconds_of([bench.peer, script, spoken, str(theirs)], rounds)
    note = f"{PICTURES} pictures in {STEPS} DDIM steps with guidance, the graph compiled before."
    return Row("T", "digit scenes: one paint from the shell", mine, peer, note=note)
