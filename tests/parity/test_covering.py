"""The fixed examples: every pair of options is in one of them."""

from __future__ import annotations

from itertools import combinations, product

import pytest

from ddpm_mindspore.parity.examples.covering import covering
from ddpm_mindspore.parity.examples.networks import NETWORK_OPTIONS, pairs_of_options
from ddpm_mindspore.reference.config import UnetConfig

SMALL = {"a": (1, 2), "b": ("x", "y", "z"), "c": (None, True), "d": (0.5,)}


@pytest.mark.parametrize("options", [SMALL, NETWORK_OPTIONS], ids=["small", "networks"])
def test_every_pair_of_values_is_in_a_row(options: dict[str, tuple[object, ...]]) -> None:
    rows = covering(options)
    for a, b in combinations(options, 2):
        met = [(row[a], row[b]) for row in rows]
        assert all(pair in met for pair in product(options[a], options[b]))


def test_rows_are_few() -> None:
    assert len(covering(SMALL)) == 6  # as many as the pairs of b with a
    sizes = sorted(map(len, NETWORK_OPTIONS.values()))
    assert len(covering(NETWORK_OPTIONS)) < 2 * sizes[-1] * sizes[-2]


def test_the_fixed_networks_can_be_built_and_have_every_option() -> None:
    cases = pairs_of_options()
    configs = [UnetConfig(**case["net"]) for case in cases]
    for case, config in zip(cases, configs, strict=True):
        config.check_image_size(case["size"])
    for name in UnetConfig.__dataclass_fields__:
        assert len({getattr(config, name) for config in configs}) > 1, name
