"""``torch-fidelity``: one set of drawn weights, equal images, features and distances."""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mindspore import Tensor

from ddpm_mindspore.accelerated.evaluation.features import feature_weights, levels
from ddpm_mindspore.accelerated.networks.inception import Inception, Prepare
from ddpm_mindspore.reference.config.inception import INCEPTION, SIDE
from ddpm_mindspore.reference.evaluation.frechet import frechet_distance
from ddpm_mindspore.reference.networks.inception import features, prepared, resized

STAND_INS = {
    "torchvision": (),
    "torchvision.datasets": ("CIFAR10", "CIFAR100", "STL10"),
    "torchvision.transforms": (),
    "torchvision.transforms.functional": (),
}
"""What other parts of it import, which are not asked."""


@pytest.fixture(scope="module")
def theirs() -> Iterator[Any]:
    """Imports one of its modules."""
    with pytest.MonkeyPatch.context() as patch:
        for name, attributes in STAND_INS.items():
            module = types.ModuleType(name)
            for attribute in attributes:
                setattr(module, attribute, object)
            patch.setitem(sys.modules, name, module)
        # Without its __init__, which imports all parts; their bases and friends are not asked.
        package = types.ModuleType("torch_fidelity")
        spec = find_spec("torch_fidelity")
        assert spec is not None
        package.GenerativeModelModuleWrapper = object  # type: ignore[attr-defined]
        package.__path__ = list(spec.submodule_search_locations or ())
        patch.setitem(sys.modules, "torch_fidelity", package)
        yield lambda name: importlib.import_module(f"torch_fidelity.{name}")


@pytest.fixture(scope="module")
def extractor(theirs: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """Their network in float64, and the file that both read, as old PyTorch wrote it."""
    rng = np.random.default_rng(0)
    state = {}
    for name, shape in INCEPTION.shapes.items():
        if name.endswith("running_var") or name.endswith("bn.weight"):
            value = rng.uniform(0.5, 1.5, shape)
        else:
            value = rng.normal(size=shape) * 1.3 / np.sqrt(np.prod(shape[1:], initial=1))
        state[name] = torch.tensor(value, dtype=torch.float32)
    path = tmp_path_factory.mktemp("inception") / "drawn.pth"
    torch.save(state, path, _use_new_zipfile_serialization=False)
    module = theirs("feature_extractor_inceptionv3")
    network = module.FeatureExtractorInceptionV3("drawn", ["2048"], str(path)).double()
    network.feature_extractor_internal_dtype = torch.float64  # asked for, version 0.4.0 is float32
    return network, path


@pytest.mark.parametrize("size", [(32, 32), (8, 20), (512, 300), (299, 299), (1, 1)])
def test_images_are_resized_alike(theirs: Any, size: tuple[int, int], table: Any) -> None:
    """To the bit, in float32."""
    module = theirs("interpolate_compat_tensorflow")
    x = np.random.default_rng(1).integers(0, 256, (2, 3, *size)).astype(np.float32)
    resize = module.interpolate_bilinear_2d_like_tensorflow1x
    expected = resize(torch.tensor(x), size=(SIDE, SIDE), align_corners=False).numpy()
    found = resized(x, (SIDE, SIDE))
    np.testing.assert_array_equal(found, expected)
    device = Prepare(size)(Tensor(x)).asnumpy() * 128.0 + 128.0
    error = float(np.abs(device - expected).max())
    table.add(f"FID's resizing, {size}, on the device", f"{error:.1e} of 255", "1e-4")
    assert error < 1e-4


def test_features(extractor: tuple[Any, Path], table: Any) -> None:
    network, path = extractor
    weights = feature_weights("inception", path)
    assert weights is not None
    params = {name: value.astype(np.float64) for name, value in weights.params.items()}
    pooled: list[Any] = []  # before it is rounded to float32
    network.AvgPool.register_forward_hook(lambda *call: pooled.append(call[2].numpy()))
    # In float64 they do not round where pixels come from, which TensorFlow does.
    for size, bound in ((SIDE, 1e-12), (32, 1e-6)):
        images = np.random.default_rng(2).integers(0, 256, (2, 3, size, size)).astype(np.uint8)
        x = np.stack([levels(image) for image in images])
        with torch.no_grad():
            network(torch.tensor(images))
        expected = pooled[-1].reshape(2, -1)
        exact = features(params, INCEPTION, prepared(x.astype(np.float64)))
        scale = np.abs(expected).max()
        error = float(np.abs(exact - expected).max() / scale)
        table.add(f"FID's features, {size} pixels", f"{error:.1e}", f"{bound:.0e}")
        assert error < bound
        device = Inception(INCEPTION, weights.params)(Prepare((size, size))(Tensor(x))).asnumpy()
        error = float(np.abs(device - expected).max() / scale)
        table.add(f"FID's features, {size} pixels, on the device", f"{error:.1e}", "1e-5")
        assert error < 1e-5


def test_statistics(theirs: Any, table: Any) -> None:
    """Covariances divided by n - 1, and the distance between them."""
    module = theirs("metric_fid")
    rng = np.random.default_rng(3)
    x, y = (
        rng.normal(size=(300, 40)),
        0.2 + rng.normal(size=(200, 40)) @ np.diag(np.linspace(0.5, 2.0, 40)),
    )
    one, other = (module.fid_features_to_statistics(torch.tensor(rows)) for rows in (x, y))
    (expected,) = module.fid_statistics_to_metric(one, other, False).values()
    found = frechet_distance(x, y)
    table.add("FID of equal features", f"{abs(found / expected - 1.0):.1e}", "1e-10")
    assert found == pytest.approx(expected, rel=1e-10)
