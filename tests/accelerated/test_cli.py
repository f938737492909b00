"""The command line, as a person meets it: help, wrong input, and a run that is stopped and resumed.

Wrong input is tried within this process, which is quick, and a few times as a real process.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import is_dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from ddpm_mindspore.accelerated.cli import main
from ddpm_mindspore.accelerated.commands.table import COMMANDS, load
from ddpm_mindspore.accelerated.config import DIGITS, RunConfig

COMMAND = (sys.executable, "-m", "ddpm_mindspore.accelerated.cli")
TINY = (
    *("--dim", "8", "--dim-mults", "1", "--attn-heads", "1", "--attn-dim-head", "8"),
    *("--image-size", "8", "--batch-size", "8", "--timesteps", "50", "--sampling-timesteps", "3"),
    *("--num-samples", "4"),
)


class Done(NamedTuple):
    code: int
    out: str
    err: str
    seconds: float


def run(*args: str, cwd: Path, **environment: str) -> Done:
    """Run a command as a process that has no terminal and none of our Python settings."""
    begin = time.monotonic()
    env = {k: v for k, v in os.environ.items() if k not in ("GLOG_v", "ONEDNN_MAX_CPU_ISA")}
    done = subprocess.run(
        [*COMMAND, *args],
        cwd=cwd,
        env=env | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
    )
    return Done(done.returncode, done.stdout, done.stderr, time.monotonic() - begin)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with things that are not what a command wants."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("not an image")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.png").write_bytes(b"\x89PNG, but no more")
    # What is not refused fails at once, and does not train for an hour.
    monkeypatch.setattr("ddpm_mindspore.accelerated.trainer.loop.Trainer.train", lambda _: None)
    return tmp_path


WRONG: list[tuple[str, str]] = [
    # data
    ("train --data nowhere", "data folder 'nowhere' does not exist: give a folder of images"),
    ("train --data empty", "data folder 'empty' holds no image: give a folder of images"),
    ("train --data file", "data folder 'file' is a file: give the folder"),
    ("train --data bad", "none of the 1 images of data can be decoded ('bad/a.png': not an im"),
    ("train --data bad --strict", "'bad/a.png' cannot be decoded: not an image"),
    ("train --channels 5", "channels is 5: 1 to 4 can be read"),
    # results and runs
    (
        "train --results-folder file/run",
        "results_folder 'file/run' cannot be written (File exists)",
    ),
    ("train --results-folder /proc/run", "results_folder '/proc/run' cannot be written ("),
    ("train --resume", "'results' is not a run folder (config.json: No such file or directory)"),
    ("train --resume --results-folder empty", "'empty' is not a run folder (config.json: No such"),
    ("sample nowhere", "'nowhere' is not a run folder (config.json: No such file or directory): n"),
    ("sample empty", "'empty' is not a run folder (config.json: No such file or directory): name"),
    ("sample file", "'file' is not a run folder (config.json: Not a directory): name a folder"),
    # values
    (
        "train --image-size 30 --dim-mults 1 2 4 8",
        "image_size 30 is not divisible by 8 (2 ** (len(dim_mults) - 1)) (see ddpm-mindspore train",
    ),
    ("train --image-size 8 9", "image_size 9 is not divisible by 2"),
    ("train --sampling-timesteps 1001", "sampling_timesteps 1001 must be from 1 to timesteps, whi"),
    ("train --timesteps 0", "timesteps 0 must be at least 1"),
    ("train --beta-schedule quadratic", "beta_schedule 'quadratic' is unknown: choose linear, co"),
    ("train --objective eps", "objective 'eps' is unknown: choose pred_noise, pred_x0, pr"),
    ("train --loss-type l3", "loss_type 'l3' is unknown: choose l1, l2 or huber"),
    ("train --eta 2", "eta 2.0 must be from 0 to 1"),
    ("train --zero-terminal-snr --objective pred_noise", "use pred_v, pred_x0 or flow"),
    ("train --objective edm --zero-terminal-snr", "'edm' cannot be used with zero_terminal_snr"),
    (
        "train --min-snr-loss-weight --p2-loss-weight-gamma 1",
        "p2_loss_weight_gamma 1.0 and min_snr",
    ),
    ("train --dim 7", "dim 7 must be even and at least 4"),
    ("train --attn-heads 1 2 3", "attn_heads (1, 2, 3) has 3 entries: give one value, or one for"),
    ("train --learned-variance --vlb-weight -1", "vlb_weight -1.0 must not be negative"),
    ("train --steps 0", "steps 0 must be at least 1"),
    ("train --lr nan", "train_lr nan must be a finite number"),
    ("train --lr 0", "train_lr 0.0 must be positive"),
    ("train --image-size 0", "image_size 0 must be at least 1"),
    ("train --seed -1", "seed -1 must not be negative"),
    ("train --device TPU", "device 'TPU' is unknown: choose auto, Ascend"),
    ("sample empty --num-samples 0", "num_samples 0 must be at least 1"),
    ("sample empty --seed -3", "seed -3 must not be negative"),
    ("sample empty --weights trained --ema 0.1", "ema 0.1 is the length of an average: leave wei"),
    ("sample empty --sampler heun --eta 0", "eta 0.0 is no option of sampler 'heun': ddim has it"),
    (
        "sample empty --sampler unipc --order 1",
        "order 1 of sampler 'unipc' is unknown: choose 2 or",
    ),
    ("sample empty --sampler DDIM", "sampler 'DDIM' is unknown: choose ancestral, ddim, euler"),
    ("sample empty --spacing even", "spacing 'even' is unknown: choose uniform, trailing, leading"),
    ("sample empty --spacing 900,300,500", "spacing 900,300,500 must descend, to at least 1"),
    ("sample empty --spacing 9,3 --sampling-timesteps 3", "contradict each other: leave one out"),
    (
        "sample empty --sampler euler --s-tmin 5 --s-tmax 1",
        "s_tmin 5.0 is above s_tmax 1.0: no noise would be added",
    ),
    ("train --spacing 1001,4", "spacing 1001,4 must begin at timesteps, which is 1000, or below"),
    # starting from another run
    ("train --from nowhere", "'nowhere' is not a run folder (config.json: No such file or directo"),
    (
        "train --from file",
        "from 'file' is a file: make a run of it (ddpm-mindspore import), and sta",
    ),
    ("train --from empty --resume", "--from starts a new run and --resume goes on with one, whic"),
    # the command itself
    ("trane", "command 'trane' is unknown: choose train, sample, paint, inpaint"),
    ("train --steps many", "--steps: invalid literal for int() with base 10: 'many' (see ddpm-min"),
    ("train --steps", "'--steps'. Expected 1 values"),
    ("train --step 3", "Unrecognized options: --step, 3 (see ddpm-mindspore train --help)"),
    ("train more", "Unrecognized options: more (see ddpm-mindspore train --help)"),
    ("sample", ": missing: RUN (folder of a run, as train has written it) (see ddpm-mindspore sam"),
    (
        "inpaint empty",
        ": missing: IMAGE (a picture, of the size and the colours of the run's images",
    ),
    (
        "inpaint empty a.png",
        ": missing: --mask STR (a picture that is white where it is to be pain",
    ),
]


@pytest.mark.parametrize(("command", "message"), WRONG, ids=[command for command, _ in WRONG])
def test_wrong_input_is_refused_in_one_line(
    here: Path, capsys: pytest.CaptureFixture[str], command: str, message: str
) -> None:
    assert main(command.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("ddpm-mindspore: ") and err.count("\n") == 1 and err.endswith("\n")
    assert message in err
    assert not list(here.glob("**/config.json"))


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["train", "--results-folder", ""], "--results-folder is empty: give a value, or leave it"),
        (["train", "--data="], "--data is empty: give a value, or leave it out"),
        (["train", "--resume", "--results-folder="], "--results-folder is empty"),
        (["sample", ""], "an argument is empty: give a value"),
        (["replay", "", "--step", "1"], "an argument is empty: give a value"),
        (["train", ""], "an argument is empty: give a value"),
    ],
)
def test_what_is_empty_is_no_path(
    here: Path, capsys: pytest.CaptureFixture[str], args: list[str], message: str
) -> None:
    """As "$RUN" is where it was never set: not the folder that one is in."""
    assert main(args) == 2
    out, err = capsys.readouterr()
    assert out == "" and message in err and err.count("\n") == 1
    assert sorted(path.name for path in here.iterdir()) == ["bad", "empty", "file"]


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_options_are_refused_in_one_line_in_any_terminal(here: Path, encoding: str) -> None:
    wrong = ("train", "--image-size", "30", "--dim-mults", "1", "2", "4", "8")
    done = run(*wrong, cwd=here, PYTHONIOENCODING=encoding, COLUMNS="40")
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        "ddpm-mindspore: image_size 30 is not divisible by 8 (2 ** (len(dim_mults) - 1)) "
        "(see ddpm-mindspore train --help)\n"
    )


@pytest.mark.parametrize(
    "command",
    [
        "train --data nowhere",
        "train --data bad --strict",
        "train --results-folder file/run",
        "sample empty",
    ],
)
def test_a_process_with_wrong_input_says_one_line_and_exits_with_2(
    here: Path, command: str
) -> None:
    done = run(*command.split(), cwd=here)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("ddpm-mindspore: ") and done.err.count("\n") == 1
    assert done.seconds < 60  # seconds on an idle machine; a compilation would take longer


def test_a_device_that_is_not_there_is_refused_in_one_line(here: Path) -> None:
    done = run("train", "--device", "Ascend", "--steps", "1", *TINY, cwd=here)
    if done.code == 0:
        pytest.skip("there is an Ascend card")
    assert done.code == 2 and done.err.count("\n") == 1
    assert "device 'Ascend' is not available here: use --device CPU" in done.err


@pytest.mark.parametrize(
    ("command", "needed"),
    [
        ("", ["train", "sample", "parity", "COMMAND --help", "ddpm-mindspore train"]),
        ("--help", ["train", "sample", "parity"]),
        ("info --help", ["--device", "--json"]),
        (
            "train --help",
            [
                *("Examples:", "ddpm-mindspore train --resume --results-folder my-run"),
                *("--data STR", "(default: digits)", "--image-size", "--channels", "--steps INT"),
                *("--batch-size", "--lr FLOAT", "--timesteps", "--sampling-timesteps"),
                *("--objective", "--beta-schedule", "--dim INT", "--dim-mults", "--seed"),
                *("--device", "--save-every", "--results-folder", "--resume", "--strict", "--eta"),
            ],
        ),
        ("train --data photos --help", ["(default: 64)", "(default: 100000)", "1 2 4 8"]),
        ("train --resume --help", ["--results-folder STR"]),
        (
            "sample --help",
            [
                *("RUN", "Examples:", "--num-samples None|INT", "--sampling-timesteps", "--eta"),
                *("--seed", "--batch-size", "--output", "RUN/drawn"),
            ],
        ),
    ],
)
def test_help_is_for_people(
    here: Path, capsys: pytest.CaptureFixture[str], command: str, needed: list[str]
) -> None:
    try:
        code = main(command.split())
    except SystemExit as stop:
        code = int(stop.code or 0)
    out, err = capsys.readouterr()
    assert (code, err) == (0, "")
    described = re.sub(r"\s+", " ", out.replace("│", " "))
    for text in needed:
        assert text in described
    assert max(map(len, out.splitlines())) <= 100
    assert "{None}" not in out and "CONFIG." not in out and "TRAINER." not in out.upper()
    if command == "train --help":
        written = re.findall(r"^[│ ]+(--[a-z][\w-]+)", out, re.MULTILINE)
        assert len(written) == len(set(written)) > 40
        assert "steps taken when sampling (None: 20" in described


NAMES = (
    *("train", "sample", "paint", "inpaint", "super-resolve", "restore", "edit", "invert"),
    *(
        "interpolate",
        "evaluate",
        "status",
        "report",
        "demo",
        "replay",
        "parity",
        "import",
        "export",
        "info",
    ),
)
HELP = [f"{name} --help" for name in NAMES]


def test_the_list_of_commands_is_what_each_says_of_itself(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert tuple(COMMANDS) == NAMES
    assert main([]) == 0
    listed = capsys.readouterr().out.splitlines()
    for name, command in COMMANDS.items():
        assert is_dataclass(load(command.options)) and callable(load(command.run))
        (line,) = (line for line in listed if line.startswith(f"  {name} "))
        assert command.text.lower().startswith(f"{line.split(maxsplit=1)[1]}.\n".lower())
        assert len(line) <= 80


@pytest.mark.parametrize("command", ["--help", *HELP, "train --dim 7"])
def test_help_and_wrong_options_import_little(here: Path, command: str) -> None:
    program = (
        "import sys\n"
        "from ddpm_mindspore.accelerated.cli import main\n"
        "try: code = main(sys.argv[1:])\n"
        "except SystemExit as stop: code = stop.code\n"
        "slow = {'mindspore', 'numpy', 'scipy', 'safetensors', 'matplotlib', 'PIL', 'autograd',"
        "        'tqdm', 'hypothesis', 'pytest'}\n"
        "slow |= {'tyro', 'asyncio', 'inspect'} if sys.argv[1] == '--help' else set()\n"
        "slow &= set(sys.modules)\n"
        "sys.exit(f'loaded {slow}' if slow else 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *command.split()], capture_output=True, cwd=here
    )
    assert done.returncode == 0, done.stderr


def test_who_trains_imports_no_statistics_and_no_optimizer_of_scipy(here: Path) -> None:
    """35 and 14 MB, for the gradients of the reference, and for noise that is assigned."""
    program = (
        "import sys\n"
        "import ddpm_mindspore.accelerated.commands.train\n"
        "from ddpm_mindspore.accelerated import Trainer\n"
        "found = {'scipy.stats', 'scipy.optimize'} & set(sys.modules)\n"
        "sys.exit(f'loaded {found}' if found else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, cwd=here)
    assert done.returncode == 0, done.stderr


def test_a_closed_pipe_ends_help_quietly(here: Path) -> None:
    command = f"{shlex.join(COMMAND)} train --help | head -c 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=here)
    assert (done.stdout, done.stderr) == ("u", "")


def configured(monkeypatch: pytest.MonkeyPatch, *args: str) -> RunConfig:
    """What a training command would be run with."""
    from ddpm_mindspore.accelerated.commands import train as commands

    seen: list[RunConfig] = []
    monkeypatch.setattr(commands, "train", lambda config, **_: seen.append(config) or 0)
    assert main(["train", *args]) == 0
    return seen[0]


def test_options_become_the_configuration(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert configured(monkeypatch) == DIGITS
    config = configured(
        monkeypatch,
        *("--data", "photos", "--image-size", "32", "64", "--dim-mults", "1", "2", "--lr", "3e-4"),
        *("--steps", "7", "--batch-size=5", "--save-every", "2", "--objective", "pred_noise"),
        *("--full-attn", "True", "False", "--results-folder", "a b", "--strict", "--eta", "0.5"),
        *("--no-clip-denoised", "--adam-betas", "0.8", "0.9", "--sampling-timesteps", "None"),
    )
    assert config.data == "photos" and config.sides == (32, 64)
    assert config.network.dim == 64 and config.network.channels == 3  # the preset for photographs
    assert config.network.dim_mults == (1, 2) and config.network.full_attn == (True, False)
    sampling, trainer = config.sampling, config.trainer
    assert (config.diffusion.objective, sampling.sampling_timesteps) == ("pred_noise", None)
    assert not sampling.clip_denoised and sampling.eta == 0.5
    assert (trainer.train_lr, trainer.train_num_steps, trainer.train_batch_size) == (3e-4, 7, 5)
    assert trainer.save_and_sample_every == 2 and trainer.strict
    assert trainer.results_folder == "a b" and trainer.adam_betas == (0.8, 0.9)


def test_resuming_starts_from_the_runs_own_options(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when the run was itself resumed, and when the options it had are given again."""
    from ddpm_mindspore.accelerated.runs.folder import RunFolder

    options = ("--steps", "9", "--strict", "--dim", "12", "--augment-horizontal-flip")
    (here / "my run").mkdir()
    first = configured(monkeypatch, *options)
    trainer = replace(first.trainer, resume=True, results_folder="elsewhere")
    RunFolder(here / "my run").config.write(replace(first, trainer=trainer))
    for again in (
        ("--resume", "--results-folder", "my run"),
        ("--results_folder=my run", "--resume", *options),
        ("--results-folder", "other", "--resume", "--results-folder", "my run"),
    ):
        config = configured(monkeypatch, *again)
        assert config.trainer.resume and config.trainer.results_folder == "my run"
        assert config.trainer.train_num_steps == 9 and config.trainer.strict
        assert config.network.dim == 12 and config.trainer.augment_horizontal_flip
    longer = configured(monkeypatch, *again, "--steps", "20", "--no-strict")
    assert longer.trainer.train_num_steps == 20 and not longer.trainer.strict


