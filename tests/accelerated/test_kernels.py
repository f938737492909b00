"""The compiled operators for the CPU: when they are used, any shape, any number of threads."""

from __future__ import annotations

import io
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, ops

from ddpm_mindspore.accelerated import kernels
from ddpm_mindspore.accelerated.kernels.waiting import AnnouncementWaiter
from ddpm_mindspore.accelerated.networks import layers, operators
from ddpm_mindspore.accelerated.system import runtime

ONEDNN = Path(ms.__file__).parent / "lib" / "libdnnl.so.3"

needs_library = pytest.mark.skipif(
    not kernels.in_use(), reason=f"no compiled operators: {kernels.describe()}"
)


@pytest.fixture(autouse=True, scope="module")
def device() -> None:
    runtime.select_device()


# Opens the library with some threads, in another process, and prints what it computes.
THREADED = """
import ctypes, sys, numpy as np
library, onednn, threads = sys.argv[1:]
library = ctypes.CDLL(library)
library.ddpm_kernels_open.restype = ctypes.c_char_p
assert library.ddpm_kernels_open(onednn.encode(), int(threads)) is None

def call(name, *arrays):
    n, shapes = len(arrays), [(ctypes.c_int64 * a.ndim)(*a.shape) for a in arrays]
    pointers = (ctypes.c_void_p * n)(*[ctypes.addressof(s) for s in shapes])
    data = (ctypes.c_void_p * n)(*[a.ctypes.data for a in arrays])
    ndims = (ctypes.c_int * n)(*[a.ndim for a in arrays])
    assert getattr(library, name)(n, data, ndims, pointers, None, None, None) == 0

rng = np.random.default_rng(0)
draw = lambda *shape: rng.standard_normal(shape).astype(np.float32)
x, w, b, y = draw(5, 21, 17, 15), draw(24, 21, 3, 3), draw(24), draw(5, 24, 17, 15)
out, dx, dw, db = (np.empty_like(a) for a in (y, x, w, b))
call("convolution", x, w, b, out)
call("convolution_input_gradient", x, w, y, dx)
call("convolution_weight_gradient", x, w, y, dw, db)
u, g, m, d = draw(4, 32, 600), draw(1, 32, 1, 1), draw(1, 64), draw(4, 32, 600)
norm, du, dg, dm = (np.empty_like(a) for a in (u, u, g, m))
call("normalize_silu", u, g, m, norm)
call("normalize_silu_gradient", u, g, m, d, du, dg, dm)
gamma, beta, settings = draw(32), draw(32), np.array([4, 1e-5], np.float32)
group, dgroup, dgamma, dbeta = (np.empty_like(a) for a in (u, u, gamma, beta))
call("standardize", u, gamma, beta, settings, group)
call("standardize_gradient", u, gamma, settings, d, dgroup, dgamma, dbeta)
tokens, dtokens = draw(700, 96, 1), draw(700, 96, 1)
gain, shift, one = draw(96), draw(96), np.array([1, 1e-5], np.float32)
layer, dlayer, dgain, dshift = (np.empty_like(a) for a in (tokens, tokens, gain, shift))
call("standardize", tokens, gain, shift, one, layer)
call("standardize_gradient", tokens, gain, one, dtokens, dlayer, dgain, dshift)
qkv, memory, up = draw(3, 3 * 2 * 8, 70), draw(2, 2, 8, 4), draw(3, 16, 70)
heads = np.array([2, 4], np.float32)
attended = []
for which in ("pixel_attention", "linear_attention"):
    own, dqkv, dmemory = (np.empty_like(a) for a in (up, qkv, memory))
    call(which, qkv, memory, heads, own)
    call(which + "_gradient", qkv, memory, heads, up, dqkv, dmemory)
    attended += own, dqkv, dmemory
wide, half = draw(900, 64), draw(900, 32)
gated, dwide = np.empty_like(half), np.empty_like(wide)
call("geglu", wide, gated)
call("geglu_gradient", wide, half, dwide)
results = (out, dx, dw, db, norm, du, dg, dm, group, dgroup, dgamma, dbeta)
np.savez(sys.stdout.buffer, *results, layer, dlayer, dgain, dshift, *attended, gated, dwide)
"""


