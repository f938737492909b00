"""Graphs as they are kept: whole, and without the place where the operators' library lies."""

from __future__ import annotations

import numpy as np
import pytest
from mindspore import Tensor
from mindspore.train.mind_ir_pb2 import ModelProto

from ddpm_mindspore.accelerated import kernels
from ddpm_mindspore.accelerated.networks import layers
from ddpm_mindspore.accelerated.system import compile_cache, runtime
from ddpm_mindspore.accelerated.system.compile_cache import compiled
from ddpm_mindspore.accelerated.system.graph_file import LIBRARY, for_keeping, for_loading

HERE, THERE = b"/here/library.so", b"/quite/another/place" * 20 + b"/library.so"


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What is kept of a norm's graph, which is one compiled operator where there are any."""
    runtime.select_device()
    folder = tmp_path_factory.mktemp("graphs")
    with pytest.MonkeyPatch.context() as patch, runtime.compile_cache_allowed():
        patch.setenv(runtime.CACHE, str(folder))
        compiled(layers.RMSNorm(3))(Tensor(np.ones((1, 3, 4), np.float32)))
    (path,) = folder.iterdir()
    return path.read_bytes()[compile_cache.DIGEST :]


def texts(graph: bytes) -> list[bytes]:
    """What the attributes of its primitives say, by MindSpore's own reader."""
    model = ModelProto.FromString(graph)
    return [attribute.s for primitive in model.primitives for attribute in primitive.attribute]


def test_the_library_is_named_where_this_process_has_it(kept: bytes) -> None:
    assert texts(for_loading(kept, THERE)) == [text.replace(LIBRARY, THERE) for text in texts(kept)]
    assert for_keeping(for_loading(kept, THERE), THERE) == kept
    assert for_keeping(for_loading(kept, HERE), HERE) == kept
    if kernels.in_use():
        assert any(LIBRARY + b":normalize" in text for text in texts(kept))
        assert not any(LIBRARY in text for text in texts(for_loading(kept, HERE)))


def test_a_graph_that_ends_anywhere_else_is_not_kept(kept: bytes) -> None:
    for end in range(len(kept)):
        with pytest.raises(ValueError, match="written in part"):
            for_keeping(kept[:end], None)
    assert for_keeping(kept, None) == kept


def test_a_graph_that_names_the_library_elsewhere_is_not_kept(kept: bytes) -> None:
    model = ModelProto.FromString(for_loading(kept, HERE))
    model.graph.name = HERE.decode()
    with pytest.raises(ValueError, match="cannot be replaced"):
        for_keeping(model.SerializeToString(), HERE)


def test_what_is_no_graph_is_not_kept() -> None:
    with pytest.raises(ValueError, match="a field of kind 7"):
        for_keeping(b"\x0f", None)