# ---- a real run: started, stopped with Ctrl-C, resumed as told, and drawn from


class Story(NamedTuple):
    folder: Path
    stopped: Done
    resumed: Done


def interrupted(cwd: Path, *args: str, when: Callable[[], bool]) -> Done:
    """Run a command and send it SIGINT once ``when`` holds."""
    begin = time.monotonic()
    env = {k: v for k, v in os.environ.items() if k not in ("GLOG_v", "ONEDNN_MAX_CPU_ISA")}
    with subprocess.Popen(
        [*COMMAND, *args],
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while process.poll() is None and not when():
            assert time.monotonic() - begin < 600
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=600)
    return Done(process.returncode, out, err, time.monotonic() - begin)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    folder = tmp_path_factory.mktemp("here")
    photos = folder / "photos"
    photos.mkdir()
    rng = np.random.default_rng(0)
    for i in range(12):
        Image.fromarray(rng.integers(0, 256, (9 + i, 20, 3), np.uint8)).save(photos / f"{i}.jpg")
    (photos / "torn.jpg").write_bytes((photos / "3.jpg").read_bytes()[:100])
    metrics = folder / "my run" / "metrics.jsonl"
    stopped = interrupted(
        folder,
        *("train", "--data", "photos", "--channels", "1", "--results-folder", "my run", *TINY),
        *("--steps", "1000000", "--save-every", "500000", "--seed", "5"),
        when=lambda: metrics.exists() and metrics.stat().st_size > 0,
    )
    hint = stopped.err.strip().splitlines()[-1].removeprefix("to go on: ")
    program, *args = shlex.split(hint)
    assert program == "ddpm-mindspore"
    step = newest_step(folder / "my run")
    resumed = run(*args, "--steps", str(step + 3), "--save-every", "2", cwd=folder)
    return Story(folder, stopped, resumed)