def draw(*shape: int) -> Tensor:
    return Tensor(np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32))


def gradients(function: Any, *inputs: Tensor) -> Sequence[Any]:
    """The result, and the gradients of its product with fixed numbers by the inputs."""

    weight = Tensor(np.random.default_rng(0).standard_normal(99_999).astype(np.float32))

    def loss(*args):  # type: ignore[no-untyped-def]
        out = function(*args)
        return (out.reshape(-1) * weight[: out.size]).sum(), out

    grad = ms.value_and_grad(loss, tuple(range(len(inputs))), has_aux=True)
    (_, out), parts = ms.jit(grad)(*inputs)
    return [out.asnumpy(), *(part.asnumpy() for part in parts)]


def close(one: Sequence[Any], other: Sequence[Any]) -> None:
    for a, b in zip(one, other, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=0, atol=2e-5 * max(1e-3, np.abs(b).max()))


CONVOLUTIONS = [
    (1, 1, 1, (1, 1), 1, 1),
    (1, 1, 1, (1, 1), 3, 1),
    (1, 1, 3, (5, 3), 7, 1),
    (2, 3, 7, (9, 4), 3, 1),
    (3, 17, 5, (6, 10), 1, 1),
    (2, 24, 16, (8, 8), 3, 1),
    (1, 1, 1, (2, 2), 2, 2),
    (3, 5, 9, (6, 4), 2, 2),
    # Large enough to be shared among threads.
    (5, 24, 33, (15, 17), 3, 1),
    (2, 40, 24, (32, 32), 1, 1),
    (4, 16, 48, (16, 24), 2, 2),
]


@needs_library
@pytest.mark.parametrize(("batch", "dim", "dim_out", "size", "kernel", "stride"), CONVOLUTIONS)
def test_any_shape_convolves_as_the_stock_operator_does(
    monkeypatch: pytest.MonkeyPatch,
    batch: int,
    dim: int,
    dim_out: int,
    size: tuple[int, int],
    kernel: int,
    stride: int,
) -> None:
    inputs = draw(batch, dim, *size), draw(dim_out, dim, kernel, kernel), draw(dim_out)
    compiled = operators.Convolution(dim_out, kernel, stride)
    assert compiled.exact is not None
    monkeypatch.setenv(runtime.KERNELS, "stock")
    stock = operators.Convolution(dim_out, kernel, stride)
    assert stock.exact is None
    close(gradients(compiled, *inputs), gradients(stock, *inputs))


