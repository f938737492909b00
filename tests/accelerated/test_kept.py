"""Samples that are kept: gone on with by the same, given up by another, never someone else's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ddpm_mindspore.accelerated.runs.kept import Kept, digest
from ddpm_mindspore.accelerated.runs.own import is_drawing

BY = {"versions": {"ddpm-mindspore": "1"}, "seed": 3, "sides": (2, 2)}
ITEMS = np.arange(48, dtype=np.uint8).reshape(12, 1, 2, 2)


def kept(folder: Path, number: int = 8, **more: Any) -> Kept:
    return Kept(folder, number, (1, 2, 2), {**BY, **more})


def test_the_same_goes_on_and_asks_for_more(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "evaluation"
    with kept(folder) as first:
        assert first.finished == 0
        first.add(ITEMS[:3])
        np.testing.assert_array_equal(np.load(folder / "samples.npy"), ITEMS[:3])
        first.add(ITEMS[3:5])
    assert is_drawing(folder)
    with kept(folder) as second:
        assert second.finished == 5
        second.add(ITEMS[5:8])
        np.testing.assert_array_equal(second.items(), ITEMS[:8])
    with kept(folder, 12) as more:
        assert more.finished == 8
        more.add(ITEMS[8:])
    with kept(folder, 4) as fewer:
        assert fewer.finished == 4
        np.testing.assert_array_equal(fewer.items(), ITEMS[:4])
    assert len(np.load(folder / "samples.npy")) == 12


def test_what_another_has_drawn_makes_room(tmp_path: Path) -> None:
    with kept(tmp_path) as first:
        first.add(ITEMS[:3])
    (tmp_path / "evaluation.json").write_text("{}")
    with kept(tmp_path, seed=4) as other:
        assert other.finished == 0
        other.add(ITEMS[:1])
        np.testing.assert_array_equal(other.items(), ITEMS[:1])
    assert (tmp_path / "evaluation.json").exists()


def test_damaged_samples_are_drawn_again(tmp_path: Path) -> None:
    with kept(tmp_path) as first:
        first.add(ITEMS[:3])
    (tmp_path / "samples.npy").write_bytes(b"no array")
    with kept(tmp_path) as again:
        assert again.finished == 0


def test_what_is_someone_elses_stays(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("")
    with pytest.raises(ValueError, match=r"holds 'thesis.txt', and no samples"), kept(tmp_path):
        pass
    drawn = tmp_path / "drawn"
    drawn.mkdir()
    (drawn / "drawn.json").write_text('{"version": 1, "versions": {"ddpm-mindspore": "1"}}')
    with pytest.raises(ValueError, match="no samples that an evaluation kept"), kept(drawn):
        pass
    with kept(tmp_path / "a"), pytest.raises(ValueError, match="another process"):
        kept(tmp_path / "a").__enter__()
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="cannot be written"), kept(tmp_path / "file"):
        pass


def test_floats_of_what_is_no_image_are_kept_as_they_are(tmp_path: Path) -> None:
    values = np.linspace(-3, 3, 6, dtype=np.float32).reshape(3, 2)
    with Kept(tmp_path, 3, (2,), BY) as folder:
        folder.add(folder.form.units(values))
        np.testing.assert_array_equal(folder.items(), values)
        assert folder.form.noun == "vectors"


def test_weights_have_a_digest() -> None:
    a = {"x": np.zeros(2, np.float32), "y": np.ones(2, np.float32)}
    assert digest(a) == digest(dict(reversed(a.items())))
    assert digest(a) != digest({**a, "y": np.full(2, 2, np.float32)})
