"""What a command's process ends with; ``parity`` means something of its own by the first three."""

DONE = 0
FAILED = 1
"""Something outside: a full disk, too little memory."""

REFUSED = 2
"""Nothing was done; a line says what to give instead."""

NONFINITE = 3
"""Training stopped because of losses or gradients that are NaN or infinite."""

INTERRUPTED = 130
"""Ctrl-C ended it: what a shell reports for one."""
