"""For all tests."""

from __future__ import annotations

import signal

from ddpm_mindspore.parity.report.workers import take_a_core

take_a_core()

# Who starts a runner in the background, or with nohup, has it ignore Ctrl-C or a closed terminal,
# and every process that it starts. What is tested here is what happens where nobody does.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