def newest_step(run: Path) -> int:
    return max(int(path.name.removeprefix("step-")) for path in run.glob("checkpoints/*"))


def quiet(text: str) -> bool:
    return not any(word in text for word in ("WARNING", "Warning", "ERROR", "Traceback"))


def test_ctrl_c_leaves_a_checkpoint_and_says_how_to_go_on(story: Story) -> None:
    stopped = story.stopped
    assert stopped.code == 130, stopped.err
    *_, where, hint = stopped.err.strip().splitlines()
    found = re.fullmatch(
        r"stopped at step ([\d,]+) of 1,000,000; a checkpoint is in my run", where.strip()
    )
    assert found
    assert hint == "to go on: ddpm-mindspore train --resume --results-folder 'my run'"
    step = int(found[1].replace(",", ""))
    assert (story.folder / "my run" / "checkpoints" / f"step-{step:08d}" / "state.json").is_file()
    assert quiet(stopped.out + stopped.err)


def test_it_says_what_it_does(story: Story) -> None:
    device, *rest = story.stopped.out.splitlines()
    assert re.fullmatch(
        r"device: \w+; 12 images of 1x8x8; a network of [\d,]+ parameters; steps 0 to 1,000,000",
        device,
    )
    skipped, compiling = rest
    assert skipped.startswith("left out: 1 that cannot be decoded (photos/torn.jpg: ")
    assert skipped.endswith("; all are named in my run/skipped.jsonl")
    assert (
        compiling
        == "compiling the training step: about 20 s, and less where it was compiled before"
    )
    assert re.search(r"training: .*step.*loss \d\.\d{4}, \d+ images/s", story.stopped.err)


