"""Bugs between the formulas and the user: sampling, the trainer, resuming, files."""

from __future__ import annotations

from ddpm_mindspore.parity.examples.fixed_runs import FROM_A_FOLDER

from ..planting import Bug

SAMPLING = [
    Bug(
        "first is ignored",
        "diffusion.GaussianDiffusion.sample",
        "range(first + start, first + start + min(batch_size, count))",
        "range(start, start + min(batch_size, count))",
        "diffusion: sample",
    ),
    Bug(
        "every batch draws the images of the first",
        "diffusion.GaussianDiffusion.sample",
        "range(first + start, first + start + min(batch_size, count))",
        "range(first, first + min(batch_size, count))",
        "diffusion: sample",
    ),
    Bug(
        "the seed 0 counts as none",
        "diffusion.GaussianDiffusion.sample",
        "self.seed if seed is None else seed",
        "seed or self.seed",
        "diffusion: sample",
    ),
    Bug(
        "sample ignores eta",
        "diffusion.GaussianDiffusion.sample",
        "eta=eta",
        "eta=None",
        "diffusion: sample",
    ),
    Bug(
        "all samplers are DDIM",
        "samplers.plan_for",
        "PLANS[sampling.name](schedule, timesteps, **sampling.options)",
        'PLANS["ddim"](schedule, timesteps)',
        "diffusion: sample",
    ),
    Bug(
        "all times are evenly spaced",
        "samplers.plan_for",
        "sampling.rule",
        '"uniform"',
        "diffusion: sample",
        {"diffusion": {"timesteps": 7, "clip_denoised": False, "spacing": "karras"}},
    ),
    Bug(
        "every step adds the same noise",
        "diffusion.GaussianDiffusion._run",
        "Purpose.SAMPLE_NOISE, i, indices",
        "Purpose.SAMPLE_NOISE, 0, indices",
        "diffusion: sample",
    ),
    Bug(
        "a step's noise depends on the place in the batch",
        "diffusion.GaussianDiffusion._run",
        "Purpose.SAMPLE_NOISE, i, indices",
        "Purpose.SAMPLE_NOISE, i, range(len(indices))",
        "diffusion: sample",
    ),
    Bug(
        "samples stay in [-1, 1]",
        "process.to_unit_range",
        "(x_0 + np.float32(1.0)) * np.float32(0.5)",
        "x_0",
        "diffusion: sample",
    ),
    Bug(
        "every call has the noise of the first",
        "diffusion.GaussianDiffusion.__call__",
        "self._calls += 1",
        "self._calls += 0",
        "diffusion: loss",
    ),
    Bug(
        "the loss's noise ignores the seed",
        "diffusion.GaussianDiffusion.__call__",
        "range(len(x)), self.seed",
        "range(len(x)), 0",
        "diffusion: loss",
    ),
    Bug(
        "interpolation mixes the other way round",
        "diffusion.GaussianDiffusion.interpolate",
        "(1.0 - lam) * first + lam * second",
        "lam * first + (1.0 - lam) * second",
        "diffusion: interpolate",
    ),
    Bug(
        "interpolation ignores t",
        "diffusion.GaussianDiffusion.interpolate",
        "t = T if t is None else t",
        "t = T",
        "diffusion: interpolate",
    ),
    Bug(
        "interpolation adds no noise",
        "diffusion.GaussianDiffusion.interpolate",
        "signal * mixed + sigma * noise",
        "signal * mixed",
        "diffusion: interpolate",
    ),
]

