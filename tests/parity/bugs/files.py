"""Bugs in what a run leaves on the disk. No property writes files: ordinary tests catch them."""

from __future__ import annotations

from ..planting import Bug

CHECKPOINT = "tests/accelerated/test_checkpoint.py::"
TRAINER = "tests/accelerated/test_trainer.py::"

RUN_FILES = [
    Bug(
        "the second moment is not saved",
        "trainer.state.snapshot",
        "_FILES.get(name, name)",
        '{**_FILES, "v": "adam_m"}.get(name, name)',
        f"{TRAINER}test_a_resumed_run_is_the_run_bit_for_bit",
    ),
    Bug(
        "parameters that are not trained are saved once only",
        "trainer.state.snapshot",
        'group == "model" or group.startswith("ema")',
        'group == "model"',
        f"{TRAINER}test_frequencies_that_are_not_trained_stay_and_are_shared",
    ),
    Bug(
        "good updates in a row are forgotten",
        "trainer.nonfinite.NonfiniteSteps.state",
        '"good_steps": self._scale.good',
        '"good_steps": 0',
        "tests/accelerated/test_nonfinite.py::test_good_updates_in_a_row_go_on_counting_where_they_were",
    ),
    Bug(
        "a checkpoint's checksums are not looked at",
        "runs.checkpoint._read_tensors",
        '_sha256(data) != entry["sha256"]',
        "not data",
        f"{CHECKPOINT}test_a_flipped_bit_anywhere_is_noticed",
    ),
    Bug(
        "the oldest checkpoints are kept, not the newest",
        "runs.checkpoint.prune",
        "[:keep_last]",
        "[-keep_last:]",
        f"{CHECKPOINT}test_old_checkpoints_are_pruned",
    ),
    Bug(
        "files get their names before they are on the disk",
        "system.files.write_new",
        "os.fsync(file.fileno())",
        "pass",
        f"{CHECKPOINT}test_all_is_flushed_before_it_gets_its_name_and_the_name_before_a_deletion",
    ),
    Bug(
        "a small file is written in place",
        "system.files.replace_file",
        "write_new(temporary, data, flush=flush)\n        temporary.replace(path)",
        "path.write_bytes(data)",
        f"{CHECKPOINT}test_write_json_replaces_whole_files_only",
    ),
]
