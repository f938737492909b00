"""What the network is asked for, and how its answer is scored.

The network may predict the noise, the data or a velocity (OBJECTIVES); given x_t each of them is
known from any other, so they differ only in the scale of what the network sees
(``preconditioning``) and in how errors at different t are weighed.
"""

from __future__ import annotations

import autograd.numpy as np

from .config.diffusion import LOSSES as LOSSES
from .config.diffusion import OBJECTIVES as OBJECTIVES
from .config.diffusion import SIGMA_DATA, check_terminal_snr, check_weight_rule
from .plain import check_choice
from .preconditioning import LEAST_S, edm_target, x0_from_edm, x0_from_flow
from .process import check_arguments, check_arrays, v_from_x0, x0_from_eps, x0_from_v
from .schedule import Array, Schedule, Table


def target(
    schedule: Schedule,
    objective: str,
    x_0: Array,
    t: Array,
    noise: Array,
    sigma_data: float = SIGMA_DATA,
) -> Array:
    """What the network should return at x_t = q_sample(schedule, x_0, t, noise).

    The noise (arXiv 2006.11239, eq. 14), x_0 itself, v (2202.00512, appendix D), noise - x_0
    (flow: 2209.03003, eq. 1) or EDM's (``preconditioning.edm_target``); of the shape of ``x_0``,
    (B, ...). Raises ValueError for an unknown objective, for pred_noise or edm on a schedule with
    zero terminal SNR, and for shapes, dtypes or times that do not fit.
    """
    check_objective(schedule, objective)
    check_arguments(schedule, t, x_0=x_0, noise=noise)
    if objective == "pred_noise":
        return noise
    if objective == "pred_v":
        return v_from_x0(schedule, x_0, t, noise)
    if objective == "flow":
        return noise - x_0
    if objective == "edm":
        return edm_target(schedule, x_0, t, noise, sigma_data)
    return x_0


def x0_from_output(
    schedule: Schedule,
    objective: str,
    x_t: Array,
    t: Array,
    output: Array,
    sigma_data: float = SIGMA_DATA,
) -> Array:
    """The estimate x0_hat that a network's output stands for, of the shape of ``x_t``, (B, ...).

    Raises ValueError as ``target`` does.
    """
    check_objective(schedule, objective)
    if objective == "pred_noise":
        return x0_from_eps(schedule, x_t, t, output)
    if objective == "pred_v":
        return x0_from_v(schedule, x_t, t, output)
    check_arguments(schedule, t, x_t=x_t, output=output)
    if objective == "flow":
        return x0_from_flow(schedule, x_t, t, output)
    if objective == "edm":
        return x0_from_edm(schedule, x_t, t, output, sigma_data)
    return output


def loss_weight(
    schedule: Schedule,
    objective: str,
    *,
    p2_loss_weight_gamma: float = 0.0,
    p2_loss_weight_k: float = 1.0,
    min_snr_loss_weight: bool = False,
    min_snr_gamma: float = 5.0,
    sigma_data: float = SIGMA_DATA,
) -> Table:
    """The weight of the loss at each t: float64, shape (T + 1,); entry 0 is 0 and never read.

    It is ``weight_at`` the schedule's signal-to-noise ratios, which has the rules.

    Raises ValueError for two rules at once, for parameters out of range, for an unknown objective
    and for pred_noise or edm on a schedule with zero terminal SNR.
    """
    check_objective(schedule, objective)
    weight = weight_at(
        schedule.snr[1:],
        objective,
        p2_loss_weight_gamma=p2_loss_weight_gamma,
        p2_loss_weight_k=p2_loss_weight_k,
        min_snr_loss_weight=min_snr_loss_weight,
        min_snr_gamma=min_snr_gamma,
        sigma_data=sigma_data,
    )
    table: Table = np.concatenate([[0.0], weight])
    return table


