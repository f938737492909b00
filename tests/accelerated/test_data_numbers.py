"""Tables, series and recordings: what is read, on what scale, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import wavfile

from ddpm_mindspore.accelerated.data import open_images, read_items
from ddpm_mindspore.accelerated.data.recordings import to_unit, write_wav
from ddpm_mindspore.accelerated.data.scaling import Scaling, from_dict
from ddpm_mindspore.accelerated.data.table import read_header, read_table

ROWS = [[1.5, 10.0, -3.25], [2.5, 20.0, 4.0], [0.25, 60.0, 1.0], [4.0, 30.0, 0.5], [3.0, 5.0, 2.0]]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    lines = ["a,count,b", *(f"{a},{int(n)},{b}" for a, n, b in ROWS), ""]
    (tmp_path / "table.csv").write_text("\n".join(lines))
    return tmp_path / "table.csv"


def wav(path: Path, samples: Any, rate: int = 8000) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    wavfile.write(path, rate, samples)
    return path


@pytest.mark.parametrize("bounded", [False, True])
def test_a_line_of_a_table_is_a_vector_and_its_scaling_is_undone(
    table: Path, bounded: bool
) -> None:
    data = open_images(table, (), 3, bounded=bounded)
    assert data.shape == (3,) and len(data) == 5
    x = data.items(np.arange(5)).x
    if bounded:
        np.testing.assert_allclose((x.min(0), x.max(0)), ([0] * 3, [1] * 3), atol=1e-6)
    else:
        np.testing.assert_allclose(x.mean(0), 0, atol=1e-6)
        np.testing.assert_allclose(x.std(0), 1, rtol=1e-5)
    assert data.scaling is not None and data.scaling.decimals == (2, 0, 2)
    np.testing.assert_array_equal(data.scaling.undo(x), np.array(ROWS, np.float32))
    # What is drawn between two values ends after as many decimals as the column's do.
    assert data.scaling.undo(x + np.float32(1e-3))[0, 1] == 10.0
    told = json.loads(json.dumps(data.scaling.to_dict()))
    assert from_dict(told) == data.scaling and from_dict(None) is None
    shuffled = read_items(data, 0, 0, 5).x
    np.testing.assert_array_equal(np.sort(shuffled, 0), np.sort(x, 0))


def test_a_series_is_every_window_of_its_lines(table: Path) -> None:
    data = open_images(table, (2,), 2, leave_out=("count",), bounded=False)
    assert data.shape == (2, 2) and len(data) == 4
    x = data.items(np.array([0, 3])).x
    assert data.scaling is not None and data.scaling.columns == ("a", "b")
    expected = [[[1.5, 2.5], [-3.25, 4.0]], [[4.0, 3.0], [0.5, 2.0]]]
    np.testing.assert_allclose(data.scaling.undo(x), expected)
    again = open_images(table, (2,), 2, leave_out=("count",), bounded=False, scaling=data.scaling)
    np.testing.assert_array_equal(again.items(np.array([0, 3])).x, x)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_columns_are_separated_as_the_header_is(tmp_path: Path, separator: str) -> None:
    text = '﻿size|"a name"\n1|2e-3\n 3 |4\n'.replace("|", separator)
    (tmp_path / "t.csv").write_text(text, encoding="utf-8")
    found = read_table(tmp_path / "t.csv")
    assert found.columns == ("size", "a name") and found.decimals == (0, None)
    np.testing.assert_array_equal(found.values, [[1, 0.002], [3, 4]])
    assert read_header(tmp_path / "t.csv", ("size",)) == ("a name",)


@pytest.mark.parametrize(
    ("text", "leave_out", "message"),
    [
        ("a,b\n1,2\n3\n", (), "line 3: 1 values, where the header names 2 columns"),
        ("a,b\n1,\n", (), "line 2: 'b' is missing: remove the line, or leave the column out"),
        ("a,b\n1,2\n3,red\n", (), r"line 3: 'b' is 'red', no finite number.*--leave-out 'b'"),
        ("a,b\n1,2\nnan,3\n", (), "line 3: 'a' is 'nan', no finite number"),
        ("a,b\n1,2\n3,inf\n", (), "line 3: 'b' is 'inf', no finite number"),
        ("1,2\n3,4\n", (), "has no header: its first line has numbers"),
        ("a,a\n3,4\n", (), "names 'a' twice in its header"),
        ("a,\n3,4\n", (), "has a column without a name"),
        ("a,b\n", (), "has a header and no line of numbers"),
        ("", (), "is empty: give a CSV file"),
        ("a,b\n1,2\n", ("c",), "leave_out 'c' is no column of data: choose from a, b"),
        ("a,b\n1,2\n", ("a", "b"), "has no column left"),
        ("a,b\n1,2\n3,2\n", (), r"column 'b' is 2 in every line.*--leave-out b"),
        ("a,b,c\n1,2,3\n3,4,4\n", (), r"has 3 columns \(a, b, c\), where 2 are asked for"),
    ],
)
def test_what_is_no_table_of_numbers_is_refused_by_line_and_column(
    tmp_path: Path, text: str, leave_out: tuple[str, ...], message: str
) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        open_images(tmp_path / "t.csv", (), 2, leave_out=leave_out)


def test_other_refusals(table: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has 5 lines, fewer than the sequence length 6"):
        open_images(table, (6,), 3)
    with pytest.raises(ValueError, match=r"has columns a, count, b, where the run has x, y, z"):
        open_images(table, (), 3, scaling=Scaling("range", (0,) * 3, (1,) * 3, ("x", "y", "z")))
    with pytest.raises(ValueError, match="does not exist: give a CSV file"):
        open_images(tmp_path / "none.csv", (), 3)
    with pytest.raises(ValueError, match="cannot be read as a CSV file"):
        (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00a")
        open_images(tmp_path / "b.csv", (), 3)
    with pytest.raises(ValueError, match="leave_out 'a' is for the columns of a CSV file"):
        open_images("digits", (8, 8), 1, leave_out=("a",))
    with pytest.raises(ValueError, match="images lie in"):
        open_images("digits", (8, 8), 1, bounded=False)
    with pytest.raises(ValueError, match="NaN or infinite"):
        open_images(np.full((3, 2), np.nan), (), 2, bounded=False)
    with pytest.raises(ValueError, match="type uint8: give floats, or leave auto_normalize on"):
        open_images(np.zeros((3, 2), np.uint8), (), 2, bounded=False)


SOUND = np.sin(np.arange(50) / 3.0)


@pytest.mark.parametrize(
    ("samples", "step"),
    [
        (np.rint(SOUND * 32767).astype(np.int16), 2**-15),
        (np.rint(SOUND * (2**31 - 1)).astype(np.int32), 2**-31),
        (np.rint(SOUND * 127 + 128).astype(np.uint8), 2**-7),
        (SOUND.astype(np.float32), 1e-7),
        (SOUND, 0),
    ],
    ids=["16 bits", "32 bits", "8 bits", "float32", "float64"],
)
def test_samples_of_every_kind_lie_in_full_scale(tmp_path: Path, samples: Any, step: float) -> None:
    wav(tmp_path / "a.wav", samples)
    data = open_images(tmp_path, (10,), 1)
    assert data.shape == (1, 10) and len(data) == 5
    x = data.items(np.arange(5)).x  # nothing random: side by side
    np.testing.assert_allclose(2 * x.reshape(-1) - 1, SOUND, atol=1.6 * step + 2e-7)
    assert data.scaling is not None and data.scaling.rate == 8000


def test_windows_are_cut_where_chance_says_and_come_again(tmp_path: Path) -> None:
    stereo = np.stack([np.arange(40), -np.arange(40)], 1).astype(np.int16)
    wav(tmp_path / "d" / "long.wav", stereo)
    wav(tmp_path / "short.WAV", stereo[:7])
    data = open_images(tmp_path, (7,), 2)
    assert len(data) == 5 + 1
    x = read_items(data, 3, 0, 60).x
    np.testing.assert_array_equal(x, read_items(data, 3, 0, 60).x)
    assert data.scaling is not None
    left, right = np.rint(data.scaling.undo(x) * 2**15).transpose(1, 0, 2)
    np.testing.assert_array_equal(left, -right)
    np.testing.assert_array_equal(np.diff(left, axis=1), 1)
    assert left[:, 0].min() == 0 and 30 <= left[:, 0].max() <= 33
    assert len(np.unique(left[:, 0])) > 15
    standard = open_images(tmp_path, (7,), 2, bounded=False)
    assert standard.scaling is not None and standard.scaling.kind == "standard"
    both = np.concatenate([stereo, stereo[:7]]) / 2**15
    np.testing.assert_allclose(standard.scaling.offset, both.mean(0), rtol=1e-12)
    np.testing.assert_allclose(standard.scaling.scale, both.std(0), rtol=1e-9)


def test_a_wav_file_comes_back(tmp_path: Path) -> None:
    x = np.stack([SOUND, 3 * SOUND])
    write_wav(tmp_path / "a.wav", x, 44100)
    rate, samples = wavfile.read(tmp_path / "a.wav")
    assert rate == 44100 and samples.dtype == np.int16
    np.testing.assert_allclose(to_unit(samples).T, np.clip(x, -1, 1), atol=1e-4)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a.txt": None}, r"holds no WAV file \(its first file is 'a\.txt'\)"),
        ({"a.wav": None}, r"a\.wav' cannot be read as a WAV file"),
        ({"a.wav": (np.zeros((9, 2), np.int16), 8000)}, r"a\.wav' has 2 channels, where 1 are"),
        ({"a.wav": (np.zeros(5, np.int16), 8000)}, r"a\.wav' has 5 samples, fewer than the seq"),
        (
            {"a.wav": (np.zeros(9, np.int16), 8000), "b.wav": (np.zeros(9, np.int16), 4000)},
            r"b\.wav' has 4000 samples a second, .*a\.wav' has 8000",
        ),
        ({"a.wav": (np.full(9, 1.5, np.float32), 8000)}, r"samples from 1\.5 to 1\.5: scale them"),
        ({"a.wav": (np.full(9, np.nan, np.float32), 8000)}, "samples from nan to nan"),
    ],
)
def test_recordings_that_do_not_fit_are_refused_by_name(
    tmp_path: Path, files: dict[str, Any], message: str
) -> None:
    for name, what in files.items():
        if what is None:
            (tmp_path / name).write_text("no sound")
        else:
            wav(tmp_path / name, *what)
    with pytest.raises(ValueError, match=message):
        open_images(tmp_path, (8,), 1)


def test_silence_cannot_be_standardised(tmp_path: Path) -> None:
    wav(tmp_path / "a.wav", np.zeros(20, np.int16))
    with pytest.raises(ValueError, match="is silent: there is nothing to learn"):
        open_images(tmp_path, (8,), 1, bounded=False)
    with pytest.raises(ValueError, match="is no table: say how long"):
        open_images(tmp_path, (), 1)
