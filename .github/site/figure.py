"""The site's page with a slider: a digit, one of its pixels and the schedule at any time t.

    python .github/site/figure.py FOLDER

writes noise.md and noise.zh.md. The numbers are the reference's; the page multiplies and adds. What
it shows before its script has run, or without one, is drawn here.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from ddpm_mindspore.reference.config.diffusion import DiffusionConfig
from ddpm_mindspore.reference.schedule import levels_at, make_schedule
from ddpm_mindspore.reference.train_digits import load_digits

TEMPLATE = Path(__file__).with_suffix(".html")
START = 30
"""Which of the times is shown first."""

PIXEL = 3 * 8 + 4
"""The pixel whose distribution is drawn, row after row."""


class Holes(Template):
    """Text with holes for names: @name, since a script has uses for dollars."""

    delimiter = "@"


WORDS = {
    "": {
        "title": "From a picture to noise",
        "above": (
            "What is $x_t$ at each $t$? One jump leads there from $x_0$ "
            "([section 3 of the tutorial](reference/README.md#3-one-jump-against-t-steps)):"
        ),
        "slider": "Time t",
        "digit": "A digit at t, always with the same noise. Beyond black and white it is cut off.",
        "digit_label": "A handwritten digit, more or less noisy",
        "bell": (
            "What the framed pixel may be at t, given the digit; the red mark is what it is. A "
            "narrow bell is cut off at its top."
        ),
        "bell_label": "A bell curve that widens and moves to 0 as t grows",
        "levels": "Signal (blue) and noise (orange) of the schedule: their squares add up to 1.",
        "levels_label": "Two curves over t: the signal falls from 1 to 0, the noise rises",
        "without": "The slider needs a script; this is one moment.",
        "below": (
            "Move it slowly from left to right. When can you no longer read the digit? Where the "
            "two curves cross, the noise is as strong as the picture. And the pixel: its mean "
            "moves to 0 and its spread to 1, whatever it was. At the end nothing is left of the "
            "digit, and every other one would look the same."
        ),
    },
    ".zh": {
        "title": "从图到噪声",
        "above": (
            "每个 $t$ 的 $x_t$ 是什么？从 $x_0$ 一步就能跳到那里"
            "（[教程第 3 节](reference/README.zh.md#3-一步到位与走-t-步)）："
        ),
        "slider": "时刻 t",
        "digit": "一个数字在 t 时的样子，噪声始终是同一份。超出黑与白的部分截掉了。",
        "digit_label": "一个手写数字，带着或多或少的噪声",
        "bell": (
            "已知这个数字，框住的那个像素在 t 时可能是多少；红线是它此刻的值。"
            "钟窄的时候顶上截掉了。"
        ),
        "bell_label": "一条钟形曲线，t 越大越宽，并移向 0",
        "levels": "日程表的信号（蓝）和噪声（橙）：两者的平方加起来是 1。",
        "levels_label": "两条随 t 变化的曲线：信号从 1 降到 0，噪声上升",
        "without": "滑块需要脚本；这里是其中一刻。",
        "below": (
            "从左到右慢慢拖。到什么时候就认不出是几了？两条曲线相交的地方，噪声与图一样强。"
            "再看那个像素：不管原来是多少，平均数都移向 0，宽度都变到 1。"
            "到了最后，数字什么也没剩下，换成别的数字，看上去也是一样。"
        ),
    },
}
"""By the page's ending: both languages."""


def data() -> dict[str, Any]:
    """What the page computes with: the usual schedule, a digit, and noise, all rounded."""
    config = DiffusionConfig()
    schedule = make_schedule(config.beta_schedule, config.timesteps)
    times = np.array([1, *range(10, schedule.T + 1, 10)])
    signal, noise = levels_at(schedule, times)
    digit = 2.0 * load_digits()[0].astype(np.float64) - 1.0
    eps = np.random.default_rng(0).standard_normal(digit.size)
    rows = {"signal": signal, "noise": noise, "x_0": digit.ravel(), "eps": eps}
    rounded = {name: [round(float(value), 5) for value in row] for name, row in rows.items()}
    return {"times": times.tolist(), **rounded, "pixel": PIXEL}


def drawing(numbers: dict[str, Any], i: int) -> dict[str, str]:
    """The parts of the template that depend on the time, as its script draws them at time i."""
    times, signal, noise = (np.array(numbers[name]) for name in ("times", "signal", "noise"))
    s, n = signal[i], noise[i]
    x_t = s * np.array(numbers["x_0"]) + n * np.array(numbers["eps"])
    greys = np.floor(255 * np.clip((x_t + 1) / 2, 0, 1) + 0.5).astype(int)
    squares = [
        f'<rect x="{10 * (j % 8)}" y="{10 * (j // 8)}" width="10" height="10" '
        f'fill="rgb({grey},{grey},{grey})"/>'
        for j, grey in enumerate(greys)
    ]
    places = np.arange(221)
    z = ((places - 110) / 40 - s * numbers["x_0"][PIXEL]) / n
    heights = np.minimum(110, 50 * np.exp(-(z**2) / 2) / (n * np.sqrt(2 * np.pi)))
    bell = "L".join(
        f"{p + 10} {125 - height:.2f}" for p, height in zip(places, heights, strict=True)
    )
    across = 25 + 200 * (times - 1) / (times[-1] - 1)
    return {
        "said": f"t = {times[i]}:  x_t = {s:.3f} x_0 + {n:.3f} eps",
        "pixels": "".join(squares),
        "bell_path": f"M10 125L{bell}L230 125Z",
        "here_path": f"M{120 + 40 * x_t[PIXEL]:.2f} 118v14",
        "now_path": f"M{across[i]:.2f} 10V125",
        **{
            f"{name}_path": "M" + "L".join(
                f"{x:.1f} {125 - 110 * y:.1f}" for x, y in zip(across, numbers[name], strict=True)
            )
            for name in ("signal", "noise")
        },
    }  # fmt: skip


def figure(ending: str) -> str:
    """The figure as HTML, in one of the languages of WORDS."""
    numbers = data()
    return Holes(TEMPLATE.read_text(encoding="utf-8")).substitute(
        WORDS[ending],
        **drawing(numbers, START),
        data=json.dumps(numbers, separators=(",", ":")),
        start=START,
        last=len(numbers["times"]) - 1,
        T=numbers["times"][-1],
        mark_x=10 * (PIXEL % 8),
        mark_y=10 * (PIXEL // 8),
    )


def page(ending: str) -> str:
    """The page in Markdown."""
    words = WORDS[ending]
    parts = (
        f"# {words['title']}",
        words["above"],
        JUMP,
        RAW.format(figure(ending)),
        words["below"],
    )
    return "\n\n".join(parts) + "\n"


JUMP = r"""```math
x_t = \sqrt{\bar\alpha_t}\; x_0 + \sqrt{1 - \bar\alpha_t}\; \varepsilon
```"""
RAW = "````{{raw}} html\n{}\n````"


if __name__ == "__main__":
    for name in WORDS:
        (Path(sys.argv[1]) / f"noise{name}.md").write_text(page(name), encoding="utf-8")