@needs_library
@pytest.mark.parametrize(("groups", "stride"), [(6, 1), (6, 2), (2, 1)])
def test_groups_of_channels_have_filters_of_their_own(
    monkeypatch: pytest.MonkeyPatch, groups: int, stride: int
) -> None:
    size = (9, 7) if stride == 2 else (8, 6)  # no margin at every second pixel
    inputs = draw(2, 6, *size), draw(12, 6 // groups, 3, 3), draw(12)
    compiled = operators.Convolution(12, 3, stride, groups)(*inputs)
    monkeypatch.setenv(runtime.KERNELS, "stock")
    stock = operators.Convolution(12, 3, stride, groups)(*inputs)
    assert compiled.shape == (2, 12, size[0] // stride, size[1] // stride)
    np.testing.assert_allclose(compiled.asnumpy(), stock.asnumpy(), atol=1e-5)


@needs_library
@pytest.mark.parametrize(
    ("batch", "dim", "pixels", "modulations"),
    [(1, 1, 1, 1), (2, 3, 15, 1), (3, 2, 16, 3), (2, 5, 257, 2), (1, 4, 600, 1), (3, 40, 777, 3)],
)
def test_any_shape_is_normalised_as_the_stock_operators_do(
    batch: int, dim: int, pixels: int, modulations: int
) -> None:
    x, g, modulation = draw(batch, dim, pixels), draw(1, dim, 1, 1), draw(modulations, 2 * dim)
    if modulations == batch == 1:
        x = x + 3.0
    close(gradients(kernels.CompiledNormalize(), x, g), gradients(operators.Normalize(), x, g))
    both = kernels.CompiledNormalizeSilu(), operators.NormalizeSilu()
    close(*(gradients(cell, x, g, modulation) for cell in both))


@needs_library
def test_large_values_and_zeros_stay_numbers_and_a_nan_stays_one() -> None:
    x = np.zeros((1, 2, 40), np.float32)
    x[0, :, 1] = 1e15
    g = np.full((1, 2, 1, 1), 1.5, np.float32)
    modulation = np.array([[0.0, 0.0, 500.0, -500.0]], np.float32)
    out = kernels.CompiledNormalizeSilu()(*map(Tensor, (x, g, modulation))).asnumpy()
    np.testing.assert_allclose(out[0, 0], 500.0, rtol=0.01)
    np.testing.assert_allclose(out[0, 1], 0.0, atol=1e-30)
    x[0, 0, 3] = np.nan
    out = kernels.CompiledNormalizeSilu()(*map(Tensor, (x, g, modulation))).asnumpy()
    assert np.isnan(out[0, :, 3]).all()
    assert np.isfinite(np.delete(out, 3, 2)).all()


@needs_library
@pytest.mark.parametrize(
    ("batch", "dim", "pixels", "groups"),
    [(1, 1, 1, 1), (2, 6, 1, 3), (3, 8, 5, 2), (1, 4, 4097, 2), (300, 40, 1, 4), (6, 48, 300, 8)],
)
def test_groups_are_standardised_as_the_stock_operator_does(
    batch: int, dim: int, pixels: int, groups: int
) -> None:
    x, gamma, beta = draw(batch, dim, pixels) + 0.5, draw(dim), draw(dim) * 0.5
    both = (k(groups, 1e-3) for k in (kernels.CompiledGroupNormalize, operators.GroupNormalize))
    close(*(gradients(cell, x, gamma, beta) for cell in both))


@needs_library
@pytest.mark.parametrize(("tokens", "dim"), [(1, 1), (3, 5), (64, 16), (65, 17), (700, 96)])
def test_tokens_are_standardised_as_the_stock_operator_does(tokens: int, dim: int) -> None:
    x, gamma, beta = draw(tokens, dim) + 0.5, draw(dim), draw(dim) * 0.5
    both = (k(1e-3) for k in (kernels.CompiledLayerNormalize, operators.LayerNormalize))
    close(*(gradients(cell, x, gamma, beta) for cell in both))


@needs_library
def test_operators_that_differ_in_what_they_were_told_are_told_apart() -> None:
    """Eagerly, on arguments of the same shapes."""
    x, weight, bias = draw(2, 3, 7, 9), draw(3, 3, 3, 3), draw(3)
    strides = [operators.Convolution(3, 3, stride)(x, weight, bias).shape for stride in (1, 2)]
    assert strides == [(2, 3, 7, 9), (2, 3, 3, 4)]


def computed_with(threads: int, program: str = THREADED) -> list[Any]:
    """What another process computes with so many threads."""
    command = [sys.executable, "-c", program, str(runtime.kernel_library()), str(ONEDNN)]
    done = subprocess.run([*command, str(threads)], capture_output=True, check=True)
    with np.load(io.BytesIO(done.stdout)) as arrays:
        return [arrays[name] for name in arrays.files]


@needs_library
def test_any_number_of_threads_computes_the_same() -> None:
    alone = computed_with(1)
    for threads in (2, 3, 7):
        several = computed_with(threads)
        close(several, alone)
        for a, b in zip(several[4:], alone[4:], strict=True):
            np.testing.assert_array_equal(a, b)


# Thousands of small operators, close upon each other and after pauses, from two threads at a time.
HURRIED = (
    THREADED.split("rng =")[0]
    + """
import threading, time
rng = np.random.default_rng(0)
y, d = (rng.standard_normal((400, 100)).astype(np.float32) for _ in range(2))
expected = y * (d - (y * d).sum(-1, keepdims=True))
failed = []

def work(pause):
    for i in range(3000):
        out = np.zeros_like(y)
        call("softmax_gradient", y, d, out)
        if np.abs(out - expected).max() > 1e-3:
            failed.append(i)
        if i % 100 == pause:
            time.sleep(0.003)  # longer than a thread looks for work

both = [threading.Thread(target=work, args=(pause,)) for pause in (0, 50)]
for thread in both:
    thread.start()
for thread in both:
    thread.join()
assert not failed, failed[:5]
"""
)


@needs_library
@pytest.mark.parametrize("threads", [2, 5])
def test_threads_neither_lose_work_nor_do_it_twice(threads: int) -> None:
    command = [sys.executable, "-c", HURRIED, str(runtime.kernel_library()), str(ONEDNN)]
    subprocess.run([*command, str(threads)], check=True, timeout=120)


@needs_library
def test_what_a_graph_announces_is_waited_for_asleep() -> None:
    announce = kernels.Announce()

    @ms.jit
    def function(x, y):  # type: ignore[no-untyped-def]
        for _ in range(20):
            x = ops.softmax(x @ y, -1)
        return announce(x.sum(), y.sum())

    x, y = draw(700, 700), draw(700, 700)
    expected = [result.asnumpy() for result in function(x, y)]
    listener = AnnouncementWaiter()
    for _ in range(3):
        results = function(x, y)
        begin, busy = time.perf_counter(), time.thread_time()
        listener.wait(results[0])
        assert time.thread_time() - busy < 0.5 * (time.perf_counter() - begin)
        np.testing.assert_array_equal([result.asnumpy() for result in results], expected)


@needs_library
def test_what_is_never_announced_does_not_hold_up_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    listener = AnnouncementWaiter()
    monkeypatch.setattr(listener, "_limit", 0.1)
    listener.wait(draw(3))
    assert listener._limit == 0.2


@needs_library
def test_ctrl_c_is_heeded_while_waiting() -> None:
    handler = signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with pytest.raises(KeyboardInterrupt):
            AnnouncementWaiter().wait(draw(3))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)


OPEN = """
import ctypes, sys
opened = ctypes.CDLL(sys.argv[1]).ddpm_kernels_open
opened.restype = ctypes.c_char_p
for onednn in sys.argv[2:]:
    print((opened(onednn.encode(), 2) or b"ready").decode())
"""


def opened_with(*onednn: Path) -> list[str]:
    """What the library says to each of these, one after another in one process."""
    command = [sys.executable, "-c", OPEN, str(runtime.kernel_library()), *map(str, onednn)]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    return done.stdout.splitlines()


@needs_library
def test_another_onednn_is_refused_and_leaves_nothing_behind(tmp_path: Path) -> None:
    assert opened_with(tmp_path / "none.so", ONEDNN) == ["oneDNN cannot be loaded", "ready"]
    if shutil.which("cc") is None:
        pytest.skip("no compiler to make another library with")
    for minor in (9, 10):
        source = tmp_path / f"{minor}.c"
        source.write_text(
            "struct { int major, minor, patch; const char* hash; unsigned cpu, gpu; } v = "
            f'{{3, {minor}, 0, "", 8, 0}};\nconst void* dnnl_version(void) {{ return &v; }}\n'
        )
        made = ["cc", "-shared", "-fPIC", "-o", source.with_suffix(".so"), source]
        subprocess.run(made, check=True)
    assert opened_with(tmp_path / "9.so", tmp_path / "10.so", ONEDNN) == [
        "oneDNN is not version 3.10 with a thread pool",
        "oneDNN lacks dnnl_engine_create",
        "ready",
    ]


# Calls every operator in a library that was opened in vain.
UNOPENED = """
import ctypes, sys
library = ctypes.CDLL(sys.argv[1])
library.ddpm_kernels_open(b"none.so", 2)
shape = (ctypes.c_int64 * 4)(1, 1, 1, 1)
shapes = (ctypes.c_void_p * 8)(*[ctypes.addressof(shape)] * 8)
numbers = (ctypes.c_float * 8)()
data = (ctypes.c_void_p * 8)(*[ctypes.addressof(numbers)] * 8)
for name in sys.argv[2:]:
    assert getattr(library, name)(8, data, (ctypes.c_int * 8)(*[4] * 8), shapes, None, None, None)
"""


@needs_library
def test_an_operator_of_a_library_that_was_not_opened_says_so_once() -> None:
    sources = Path(kernels.__file__).parent.glob("*.py")
    names = [
        name for path in sources for name in re.findall(r'_operator\("(\w+)"', path.read_text())
    ]
    assert len(names) >= 9
    library = str(runtime.kernel_library())
    command = [sys.executable, "-c", UNOPENED, library, *names]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    (line,) = done.stderr.splitlines()
    assert line.startswith(
        f"ddpm-mindspore: operator {names[0]} of {library} failed: this process "
    )


# Lets no thread be started, whose stack would have 8 MiB, while the library is opened.
OPENS = "assert library.ddpm_kernels_open(onednn.encode(), int(threads)) is None"
CROWDED = f"""
import os, resource
ctypes.CDLL(onednn)
before = len(os.listdir("/proc/self/task"))
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 7 * 2**20, -1))
{OPENS}
resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
assert len(os.listdir("/proc/self/task")) == before
"""


@needs_library
def test_threads_that_cannot_be_started_are_done_without() -> None:
    both = computed_with(7), computed_with(7, THREADED.replace(OPENS, CROWDED))
    for several, alone in zip(*both, strict=True):
        np.testing.assert_array_equal(several, alone)


def test_without_the_library_stock_operators_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "kernel_library", lambda: None)
    assert not kernels.in_use()
    assert "not built" in kernels.describe()
    assert operators.Convolution(2, 3).exact is None
    assert isinstance(layers.RMSNorm(2).normalize, operators.Normalize)


