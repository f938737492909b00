"""Bugs in keeping compiled graphs: the graph of something else, or one that is damaged.

The command keeps no graphs, so that ordinary tests have to catch them.
"""

from __future__ import annotations

from ..planting import Bug

FINGERPRINTS = "tests/accelerated/test_graph_options.py::"
CACHE = "tests/accelerated/test_compile_cache.py::"

GRAPHS = [
    Bug(
        "a graph's key ignores the shapes of the arguments",
        "system.fingerprint.fingerprint",
        ", *shapes(arguments)):",
        ",):",
        f"{FINGERPRINTS}test_shapes_and_types_of_a_batch_are_told_apart",
    ),
    Bug(
        "a graph's key ignores the types of the arguments",
        "system.fingerprint.shapes",
        '{argument.shape} {argument.dtype}"',
        '{argument.shape}"',
        f"{FINGERPRINTS}test_shapes_and_types_of_a_batch_are_told_apart",
    ),
    Bug(
        "a graph's key ignores the options of objects",
        "system.fingerprint._Walk._object",
        "sorted(attributes.keys() - left_out)",
        "sorted(attributes.keys() - left_out)[:0]",
        f"{FINGERPRINTS}test_every_option_of_a_graph_is_told_apart",
    ),
    Bug(
        "a graph's key ignores closures",
        "system.fingerprint._Walk._inside",
        "thing.__closure__ or ()",
        "()",
        f"{FINGERPRINTS}test_every_option_of_a_graph_is_told_apart",
    ),
    Bug(
        "a graph's key ignores what tables hold",
        "system.fingerprint._Walk._inside",
        '{array.dtype} {digest}"',
        '{array.dtype}"',
        f"{FINGERPRINTS}test_every_option_of_a_graph_is_told_apart",
    ),
    Bug(
        "a graph's key ignores the layers inside a network",
        "system.fingerprint._Walk._object",
        "yield from self._all(thing._cells.items())",
        "pass",
        f"{FINGERPRINTS}test_every_option_of_a_graph_is_told_apart",
    ),
    Bug(
        "a graph's key ignores the program",
        "system.fingerprint._program",
        "digest.update(hashlib.sha256(path.read_bytes()).digest())",
        "pass",
        f"{FINGERPRINTS}test_a_changed_line_is_another_program",
    ),
    Bug(
        "a damaged graph is taken for a whole one",
        "system.compile_cache.CompileCache._read",
        "hashlib.sha256(graph).digest()",
        "digest",
        f"{CACHE}test_a_graph_that_has_changed_since_it_was_kept_is_compiled_anew",
    ),
    Bug(
        "a graph that is used does not become younger",
        "system.compile_cache.CompileCache._read",
        "path.touch()",
        "path.exists()",
        f"{CACHE}test_the_oldest_graphs_make_room",
    ),
]
