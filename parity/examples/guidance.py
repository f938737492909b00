"""Guidance of every kind, and walks that are guided."""

from __future__ import annotations

from hypothesis import strategies as st

from .runs import image_sizes
from .samplings import SAMPLING, samplings
from .values import Case, scales, seeds


@st.composite
def strengths(draw: st.DrawFn) -> Case:
    """The options of ``SamplingConfig`` that two estimates are combined by."""
    options: Case = {"cond_scale": draw(st.sampled_from((3.0, 0.0, 1.5)))}
    rest = {
        "guidance_rescale": st.sampled_from((0.7, 1.0)),
        "guidance_parallel": st.sampled_from((0.0, 0.3)),
        "guidance_norm": st.sampled_from((0.5, 100.0)),
        "guidance_momentum": st.sampled_from((-0.5, 0.25)),
    }
    chosen = draw(st.just(set(rest)) | st.sets(st.sampled_from(sorted(rest))))
    return {**options, **{name: draw(rest[name]) for name in sorted(chosen)}}


@st.composite
def combination_cases(draw: st.DrawFn) -> Case:
    """Two estimates and what changed before; the same shape for all, which compiles once."""
    return {"options": draw(strengths()), "scale": draw(scales()), "seed": draw(seeds())}


@st.composite
def guided_cases(draw: st.DrawFn) -> Case:
    """A walk of the small network, guided by itself, by another one or by a classifier."""
    by = draw(st.sampled_from(("class", "weak", "classifier")))
    options = draw(strengths())
    if draw(st.booleans()):
        options["guidance_interval"] = draw(st.sampled_from(((0.2, 3.0), (0.0, 1.0))))
    if by == "classifier":
        kept = ("cond_scale", "guidance_interval")
        options = {name: value for name, value in options.items() if name in kept}
    diffusion = draw(samplings())
    if by == "classifier" and diffusion["zero_terminal_snr"]:
        diffusion["zero_terminal_snr"] = False
    net: Case = {"dim": 4, "dim_mults": (1,), "channels": draw(st.sampled_from((1, 2)))}
    if by == "class" or draw(st.booleans()):
        net["num_classes"] = 3
    if draw(st.booleans()):
        net["self_condition"] = True
    if draw(st.booleans()):
        net["learned_variance"] = True
        rest = {k: v for k, v in diffusion.items() if k not in (*SAMPLING, "order")}
        diffusion = {**rest, **LEARNED}
    return {
        "net": net,
        "size": draw(image_sizes()),
        "diffusion": diffusion,
        "by": by,
        "options": options,
        "count": draw(st.sampled_from((3, 2))),
        "params": draw(st.integers(0, 2**16)),
    }


LEARNED: Case = {"sampler": "ancestral", "variance": "learned"}

FIXED: tuple[Case, ...] = tuple(
    {
        "net": {
            **{"dim": 4, "dim_mults": (1,), "channels": 2, "num_classes": 3},
            "self_condition": True,
            "learned_variance": walk.get("variance") == "learned",
        },
        "size": (2, 3),
        "diffusion": {"timesteps": 4, "objective": "pred_v", "clip_denoised": clip, **walk},
        "by": by,
        "options": options,
        "count": 3,
        "params": number,
    }
    for number, (by, clip, walk, options) in enumerate(
        (
            (
                "class",
                False,
                LEARNED,
                {
                    **{"cond_scale": 3.0, "guidance_rescale": 0.7, "guidance_parallel": 0.3},
                    **{"guidance_norm": 0.5, "guidance_momentum": -0.5},
                    "guidance_interval": (0.9, 50.0),
                },
            ),
            ("weak", True, {"sampling_timesteps": 3, "eta": 0.6}, {"cond_scale": 2.0}),
            ("classifier", False, {}, {"cond_scale": 1.5}),
        )
    )
)
"""Each kind once, with all that can be chosen."""
