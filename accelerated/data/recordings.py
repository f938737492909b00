"""A folder of WAV files, of which windows of one length are shown."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.io import wavfile

from .arrays import Chance, Draws, Images, Indices, Items
from .scaling import Scaling, full_scale, standard

_CHUNK = 2**20  # samples looked at together
# What a sample of each type is divided by, after something was taken off.
_FULL_SCALE = {"uint8": (128.0, 128.0), "int16": (0.0, 2.0**15), "int32": (0.0, 2.0**31)}


class Recording(NamedTuple):
    """One file: samples (n, C) as they lie on the disk, and how many there are a second."""

    name: str
    samples: NDArray[Any]
    rate: int

    def window(self, start: int, length: int) -> NDArray[np.float64]:
        """(C, length) in -1..1."""
        return to_unit(self.samples[start : start + length]).T


class Recordings(Images):
    """Windows of recordings, as many as lie side by side in them; each is cut at a random place.

    Where nothing is random they are those that lie side by side.
    """

    draws = 1

    def __init__(self, recordings: Sequence[Recording], length: int, scaling: Scaling) -> None:
        channels = recordings[0].samples.shape[1]
        self.shape, self.scaling, self._scale = (channels, length), scaling, scaling.apply
        # With their lengths, which decide how many windows there are.
        self.names = [f"{r.name} ({len(r.samples):,} samples)" for r in recordings]
        self._recordings = recordings
        counts = [len(recording.samples) // length for recording in recordings]
        self._file = np.repeat(np.arange(len(counts)), counts)
        self._number = np.concatenate([np.arange(count) for count in counts])

    def __len__(self) -> int:
        return len(self._file)

    def items(
        self,
        indices: Indices,
        draws: Draws | None = None,
        chance: Chance | None = None,
        choice: Draws | None = None,
    ) -> Items:
        length = self.shape[1]
        windows = []
        for j, index in enumerate(indices):
            recording = self._recordings[self._file[index]]
            start = int(self._number[index]) * length
            if draws is not None:
                start = int(draws[j, 0] * (len(recording.samples) - length + 1))
            windows.append(recording.window(start, length))
        return Items(self._scale(np.stack(windows)))


def wav_files(folder: Path) -> list[Path]:
    """The WAV files in a folder, at any depth, in the order of their names."""
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() == ".wav" and p.is_file())


def open_recordings(
    folder: Path, length: int, channels: int, *, bounded: bool, scaling: Scaling | None = None
) -> Recordings:
    """Open a folder of WAV files (or one): 8, 16, 24 and 32 bits or floats, of one sample rate.

    Args:
        folder: where they are.
        length: samples in a window.
        channels: 1 mono, 2 stereo.
        bounded: full scale is that of the process; else they are standardised.
        scaling: one that is known already.

    Raises:
        ValueError: no WAV file, one that cannot be read, or one of other channels, another rate or
            fewer samples; the message names it.
    """
    files = wav_files(folder) if folder.is_dir() else [folder]
    if not files:
        first = next((p for p in sorted(folder.rglob("*")) if p.is_file()), None)
        shown = f" (its first file is {first.name!r})" if first else ""
        raise ValueError(f"data folder '{folder}' holds no WAV file{shown}: give a folder of them")
    root = folder if folder.is_dir() else folder.parent
    recordings = [_read(path, str(path.relative_to(root))) for path in files]
    for path, recording in zip(files, recordings, strict=True):
        count, found = recording.samples.shape
        if found != channels:
            raise ValueError(
                f"data '{path}' has {found} channels, where {channels} are asked for: convert it, "
                f"or choose --channels {found} for all"
            )
        if recording.rate != recordings[0].rate:
            raise ValueError(
                f"data '{path}' has {recording.rate} samples a second, '{files[0]}' has "
                f"{recordings[0].rate}: convert them to one rate"
            )
        if count < length:
            raise ValueError(
                f"data '{path}' has {count} samples, fewer than the sequence length {length}: "
                "choose shorter sequences (--sequence-length), or take the file away"
            )
    if scaling is None:
        rate = recordings[0].rate
        scaling = full_scale(channels, rate) if bounded else _standard(recordings, files, rate)
    if bounded:
        for path, recording in zip(files, recordings, strict=True):
            _check_range(path, recording)
    return Recordings(recordings, length, scaling)


def describe(path: Path) -> tuple[int, int]:
    """Channels and samples a second of a WAV file; ValueError where it cannot be read."""
    recording = _read(path, path.name)
    return recording.samples.shape[1], recording.rate


def to_unit(samples: NDArray[Any]) -> NDArray[np.float64]:
    """Samples of any type of WAV file as floats, full scale being -1..1."""
    zero, full = _FULL_SCALE.get(samples.dtype.name, (0.0, 1.0))
    return (samples.astype(np.float64) - zero) / full


def write_wav(path: Path | BinaryIO, x: NDArray[Any], rate: int) -> None:
    """Write (C, L) in -1..1 as 16-bit PCM; what lies beyond is cut."""
    samples = np.clip(np.rint(x * 2.0**15), -(2**15), 2**15 - 1).astype(np.int16)
    wavfile.write(path, rate, samples.T)


def _read(path: Path, name: str) -> Recording:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", wavfile.WavFileWarning)  # chunks that hold no samples
        try:
            try:
                rate, samples = wavfile.read(path, mmap=True)
            except ValueError:  # 24 bits have no type of their own: they cannot be mapped
                rate, samples = wavfile.read(path)
        except (OSError, ValueError, EOFError) as error:
            raise ValueError(f"data '{path}' cannot be read as a WAV file ({error})") from None
        except Exception as error:  # a damaged header raises anything
            raise ValueError(
                f"data '{path}' cannot be read as a WAV file ({type(error).__name__}: {error})"
            ) from None
    return Recording(name, samples.reshape(len(samples), -1), int(rate))


def _check_range(path: Path, recording: Recording) -> None:
    if recording.samples.dtype.kind != "f":
        return
    for start in range(0, len(recording.samples), _CHUNK):
        part = recording.samples[start : start + _CHUNK]
        low, high = part.min(), part.max()
        if not (low >= -1.0 and high <= 1.0):
            raise ValueError(
                f"data '{path}' has samples from {low!s} to {high!s}: scale them to -1..1, or "
                "standardise them (--no-auto-normalize)"
            )


def _standard(recordings: Sequence[Recording], files: Sequence[Path], rate: int) -> Scaling:
    channels = recordings[0].samples.shape[1]
    count, total, square = 0, np.zeros(channels), np.zeros(channels)
    for path, recording in zip(files, recordings, strict=True):
        for start in range(0, len(recording.samples), _CHUNK):
            part = to_unit(recording.samples[start : start + _CHUNK])
            if not np.isfinite(part).all():
                raise ValueError(f"data '{path}' has samples that are NaN or infinite: correct it")
            count, total, square = count + len(part), total + part.sum(0), square + (part**2).sum(0)
    mean = total / count
    deviation = np.sqrt(square / count - mean**2)
    if not deviation.min() > 0.0:
        raise ValueError(f"data '{files[0].parent}' is silent: there is nothing to learn")
    return standard(mean, deviation, rate)
