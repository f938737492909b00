"""Bugs in what the host computes once for both sides: tests of the reference have to catch them."""

from __future__ import annotations

from ..bug import Bug

_TESTS = "tests/reference/"
AVERAGE = (
    f"{_TESTS}test_optimizer.py::"
    "test_ema_weight_copies_after_the_first_step_then_leaves_copies_and_warms_up"
)
CLIMBS = f"{_TESTS}test_optimizer.py::test_learning_rate_climbs_to_its_value"
FALLS = f"{_TESTS}test_optimizer.py::test_the_cosine_ends_at_its_floor"
RAMP = f"{_TESTS}test_ema.py::test_average_of_a_ramp"
STRIDES = f"{_TESTS}test_ema.py::test_strides_late_in_training_make_the_same_average"
INTEGRAL = f"{_TESTS}test_ema.py::test_inner_product_is_the_integral"
DOUBLES = f"{_TESTS}test_precision.py::test_it_doubles_after_so_many_good_updates_in_a_row"
HALVES = f"{_TESTS}test_precision.py::test_an_overflow_halves_it_and_counts_anew"
FLOOR = f"{_TESTS}test_precision.py::test_it_does_not_fall_below_one"
WEIGHTS = f"{_TESTS}test_objective.py::test_p2_and_min_snr_of_the_noise_are_the_papers"

RULES = [
    Bug(
        "min-SNR is clamped the wrong way",
        "reference.objective.weight_at",
        "np.maximum(1.0, snr / min_snr_gamma)",
        "np.minimum(1.0, snr / min_snr_gamma)",
        WEIGHTS,
    ),
    Bug(
        "p2 weighs the easy steps most",
        "reference.objective.weight_at",
        "** -p2_loss_weight_gamma",
        "** p2_loss_weight_gamma",
        WEIGHTS,
    ),
    Bug(
        "the average is one step late",
        "reference.optimizer.ema_weight",
        "math.pow(1 + n - update_after_step",
        "math.pow(n - update_after_step",
        AVERAGE,
    ),
    Bug(
        "the average waits for as many steps as lie between its updates",
        "reference.optimizer.ema_weight",
        "n % update_every",
        "step % update_every",
        AVERAGE,
    ),
    Bug(
        "an average with a decay of 1 goes on moving",
        "reference.optimizer.ema_weight",
        "decay == 1.0",
        "decay > 1.0",
        AVERAGE,
    ),
    Bug(
        "warm-up starts at zero",
        "reference.optimizer.learning_rate",
        "(step / warmup_steps)",
        "((step - 1) / warmup_steps)",
        CLIMBS,
    ),
    Bug(
        "the learning rate falls during warm-up already",
        "reference.optimizer.learning_rate",
        "    q = (step - warmup_steps) / max(1, train_num_steps - warmup_steps)",
        "    q = step / max(1, train_num_steps)",
        FALLS,
    ),
    Bug(
        "the learning rate falls to zero",
        "reference.optimizer.learning_rate",
        "return min_lr + (lr - min_lr) *",
        "return lr *",
        FALLS,
    ),
    Bug(
        "an average's exponent is gamma, not gamma + 1",
        "reference.ema.power_weight",
        "gamma_of(sigma_rel) + 1.0",
        "gamma_of(sigma_rel)",
        RAMP,
    ),
    Bug(
        "late in training an average moves by one step's share at every stride",
        "reference.ema.power_weight",
        "math.pow(1.0 - n / step",
        "math.pow(1.0 - 1.0 / step",
        STRIDES,
    ),
    Bug(
        "the profile's ends are exchanged in the inner product",
        "reference.ema.profile_product",
        "math.pow(t_a / t_b, gamma_b)",
        "math.pow(t_a / t_b, gamma_a)",
        INTEGRAL,
    ),
    Bug(
        "the scale is not halved",
        "reference.precision.next_scale",
        "state.scale / 2.0",
        "state.scale",
        HALVES,
    ),
    Bug(
        "the scale falls below one",
        "reference.precision.next_scale",
        "max(1.0, state.scale / 2.0)",
        "state.scale / 2.0",
        FLOOR,
    ),
    Bug(
        "the scale grows one update late",
        "reference.precision.next_scale",
        "state.good + 1 == INTERVAL",
        "state.good == INTERVAL - 2",
        DOUBLES,
    ),
]