FILES = [
    Bug(
        "the command draws with the average, whatever it is told",
        "runs.opened._opened",
        "group = WEIGHTS[weights]",
        'group = WEIGHTS["average"]',
        "commands: sample",
        {"options": {"num_samples": 3, "batch_size": 2, "weights": "trained"}},
    ),
    Bug(
        "the command draws with the newest checkpoint, whatever it is told",
        "commands.batches.opened",
        "step=config.step",
        "step=None",
        "commands: sample",
    ),
    Bug(
        "every batch that is written has the first images",
        "commands.sample.draw",
        "first=first",
        "first=0",
        "commands: sample",
    ),
    Bug(
        "pixels are cut off, not rounded",
        "process.to_uint8",
        "np.rint(images * np.float32(255.0))",
        "(images * np.float32(255.0))",
        "commands: sample",
    ),
    Bug(
        "the command ignores its seed",
        "commands.sample.draw",
        "seed=config.seed",
        "seed=None",
        "commands: sample",
    ),
    Bug(
        "the command ignores eta",
        "commands.labels.sampling_of",
        "if name in own",
        "if name in own and name != 'eta'",
        "commands: sample",
        {"options": {"num_samples": 3, "batch_size": 2, "sampling_timesteps": 3, "eta": 0.6}},
    ),
    Bug(
        "the command draws with the trained parameters",
        "runs.opened._opened",
        "group = WEIGHTS[weights]",
        'group = WEIGHTS["trained"]',
        "commands: sample",
        {"options": {"num_samples": 3, "batch_size": 2}},
    ),
    Bug(
        "an average made afterwards is not drawn with",
        "runs.opened._opened",
        "diffusion.model.load_arrays(whole(run, config.network, average.arrays))",
        "pass",
        "commands: sample",
    ),
    Bug(
        "an average made afterwards mixes up the widths",
        "runs.averages.load_average",
        "_snapshots(run.path, steps, widths)",
        "_snapshots(run.path, steps, widths[::-1])",
        "commands: sample",
    ),
    Bug(
        "an average made afterwards mixes up the steps",
        "runs.averages.load_average",
        "_snapshots(run.path, steps, widths)",
        "_snapshots(run.path, steps[::-1], widths)",
        "commands: sample",
    ),
]

RUNS = [
    Bug(
        "a new run starts from the average, whatever it is told",
        "trainer.from_run._weights",
        "WEIGHTS[config.from_weights]",
        'WEIGHTS["average"]',
        "trainer: run",
    ),
    Bug(
        "the trainer has no warm-up",
        "trainer.loop.Trainer._update",
        "scalars = step_scalars(self.step, self.config,",
        "from dataclasses import replace\n"
        "    config = replace(self.config, warmup_steps=0)\n"
        "    scalars = step_scalars(self.step, config,",
        "trainer: run",
        FROM_A_FOLDER,
    ),
    Bug(
        "the trainer's longer averages are exchanged",
        "trainer.loop.Trainer._update",
        "scalars = step_scalars(self.step, self.config,",
        "from dataclasses import replace\n"
        "    config = replace(self.config, ema_sigma_rels=self.config.ema_sigma_rels[::-1])\n"
        "    scalars = step_scalars(self.step, config,",
        "trainer: run",
        FROM_A_FOLDER,
    ),
    Bug(
        "Adam counts the updates that were left out",
        "trainer.loop.Trainer._update",
        "skipped=self._nonfinite.skipped",
        "skipped=0",
        "trainer: run",
    ),
    Bug(
        "training draws with the trained parameters",
        "trainer.samples.Samples.draw",
        "self.diffusion",
        "self._trained",
        "trainer: run",
    ),
    Bug(
        "resuming puts the second moment in place of the first",
        "trainer.state.restore",
        "_FILES.get(name, name)",
        '{"params": "model", "m": "adam_v", "v": "adam_v"}.get(name, name)',
        "trainer: run",
    ),
    Bug(
        "resuming goes on from the average",
        "trainer.state.restore",
        "_FILES.get(name, name)",
        '{**_FILES, "params": "ema"}.get(name, name)',
        "trainer: run",
    ),
    Bug(
        "resuming forgets which updates were left out",
        "trainer.loop.Trainer._restore",
        "self._nonfinite.restore(found.state)",
        "pass",
        "trainer: run",
    ),
    Bug(
        "resuming leaves an update out",
        "trainer.loop.Trainer._restore",
        "self.step = found.step",
        "self.step = found.step + 1",
        "trainer: run",
    ),
    Bug(
        "resuming begins the order of the data anew",
        "trainer.loop.Trainer._loop",
        "Prefetch(self._batches, self.step + 1)",
        "Prefetch(self._batches, 1)",
        "trainer: run",
    ),
]
