"""The schedules against the papers' numbers, and what every table must satisfy for every T."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ddpm_mindspore.reference.schedule import (
    MAX_BETA,
    SCHEDULES,
    Schedule,
    cosine_beta,
    linear_beta,
    make_schedule,
    posterior_coefficients,
    sigmoid_beta,
    spaced_timesteps,
)

STEPS = (1, 2, 3, 20, 21, 1000, 4000)
TABLES = [f.name for f in dataclasses.fields(Schedule) if f.name not in ("name", "T")]
every_schedule = pytest.mark.parametrize(
    "schedule",
    [make_schedule(n, T, zero_terminal_snr=z) for n in SCHEDULES for T in STEPS for z in (0, 1)],
    ids=lambda s: f"{s.name}-{s.T}-{'zero' if s.zero_terminal_snr else 'plain'}",
)


def test_linear_is_the_schedule_of_ho_et_al() -> None:
    beta = linear_beta(1000)
    assert (beta[0], beta[-1]) == pytest.approx((1e-4, 0.02), rel=1e-15)
    np.testing.assert_allclose(np.diff(beta), (0.02 - 1e-4) / 999, rtol=1e-9)
    # 2006.11239, section 4: L_T is about 1e-5 bits/dim, which follows from this alpha_bar_T.
    assert make_schedule("linear", 1000).alpha_bar[-1] == pytest.approx(4.0358e-5, rel=1e-4)


def test_linear_keeps_about_as_much_of_the_data_for_every_long_chain() -> None:
    ends = [make_schedule("linear", T).alpha_bar[-1] for T in (500, 1000, 2000, 4000)]
    assert max(ends) / min(ends) < 1.5
    np.testing.assert_allclose(linear_beta(4000)[[0, -1]], [2.5e-5, 0.005], rtol=1e-14)


@pytest.mark.parametrize("T", [1, 2, 3, 10, 19, 20, 21, 22])
def test_linear_stays_below_one_where_the_rule_does_not(T: int) -> None:
    beta = linear_beta(T)
    rule = np.linspace(0.1, 20.0, T) / T
    np.testing.assert_allclose(beta[rule < 1], rule[rule < 1], rtol=1e-14)
    assert np.all(beta[rule >= 1] == MAX_BETA)
    assert (beta[-1] == MAX_BETA) == (1 < T <= 20)


def test_cosine_is_the_schedule_of_nichol_and_dhariwal() -> None:
    T, s = 1000, 0.008
    schedule = make_schedule("cosine", T)
    t = np.arange(T)  # before the clipped last step
    f = np.cos((t / T + s) / (1 + s) * np.pi / 2) ** 2
    np.testing.assert_allclose(schedule.alpha_bar[:T], f / f[0], rtol=1e-10)
    assert schedule.beta[T] == MAX_BETA
    assert np.count_nonzero(cosine_beta(T) == MAX_BETA) == 1


def test_sigmoid_is_the_schedule_of_jabri_et_al() -> None:
    T = 1000
    schedule = make_schedule("sigmoid", T)
    assert schedule.alpha_bar[T // 2] == pytest.approx(0.5, rel=1e-12)  # it is odd about its middle
    np.testing.assert_allclose(
        schedule.alpha_bar[1 : T // 2], 1 - schedule.alpha_bar[T - 1 : T // 2 : -1], rtol=1e-9
    )
    quarter = (1 / (1 + np.exp(-3)) - 1 / (1 + np.exp(1.5))) / np.tanh(1.5)
    assert schedule.alpha_bar[T // 4] == pytest.approx(quarter, rel=1e-12)
    assert np.count_nonzero(sigmoid_beta(T) == MAX_BETA) == 1


@every_schedule
def test_tables_obey_their_definitions(schedule: Schedule) -> None:
    s = schedule
    for name in TABLES:
        table = getattr(s, name)
        assert table.shape == (s.T + 1,) and table.dtype == np.float64, name
        assert np.all(np.isfinite(table[1:])), name
    assert (s.beta[0], s.alpha[0], s.alpha_bar[0], s.snr[0]) == (0.0, 1.0, 1.0, np.inf)
    assert np.all(s.beta[1:] > 0) and np.all(s.beta <= (1.0 if s.zero_terminal_snr else MAX_BETA))
    assert np.all(np.diff(s.alpha_bar) < 0) and np.all(np.diff(s.snr[1:]) < 0)
    np.testing.assert_allclose(s.alpha + s.beta, 1, rtol=1e-15)
    np.testing.assert_allclose(s.alpha_bar[1:], s.alpha_bar[:-1] * s.alpha[1:], rtol=1e-14)
    np.testing.assert_allclose(s.sqrt_alpha_bar**2, s.alpha_bar, rtol=1e-15)
    np.testing.assert_allclose(s.sqrt_one_minus_alpha_bar**2 + s.alpha_bar, 1, rtol=1e-15)
    np.testing.assert_allclose(s.snr[1:] * (1 - s.alpha_bar[1:]), s.alpha_bar[1:], rtol=1e-14)


@every_schedule
def test_posterior_tables_are_equation_7(schedule: Schedule) -> None:
    s, before, now = schedule, slice(0, -1), slice(1, None)
    rest, rest_before = 1 - s.alpha_bar[now], 1 - s.alpha_bar[before]
    coef_x0 = np.sqrt(s.alpha_bar[before]) * s.beta[now] / rest
    coef_xt = np.sqrt(s.alpha[now]) * rest_before / rest
    # 1 - alpha loses as many digits of beta as beta is smaller than 1.
    np.testing.assert_allclose(s.posterior_mean_coef_x0[now], coef_x0, rtol=1e-10)
    np.testing.assert_allclose(s.posterior_mean_coef_xt[now], coef_xt, rtol=1e-10)
    np.testing.assert_allclose(s.posterior_var[now], s.beta[now] * rest_before / rest, rtol=1e-10)
    np.testing.assert_array_equal(np.log(np.maximum(s.posterior_var, 1e-20)), s.posterior_log_var)
    at_1 = (s.posterior_mean_coef_x0[1], s.posterior_mean_coef_xt[1], s.posterior_var[1])
    assert at_1 == (1.0, 0.0, 0.0)
    assert s.posterior_log_var[1] == np.log(1e-20)


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_posterior_over_several_steps_undoes_the_forward_jump(name: str) -> None:
    """Drawing x_t, then x_s given it, must give the x_s that one jump from x_0 gives."""
    a = make_schedule(name, 50).alpha_bar
    for t, s in [(50, 20), (31, 30), (7, 1), (3, 0)]:
        coef_x0, coef_xt, var = posterior_coefficients(a[t], a[s])
        assert coef_x0 + coef_xt * np.sqrt(a[t]) == pytest.approx(np.sqrt(a[s]), rel=1e-12)
        assert coef_xt**2 * (1 - a[t]) + var == pytest.approx(1 - a[s], rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("T", [2, 3, 1000])
def test_zero_terminal_snr_is_algorithm_1(name: str, T: int) -> None:
    plain, zero = make_schedule(name, T), make_schedule(name, T, zero_terminal_snr=True)
    assert zero.alpha_bar[T] == 0.0 and zero.beta[T] == 1.0 and zero.snr[T] == 0.0
    assert zero.zero_terminal_snr and not plain.zero_terminal_snr
    assert zero.alpha_bar[1] == pytest.approx(plain.alpha_bar[1], rel=1e-14)
    first, last = plain.sqrt_alpha_bar[[1, T]]
    share = (plain.sqrt_alpha_bar[1:] - last) / (first - last)
    np.testing.assert_allclose(zero.sqrt_alpha_bar[1:], share * first, rtol=1e-12)


def test_zero_terminal_snr_of_a_single_step_is_pure_noise() -> None:
    schedule = make_schedule("cosine", 1, zero_terminal_snr=True)
    assert schedule.alpha_bar.tolist() == [1.0, 0.0] and schedule.beta.tolist() == [0.0, 1.0]


def test_schedules_are_frozen() -> None:
    schedule = make_schedule("linear", 10)
    for name in TABLES:
        with pytest.raises(ValueError, match="read-only"):
            getattr(schedule, name)[1] = 0.5
    with pytest.raises(dataclasses.FrozenInstanceError):
        schedule.T = 11  # type: ignore[misc]


@pytest.mark.parametrize("T", [0, -1, 2.0, True, "10", None])
def test_T_must_be_a_positive_integer(T: object) -> None:
    for rule in (linear_beta, cosine_beta, sigmoid_beta, lambda T: make_schedule("cosine", T)):
        with pytest.raises(ValueError, match=r"T .* choose an integer of at least 1"):
            rule(T)  # type: ignore[arg-type]


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError) as caught:
        make_schedule("foo", 10)
    expected = "beta_schedule 'foo' is unknown: choose linear, cosine, sigmoid or scaled_linear"
    assert str(caught.value) == expected


@pytest.mark.parametrize("T", [1, 2, 7, 100, 1000])
def test_spaced_timesteps_descend_evenly_for_every_number(T: int) -> None:
    for n in range(1, T + 1):
        path = spaced_timesteps(T, n)
        assert len(path) == n and path[0] == T and path[-1] >= 1
        gaps = -np.diff([*path, 0])
        assert gaps.min() >= 1 and gaps.max() - gaps.min() <= 1
    assert spaced_timesteps(T, T) == tuple(range(T, 0, -1))


def test_spaced_timesteps_are_the_usual_ones() -> None:
    """Counted from 0, they are floor(linspace(-1, T - 1, n + 1)), down to but without -1."""
    for T, n in [(1000, 250), (1000, 30), (200, 7), (4000, 64)]:
        usual = np.floor(np.linspace(-1, T - 1, n + 1) + 1e-9)[:0:-1] + 1
        assert list(spaced_timesteps(T, n)) == usual.tolist()


@pytest.mark.parametrize("n", [0, 11, -1, 2.5])
def test_spaced_timesteps_refuse_other_numbers(n: int) -> None:
    with pytest.raises(ValueError, match=r"n .* choose an integer from 1 to 10"):
        spaced_timesteps(10, n)
