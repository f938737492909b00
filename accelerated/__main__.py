"""``python -m ddpm_mindspore.accelerated COMMAND`` is ``ddpm-mindspore COMMAND``."""

import sys

from .cli import main

sys.exit(main())
