"""Having a command obey the modes of files, even where the tests run as root."""

from __future__ import annotations

import ctypes
import os

_DROP = 24
"""PR_CAPBSET_DROP: what a program that is started from here on cannot have."""

_PASS_BY_MODES = (1, 2, 3)
"""CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER."""


def obey_modes() -> None:
    """Give up what lets root pass by modes; to be called in a child before the program is started."""
    if os.geteuid() != 0:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in _PASS_BY_MODES:
        assert libc.prctl(_DROP, capability, 0, 0, 0) == 0, os.strerror(ctypes.get_errno())
