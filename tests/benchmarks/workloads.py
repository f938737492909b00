"""What is measured: one function for each workload, which yields rows."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from bench import HERE, NETWORK_A, NETWORK_C, Bench, memory, sampling, told, training, versus
from others import openvino, share_of_peak
from rows import Row, show, slope
from starts import first_steps, seconds_of, waiting
from strongest import strongest
from texts import text_to_image

NETWORK_D = {"dim": 32, "dim_mults": [1, 2], "channels": 3}

# Per pixel, as the number of pixels grows: what noise may make of a flat line.
FLAT = 0.05
# A trainer that waits for data would lose more than this share of its time.
NO_WAIT = 0.02

STOCK = "Stock operators in the place of ours, custom ones in the place of PyTorch's."

# In a process of its own: importing the package sets variables that the peer would inherit.
PRESET = """
import json
from dataclasses import asdict
from ddpm_mindspore.accelerated.config import DIGITS
print(json.dumps(asdict(DIGITS)))
"""
DIGITS_SAMPLES, DIGITS_BATCH, DIGITS_STEPS = 1797, 599, 10
FEEDING_STEPS = 100


def a_training(bench: Bench) -> Iterator[Row]:
    """The training step of A; its memory is G, while the graph is compiled and where it was."""
    spec = training(NETWORK_A, 32, 8)
    sides = {"ours": spec, "peer": spec}
    if bench.both_kernels:
        sides["stock"] = spec
    measured = bench.compare(sides, 5)
    yield versus("A", "training step, batch 8", measured, 0.6)
    seconds = measured.seconds
    if "stock" in seconds:
        what = "training step, batch 8, stock operators"
        yield Row("A", what, seconds["stock"], seconds["ours"], note=STOCK)
    yield memory("G", "peak memory of A's training", measured, 1.15)
    with tempfile.TemporaryDirectory() as folder:
        kept = {"ours": spec | {"compile_cache": folder}}
        bench.compare(kept, 1)
        again = bench.compare(kept, 1)
    what = "the same, with a graph that was compiled before"
    note = "As the command finds it from its second run on."
    yield Row("G", what, [again.peak["ours"]], [measured.peak["peer"]], "bytes", 0.9, note)


def a_sampling(bench: Bench) -> Iterator[Row]:
    """The sampling step of A."""
    for batch_size, steps, limit in ((8, 10, 0.55), (1, 25, 0.75)):
        spec = sampling(NETWORK_A, 32, batch_size)
        sides = {"ours": spec, "peer": spec}
        if bench.both_kernels:
            sides["stock"] = spec
        measured = bench.compare(sides, steps)
        yield versus("A", f"sampling step, batch {batch_size}", measured, limit)
        if stock := measured.seconds.get("stock"):
            what = f"sampling step, batch {batch_size}, stock operators"
            yield Row("A", what, stock, measured.seconds["ours"], note=STOCK)


def b_digits(bench: Bench) -> Iterator[Row]:
    """The model that ``ddpm-mindspore train`` trains without options."""
    preset = json.loads(told(bench.ours, "-c", PRESET))
    unet, image_size, trainer = preset["network"], preset["image_size"], preset["trainer"]
    batch_size = trainer["train_batch_size"]
    kept = ("train_batch_size", "train_lr", "ema_decay", "ema_update_every")
    trainer = {name: trainer[name] for name in kept}
    spec = training(unet, image_size, batch_size, trainer=trainer, images=1797)
    measured = bench.compare({"ours": spec, "peer": spec}, 40)
    yield versus("B", f"digits: training step, batch {batch_size}", measured, 0.5)

    spec = sampling(unet, image_size, 1)
    measured = bench.compare({"ours": spec, "peer": spec}, 40)
    note = "Small tensors: what it costs to start operators, rather than what they compute."
    yield versus("B", "digits: sampling step, batch 1", measured, 0.8, note)

    spec = sampling(unet, image_size, DIGITS_BATCH, num_samples=DIGITS_SAMPLES)
    measured = bench.compare({"ours": spec, "peer": spec}, DIGITS_STEPS)
    note = f"For one DDIM step of all of them, in batches of {DIGITS_BATCH}."
    yield versus("B", f"digits: {DIGITS_SAMPLES:,} samples, each step", measured, 0.35, note)


def c_larger(bench: Bench) -> Iterator[Row]:
    """Four levels and larger images."""
    spec = training(NETWORK_C, 64, 4)
    measured = bench.compare({"ours": spec, "peer": spec}, 2)
    yield versus("C", "four levels, 64x64, batch 4: training step", measured, 0.7)
    yield memory("C", "peak memory of it", measured, None)


def d_sizes(bench: Bench) -> Iterator[Row]:
    """Cost per pixel as images or batches grow: the exponent of a power law."""
    shapes = [(16, 8), (32, 8), (64, 8), (32, 1), (32, 32)]
    cost, found = {}, {}
    for size, batch_size in shapes:
        pixels = size * size * batch_size
        spec = training(NETWORK_D, size, batch_size)
        measured = bench.compare({"ours": spec}, min(80, max(2, 80_000 // pixels)))
        cost[size, batch_size] = [seconds / pixels for seconds in measured.seconds["ours"]]
        found[f"{size}x{size}, batch {batch_size}"] = show(cost[size, batch_size], "s")
    note = "Seconds per pixel: " + "; ".join(f"{k} {v}" for k, v in found.items()) + "."
    for what, kept in (
        ("16, 32, 64 pixels, batch 8", shapes[:3]),
        ("32 pixels, batch 1, 8, 32", [shapes[3], shapes[1], shapes[4]]),
    ):
        pixels_of = [size * size * batch_size for size, batch_size in kept]
        rounds = zip(*(cost[shape] for shape in kept), strict=True)
        slopes = [slope(pixels_of, costs) for costs in rounds]
        what = f"cost per pixel of a training step, {what}: exponent"
        yield Row("D", what, slopes, unit="", limit=FLAT, note=note)


def e_starting(bench: Bench) -> Iterator[Row]:
    """From a command to what it does."""
    program = bench.program
    yield Row("E", "ddpm-mindspore --help", seconds_of([program, "--help"], bench.pairs), limit=0.3)
    help_of_train = seconds_of([program, "train", "--help"], bench.pairs)
    yield Row("E", "ddpm-mindspore train --help", help_of_train)
    package = "ddpm_mindspore.accelerated"
    imported = seconds_of([bench.ours, "-c", f"import {package}"], bench.pairs)
    yield Row("E", f"import {package}", imported)
    rounds = bench.few(3)
    imported = seconds_of([bench.ours, "-c", f"from {package} import Trainer"], rounds)
    statement = "import peer_digits; peer_digits.import_peer()"
    peer = seconds_of([bench.peer, "-c", statement], rounds)
    yield Row("E", "import with Trainer", imported, peer, note="Theirs without torchvision.")
    cold, warm = first_steps(program, rounds)
    yield Row("E", "from the command to the first training step, cold", cold, limit=15.0)
    yield Row("E", "the same with a warm cache", warm, limit=5.0)


def f_feeding(bench: Bench) -> Iterator[Row]:
    """Training from image files: how long it waits for them."""
    script = str(HERE / "picture_files.py")
    steps = max(2, bench.steps(FEEDING_STEPS))  # the first is not counted
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        told(bench.ours, script, "make", folder)
        for what, name, size in (
            ("10,000 PNG files of 32x32", "png", 32),
            ("1,000 photographs, to 64x64", "jpeg", 64),
        ):
            files = Path(folder, name)
            took = json.loads(told(bench.ours, script, "decode", str(files), str(size)))
            note = (
                f"{took['images'] / took['opened']:,.0f} images a second, once. Read anew in every "
                f"epoch, as what is larger than memory: {show([took['batch']], 's')} a batch of 16."
            )
            yield Row("F", f"{what}: opened", [took["opened"]], note=note)
            for how, limit in (("kept in memory", []), ("read anew", ["--data-memory-gb", "0"])):
                share, seconds = waiting(bench.program, files, size, steps, limit)
                note = f"Of {steps} steps of {show([seconds], 's')}, as the trainer counts it."
                what_of = f"{what}, {how}: share of time waiting for them"
                yield Row("F", what_of, [share], (), "share", NO_WAIT, note)


WORKLOADS: list[tuple[str, Callable[[Bench], Iterator[Row]]]] = [
    ("AG", a_training),
    ("A", a_sampling),
    ("B", b_digits),
    ("C", c_larger),
    ("D", d_sizes),
    ("E", e_starting),
    ("F", f_feeding),
    ("H", strongest),
    ("T", text_to_image),
    ("P", share_of_peak),
    ("O", openvino),
]
"""Which workloads, by their letters, a function measures."""
