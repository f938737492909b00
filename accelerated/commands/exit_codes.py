"""What a command's process ends with."""

DONE = 0
FAILED = 1
"""A full disk, too little memory; of ``parity``: a property that does not hold."""

REFUSED = 2
"""Wrong input: nothing was done, and a line says what to give instead."""

NONFINITE = 3
"""Training stopped because of losses or gradients that are NaN or infinite."""

INTERRUPTED = 130
"""Ctrl-C ended it: what a shell reports for one."""
