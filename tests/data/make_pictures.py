"""Make ``accelerated/data/pictures.npz.xz``: small pictures of many things in two drawing styles.

    python tests/data/make_pictures.py [OUTPUT]

fetches three packages of the npm registry (``npm pack``, into a temporary folder that is removed),
and takes every emoji of three groups that both styles have and that has a Chinese name:

    emoji-datasource-google   pictures of 64x64 (Noto Emoji, Apache-2.0) and the groups (MIT)
    @lobehub/fluent-emoji-3d  pictures of 256x256 (Fluent Emoji, MIT)
    cldr-annotations-full     Chinese names and keywords (Unicode-3.0)

A picture is cut to what is not transparent, widened to a square, and reduced to 30x30 in the middle
of 32x32, its colours multiplied with their alpha: colours of what is transparent then never mix
with the others, which would leave a pale or dark seam. The same packages give the same file, byte
for byte, with the same Pillow. Needs npm, and Pillow with WebP.
"""

from __future__ import annotations

import argparse
import io
import json
import lzma
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

PACKAGES = {
    "google": "emoji-datasource-google@16.0.0",
    "fluent": "@lobehub/fluent-emoji-3d@1.1.0",
    "names": "cldr-annotations-full@48.2.0",
}
STYLES = ("google", "fluent")
GROUPS = {
    "Animals & Nature": "animals",
    "Food & Drink": "food",
    "Smileys & Emotion": "smileys",
}
SIDE, INNER = 32, 30
OUTPUT = Path(__file__).parents[2] / "accelerated" / "data" / "pictures.npz.xz"


class Concept(NamedTuple):
    """A thing: its code points, as 1f431; its group, Chinese name and keywords."""

    code: str
    group: str
    name: str
    keywords: tuple[str, ...]


def fetch(folder: Path) -> dict[str, Path]:
    """Fetch and unpack the packages; where each is."""
    found = {}
    for name, package in PACKAGES.items():
        home = folder / name
        home.mkdir()
        subprocess.run(["npm", "pack", "--silent", package], cwd=home, check=True)
        (archive,) = home.glob("*.tgz")
        with tarfile.open(archive) as packed:
            packed.extractall(home, filter="data")
        found[name] = home / "package"
    return found


def concepts(packages: dict[str, Path]) -> list[Concept]:
    """All things that have a picture in both styles and a name, in the order of Unicode."""
    emoji = json.loads((packages["google"] / "emoji.json").read_text(encoding="utf-8"))
    chinese = packages["names"] / "annotations" / "zh" / "annotations.json"
    told = json.loads(chinese.read_text(encoding="utf-8"))["annotations"]["annotations"]
    found = []
    for entry in sorted(emoji, key=lambda entry: entry["sort_order"]):
        code = entry["unified"].lower()
        sign = "".join(chr(int(part, 16)) for part in code.split("-"))
        known = told.get(sign) or told.get(sign.replace("\ufe0f", ""))
        if entry["category"] not in GROUPS or known is None or "tts" not in known:
            continue
        if not all(picture_file(packages, style, code).is_file() for style in STYLES):
            continue
        (name,) = known["tts"]
        keywords = tuple(word for word in known.get("default", ()) if word != name)
        found.append(Concept(code, GROUPS[entry["category"]], name, keywords))
    return found


def picture_file(packages: dict[str, Path], style: str, code: str) -> Path:
    """Where the picture of a thing is."""
    if style == "google":
        return packages["google"] / "img" / "google" / "64" / f"{code}.png"
    return packages["fluent"] / "assets" / f"{code}.webp"


def reduced(file: Path) -> NDArray[np.uint8]:
    """A picture as uint8 (4, 32, 32), its colours multiplied with alpha."""
    with Image.open(file) as image:
        picture = image.convert("RGBA")
    box = picture.getchannel("A").point(lambda alpha: 255 * (alpha > 8)).getbbox()
    assert box is not None, file
    side = max(box[2] - box[0], box[3] - box[1])
    left, top = (box[0] + box[2] - side) // 2, (box[1] + box[3] - side) // 2
    # What lies beyond the picture is transparent; "RGBa" has its colours multiplied.
    square = picture.crop((left, top, left + side, top + side)).convert("RGBa")
    small = square.resize((INNER, INNER), Image.Resampling.BICUBIC)
    pixels = np.zeros((SIDE, SIDE, 4), np.uint8)
    edge = (SIDE - INNER) // 2
    pixels[edge : edge + INNER, edge : edge + INNER] = np.asarray(small)
    pixels[..., :3] = np.minimum(pixels[..., :3], pixels[..., 3:])
    return pixels.transpose(2, 0, 1)


def packed(things: list[Concept], pixels: NDArray[np.uint8]) -> bytes:
    """The file: a NumPy archive of ``pixels`` (styles, concepts, 32, 32, 4) and ``concepts``, JSON.

    A text for each concept: [code, group, name, [keywords]]. Packed as a whole, by LZMA.
    """
    rows = [[thing.code, thing.group, thing.name, list(thing.keywords)] for thing in things]
    text = json.dumps(rows, ensure_ascii=False, separators=(",", ":")).encode()
    archive = io.BytesIO()
    np.savez(archive, pixels=pixels, concepts=np.frombuffer(text, np.uint8))
    return lzma.compress(archive.getvalue(), preset=9 | lzma.PRESET_EXTREME)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("output", nargs="?", type=Path, default=OUTPUT)
    output = parser.parse_args().output
    with tempfile.TemporaryDirectory() as folder:
        packages = fetch(Path(folder))
        things = concepts(packages)
        pictures = [
            [reduced(picture_file(packages, style, thing.code)) for thing in things]
            for style in STYLES
        ]
        content = packed(things, np.array(pictures).transpose(0, 1, 3, 4, 2))
    output.write_bytes(content)
    print(f"{output}: {len(things)} things in {len(STYLES)} styles, {len(content):,} bytes")


if __name__ == "__main__":
    main()
