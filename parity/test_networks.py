"""The networks over sequences and vectors: forwards, gradients and whole training steps."""

from __future__ import annotations

from hypothesis import given

from ddpm_mindspore.parity.examples.networks import asked, sequence_networks, vector_networks
from ddpm_mindspore.parity.examples.training import of_network
from ddpm_mindspore.parity.examples.values import Case
from ddpm_mindspore.parity.report import budget
from ddpm_mindspore.parity.test_gradients import gradients
from ddpm_mindspore.parity.test_training import steps
from ddpm_mindspore.parity.test_unet import forward


@budget.examples(0.1)
@given(case=asked(sequence_networks()))
def test_sequences(case: Case) -> None:
    """the output of the U-Net over sequences, one operator at a time"""
    forward(**case, modes=("eager",))


@budget.examples(0.05)
@given(case=asked(sequence_networks(depths=(1,))))
def test_sequences_compiled(case: Case) -> None:
    """the output of the U-Net over sequences, as one graph that is used twice"""
    forward(**case, draws=2, modes=("compiled",))


@budget.examples(0.15)
@given(case=asked(vector_networks()))
def test_vectors(case: Case) -> None:
    """the output of the network over vectors, one operator at a time"""
    forward(**case, modes=("eager",))


@budget.examples(0.05)
@given(case=of_network(sequence_networks()))
def test_sequence_gradients(case: Case) -> None:
    """the loss of sequences and its gradient by every parameter, one operator at a time"""
    gradients(**case, modes=("eager",))


@budget.examples(0.05)
@given(case=of_network(vector_networks()))
def test_vector_gradients(case: Case) -> None:
    """the loss of vectors and its gradient by every parameter, one operator at a time"""
    gradients(**case, modes=("eager",))


@budget.examples(0.05)
@given(case=of_network(vector_networks(), steps=True))
def test_vector_steps(case: Case) -> None:
    """loss, norm, parameters, moments and average over a few steps on vectors, as one graph"""
    steps(**case, modes=("compiled",))
