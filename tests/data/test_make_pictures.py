"""The script that made the pictures: right crops, no seams, the same file again."""

from __future__ import annotations

import importlib.util
import io
import json
import lzma
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="module")
def script() -> ModuleType:
    path = Path(__file__).with_name("make_pictures.py")
    spec = importlib.util.spec_from_file_location("make_pictures", path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["make_pictures"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_picture_is_cut_widened_and_reduced(script: ModuleType, tmp_path: Path) -> None:
    """A red bar on transparent white: the white is seen nowhere."""
    pixels = np.full((90, 100, 4), (255, 255, 255, 0), np.uint8)
    pixels[20:80, 30:50] = (200, 0, 0, 255)
    Image.fromarray(pixels).save(tmp_path / "bar.png")
    small = script.reduced(tmp_path / "bar.png")
    assert small.shape == (4, 32, 32) and (small[1:3] == 0).all()
    rows, columns = (np.flatnonzero((small[3] > 127).any(axis)) for axis in (1, 0))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (1, 30, 11, 20)
    assert (small[:3] <= small[3]).all() and small[0, 16, 16] == 200


def test_only_what_has_a_name_and_both_styles_is_taken(script: ModuleType, tmp_path: Path) -> None:
    signs = {"1F431": "Animals & Nature", "1F436": "Animals & Nature", "1F697": "Travel & Places"}
    rows = [
        {"unified": code, "category": group, "sort_order": -number}
        for number, (code, group) in enumerate({**signs, "263A-FE0F": "Smileys & Emotion"}.items())
    ]
    told = {"🐱": {"default": ["猫", "脸"], "tts": ["猫"]}, "☺": {"tts": ["微笑"]}}
    files = {
        "google/emoji.json": json.dumps(rows),
        "names/annotations/zh/annotations.json": json.dumps({"annotations": {"annotations": told}}),
    }
    for code in ("1f431", "1f436", "1f697", "263a-fe0f"):
        files[f"google/img/google/64/{code}.png"] = ""
        files[f"fluent/assets/{code}.webp"] = ""
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    packages = {name: tmp_path / name for name in ("google", "fluent", "names")}
    found = script.concepts(packages)
    assert found == [
        ("263a-fe0f", "smileys", "微笑", ()),
        ("1f431", "animals", "猫", ("脸",)),
    ]
    (tmp_path / "fluent/assets/1f431.webp").unlink()
    assert len(script.concepts(packages)) == 1


def test_the_same_pictures_make_the_same_file(script: ModuleType) -> None:
    things = [script.Concept("1f431", "animals", "猫", ("脸",))]
    pixels = np.arange(2 * 32 * 32 * 4, dtype=np.uint8).reshape(2, 1, 32, 32, 4)
    content = script.packed(things, pixels)
    assert content == script.packed(things, pixels)
    archive = np.load(io.BytesIO(lzma.decompress(content)))
    assert np.array_equal(archive["pixels"], pixels)
    assert json.loads(archive["concepts"].tobytes()) == [["1f431", "animals", "猫", ["脸"]]]