def test_an_operator_that_is_not_in_use_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(runtime.KERNELS, "stock")
    with pytest.raises(RuntimeError, match="not in use here: DDPM_MINDSPORE_KERNELS=stock"):
        kernels.CompiledSoftmax()


@needs_library
def test_an_operator_that_the_library_lacks_is_named() -> None:
    with pytest.raises(RuntimeError, match=r"_cpu.abi3.so has no 'none': .* install"):
        kernels._operator("none", lambda x: x, 1)


def test_a_library_that_cannot_be_loaded_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "_cpu.so"
    broken.write_bytes(b"no library")
    monkeypatch.setattr(runtime, "kernel_library", lambda: broken)
    assert not kernels.in_use()
    assert "cannot be loaded" in kernels.describe()


def test_stock_operators_can_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(runtime.KERNELS, "stock")
    assert kernels.describe() == "stock MindSpore operators: DDPM_MINDSPORE_KERNELS=stock"
    assert isinstance(layers.RMSNorm(2).normalize, operators.Normalize)


@needs_library
def test_other_precisions_take_the_stock_operator() -> None:
    cell = operators.Convolution(3, 3)
    cell.compute = cell.result = ms.float16
    assert cell(draw(1, 2, 4, 4), draw(3, 2, 3, 3), None).dtype == ms.float16