def weight_at(
    snr: Table,
    objective: str,
    *,
    p2_loss_weight_gamma: float = 0.0,
    p2_loss_weight_k: float = 1.0,
    min_snr_loss_weight: bool = False,
    min_snr_gamma: float = 5.0,
    sigma_data: float = SIGMA_DATA,
) -> Table:
    """The weight of the loss at signal-to-noise ratios, (signal / noise)^2, of any shape.

    By default 1 everywhere: the plain mean in the objective's own space (of edm this is the
    paper's: lambda(sigma) c_out^2 = 1). The two rules below weigh the error of eps, as multiple of
    that of the output: with r = signal / noise, r^2 = snr, it is snr for x_0, snr / (snr + 1) for
    v, (r / (r + 1))^2 for flow and sigma_data^2 snr / (sigma_data^2 snr + 1) for edm:

        p2 (arXiv 2204.00227), where p2_loss_weight_gamma > 0:  1 / (k + snr)^gamma
        min-SNR (arXiv 2303.09556, section 3.4):                min(snr, gamma) / snr

    x0_v_loss has a rule of its own, that of the velocity's error, (x0_hat - x_0) / s
    (2511.13720, table 1): 1 / max(s, 0.05)^2, with s = 1 / (r + 1).

    Raises ValueError for two rules at once, and for parameters out of range.
    """
    rule = p2_loss_weight_gamma, p2_loss_weight_k, min_snr_loss_weight, min_snr_gamma
    check_weight_rule(objective, *rule, sigma_data)
    of_eps = {
        "pred_noise": np.ones_like(snr),
        "pred_x0": snr,
        "pred_v": snr / (snr + 1.0),
        "flow": snr / (np.sqrt(snr) + 1.0) ** 2,
        "edm": sigma_data**2 * snr / (sigma_data**2 * snr + 1.0),
    }
    if objective == "x0_v_loss":
        weight = 1.0 / np.maximum(1.0 / (np.sqrt(snr) + 1.0), LEAST_S) ** 2
    elif min_snr_loss_weight:
        # min(snr, gamma) / snr, written so that it also holds at snr = 0.
        weight = 1.0 / np.maximum(1.0, snr / min_snr_gamma) * of_eps[objective]
    elif p2_loss_weight_gamma:
        weight = (p2_loss_weight_k + snr) ** -p2_loss_weight_gamma * of_eps[objective]
    else:
        weight = np.ones_like(snr)
    found: Table = weight
    return found


def simple_loss(output: Array, target: Array, weight: Array, loss_type: str = "l2") -> Array:
    """Mean over each image, times its weight, mean over the batch: a scalar.

    With the difference d = output - target, "l2" is d^2 (arXiv 2006.11239, eq. 14), "l1" is |d|,
    and "huber" is d^2 / 2 where |d| < 1 and |d| - 1/2 elsewhere.

    Args:
        output, target: floats of one shape (B, ...).
        weight: shape (B,), as ``loss_weight(...)[t]``; cast to the dtype of ``output``.

    Raises ValueError for an unknown loss_type and for shapes that do not fit.
    """
    check_choice("loss_type", loss_type, LOSSES)
    check_arrays(output=output, target=target)
    if weight.shape != output.shape[:1]:
        raise ValueError(
            f"weight has shape {weight.shape}, output has {output.shape}: "
            "weight needs one entry for each image"
        )
    d = output - target
    if loss_type == "l2":
        error = d**2
    elif loss_type == "l1":
        error = np.abs(d)
    else:
        # One formula for both branches: np.where would return float64 gradients for float32 data.
        inside = np.clip(np.abs(d), 0.0, 1.0)
        error = inside * (np.abs(d) - 0.5 * inside)
    each = np.mean(np.reshape(error, (len(weight), -1)), axis=1)
    loss: Array = np.mean(each * weight.astype(output.dtype))
    return loss


def check_objective(schedule: Schedule, objective: str) -> None:
    """Raise ValueError for an unknown objective, and for one that the schedule does not allow."""
    check_choice("objective", objective, OBJECTIVES)
    if schedule.zero_terminal_snr:
        check_terminal_snr(objective)
