"""What people give for options becomes plain values, or is refused by name."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pytest

from ddpm_mindspore.reference.config import UnetConfig
from ddpm_mindspore.reference.plain import PathText, Unbounded, as_plain

HOME = str(Path("~").expanduser())


@pytest.mark.parametrize(
    ("given", "kind", "plain"),
    [
        (np.int64(3), int, 3),
        (np.uint8(3), int, 3),
        (3.0, int, 3),
        (1e5, int, 100_000),
        (np.float32(2.0), int, 2),
        (np.array(3), int, 3),
        (2**64 - 1, int, 2**64 - 1),
        (np.float32(0.5), float, 0.5),
        (np.float64(1e-4), float, 1e-4),
        (np.array(0.25), float, 0.25),
        (np.longdouble(0.5), float, 0.5),
        (2, float, 2.0),
        (np.int16(2), float, 2.0),
        (Fraction(1, 4), float, 0.25),
        (math.inf, Unbounded, math.inf),
        ("inf", Unbounded, math.inf),
        (np.float32("inf"), Unbounded, math.inf),
        (np.True_, bool, True),
        (np.array(False), bool, False),
        (1, bool, True),
        (np.str_("l2"), str, "l2"),
        (Path("a"), str, "a"),
        (Path("~/a b"), PathText, f"{HOME}/a b"),
        ("~", PathText, HOME),
        ("~no-such-user/a", PathText, "~no-such-user/a"),
        ("~/a", Path, Path(HOME, "a")),
        ([1, 2], tuple[int, ...], (1, 2)),
        (range(1, 3), tuple[int, ...], (1, 2)),
        (np.array([1, 2]), tuple[int, ...], (1, 2)),
        ([np.int32(1), 2.0], tuple[int, ...], (1, 2)),
        (np.array([0.5, 0.75], np.float32), tuple[float, float], (0.5, 0.75)),
        (["cat", np.str_("dog")], tuple[str, ...], ("cat", "dog")),
        (None, int | None, None),
        (np.int64(4), int | None, 4),
        ([4, 8], int | tuple[int, int], (4, 8)),
        ([True, np.False_], bool | tuple[bool, ...] | None, (True, False)),
        ("default", float | Literal["default"], "default"),
        (np.float32(0.5), float | Literal["default"], 0.5),
        (np.int64(7), Annotated[int, "a remark of another library"], 7),
        (Path("~/a"), PathText | None, f"{HOME}/a"),
    ],
)
def test_what_is_meant_is_taken(given: Any, kind: Any, plain: Any) -> None:
    found = as_plain("option", given, kind)
    assert found == plain and type(found) is type(plain)
    if isinstance(plain, tuple):
        assert list(map(type, found)) == list(map(type, plain))


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        (20.5, int, "option 20.5 must be a whole number"),
        ("20", int, "option '20' must be a whole number"),
        (True, int, "option True must be a whole number"),
        (None, int, "option None must be a whole number"),
        (math.nan, int, "option nan must be a whole number"),
        (2**64, int, f"option {2**64} must be a whole number below 2 ** 64"),
        (np.array([3, 4]), int, "option [3, 4] must be a whole number"),
        (math.nan, float, "option nan must be a finite number"),
        (-math.inf, float, "option -inf must be a finite number"),
        ("inf", float, "option 'inf' must be a finite number"),
        (10**400, float, f"option {10**400} must be a finite number"),
        (False, float, "option False must be a finite number"),
        (1j, float, "option 1j must be a finite number"),
        (math.nan, Unbounded, "option nan must be a number"),
        ("nan", Unbounded, "option 'nan' must be a number"),
        (2, bool, "option 2 must be True or False"),
        ("yes", bool, "option 'yes' must be True or False"),
        (b"l2", str, "option b'l2' must be a text"),
        (3, str, "option 3 must be a text"),
        ("", PathText, "option '' must be the path of a file or folder"),
        ("", PathText | None, "option '' must be the path of a file or folder or None"),
        (7, Path, "option 7 must be the path of a file or folder"),
        ("cat", tuple[str, ...], "option 'cat' must be a tuple of texts"),
        (4, tuple[int, ...], "option 4 must be a tuple of whole numbers"),
        ((0.9,), tuple[float, float], "option (0.9,) must be 2 finite numbers"),
        ({1, 2}, tuple[int, ...], "option {1, 2} must be a tuple of whole numbers"),
        ((4, 4, 4), int | tuple[int, int], "(4, 4, 4) must be a whole number or 2 whole numbers"),
        (2**64, int | None, f"option {2**64} must be a whole number below 2 ** 64"),
        ("x", float | Literal["default"], "option 'x' must be a finite number or 'default'"),
        ({"dim": 8}, UnetConfig, "option {'dim': 8} must be a UnetConfig"),
    ],
)
def test_what_is_not_is_refused_by_its_name_and_value(given: Any, kind: Any, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        as_plain("option", given, kind)
    assert message in str(caught.value)


def test_a_configuration_is_plain_and_goes_through_json() -> None:
    config = UnetConfig(
        dim=np.int64(8),
        dim_mults=np.array([1, 2]),
        dropout=np.float32(0.5),
        self_condition=np.True_,
        attn_heads=[np.int8(1), 2.0],
    )
    assert config == UnetConfig(
        8, dim_mults=(1, 2), dropout=0.5, self_condition=True, attn_heads=(1, 2)
    )
    assert UnetConfig(**json.loads(json.dumps(asdict(config)))) == config
    assert hash(config) == hash(UnetConfig(**asdict(config)))