def test_the_printed_command_goes_on_to_the_end(story: Story) -> None:
    resumed, folder = story.resumed, story.folder / "my run"
    assert resumed.code == 0, resumed.err
    assert quiet(resumed.out + resumed.err)
    last = newest_step(folder)
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").open()]
    assert [row["step"] for row in rows] == list(range(1, last + 1))
    config = json.loads((folder / "config.json").read_text())
    assert config["trainer"]["train_num_steps"] == last and config["trainer"]["seed"] == 5
    done, *files, more = resumed.out.strip().splitlines()[-8:]
    assert done == f"done: {last:,} steps. In my run/"
    named = [line.split()[0] for line in files]
    assert named[0] == f"samples/step-{last:08d}.png"
    assert named[1:4] == ["loss.png", "report.html", f"checkpoints/step-{last:08d}"]
    assert all((folder / name).exists() for name in named)
    assert more == "to draw more: ddpm-mindspore sample 'my run' --num-samples 100 --seed 1"


def test_an_existing_run_is_refused_without_resume(
    story: Story, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(story.folder)
    before = (story.folder / "my run" / "config.json").read_bytes()
    assert main(["train", "--results-folder", "my run"]) == 2
    assert "results_folder 'my run' already holds a run: go on with it" in capsys.readouterr().err
    assert main(["train", "--results-folder", "my run", "--resume", "--dim", "12"]) == 2
    assert "dim is 8, not 12, in the run in 'my run': resume without" in capsys.readouterr().err
    assert main(["sample", "my run", "--sampling-timesteps", "51"]) == 2
    assert "sampling_timesteps 51 must be from 1 to timesteps, which is 50" in (
        capsys.readouterr().err
    )
    assert main(["sample", "my run", "--image-size", "0"]) == 2
    assert "image_size 0" in capsys.readouterr().err
    assert main(["sample", "my run", "--output", "photos/0.jpg/x"]) == 2
    assert "output 'photos/0.jpg/x' cannot be written (" in capsys.readouterr().err
    assert (story.folder / "my run" / "config.json").read_bytes() == before


@pytest.mark.slow
def test_samples_of_one_seed_are_the_same_whatever_the_batch_size(story: Story) -> None:
    outputs = []
    for size in (4, 6):
        output = f"drawn by {size}"
        done = run(
            *("sample", "my run", "--num-samples", "6", "--batch-size", str(size)),
            *("--seed", "3", "--output", output),
            cwd=story.folder,
        )
        assert done.code == 0 and quiet(done.out + done.err), done.err
        assert re.match(r"device: \w+; drawing 6 images with the weights of step \d+ \(", done.out)
        assert f"done: {output}/grid.png, {output}/samples.npy (6, 1, 8, 8)" in done.out
        outputs.append(story.folder / output)
    one, other = (np.load(output / "samples.npy") for output in outputs)
    assert one.shape == (6, 1, 8, 8) and one.dtype == np.uint8
    assert one.std() > 5 and len(np.unique(one, axis=0)) == 6
    # Rounding of the network's last bits may tip a level over, and no more than that.
    difference = np.abs(one.astype(int) - other)
    assert difference.max() <= 1 and (difference > 0).sum() <= 2
    names = {"grid.png", "samples.npy", "drawn.json", *(f"{i:05d}.png" for i in range(6))}
    for output, array in zip(outputs, (one, other), strict=True):
        assert {path.name for path in output.iterdir()} == names
        for i, image in enumerate(array):
            with Image.open(output / f"{i:05d}.png") as single:
                np.testing.assert_array_equal(np.asarray(single), image[0])
                said = single.text  # type: ignore[attr-defined]
                assert (said["Weights"], said["Seed"], said["Image"]) == ("average", "3", str(i))
        with Image.open(output / "grid.png") as grid:
            assert grid.size == (3 * 52 + 4, 2 * 52 + 4)  # enlarged by 6
