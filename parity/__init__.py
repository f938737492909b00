"""Does a device compute what the reference says? Properties, and the command that checks them.

Each ``test_*.py`` holds the properties of one file of ``accelerated/``. A property is a function of
plain numbers and strings that compares the device with ``reference/``; its ``test_`` gives it
examples. Run them with ``ddpm-mindspore parity``, or with pytest:

    pytest --pyargs ddpm_mindspore.parity

(pytest reads ``--device`` and ``--examples`` only with ``-p ddpm_mindspore.parity.conftest`` as
well, or when it is given the folder's path.)
"""
