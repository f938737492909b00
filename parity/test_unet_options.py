"""Networks in which every option of ``UnetConfig`` is another than by default."""

from __future__ import annotations

import pytest

from ddpm_mindspore.parity.examples.door_fixed import NETWORKS
from ddpm_mindspore.parity.examples.values import Case
from ddpm_mindspore.parity.test_unet import forward


@pytest.mark.parametrize("net", NETWORKS, ids=range(1, len(NETWORKS) + 1))
def test_options(net: Case) -> None:
    """the network's output, with options that no other property is sure to draw"""
    options(net)


def options(net: Case) -> None:
    """Two images at times far apart."""
    shown = net.get("self_condition", False)
    forward(net=net, size=(2, 4), time=(3.0, 500.0), self_cond=shown, seed=4, modes=("eager",))
