"""Settings of glibc's allocator for training: with its defaults, much of the time on a CPU goes to page faults.

By default every large tensor is a memory map of its own, returned to the system when freed and faulted in again soon
after. Without maps and with a high trim threshold, freed pages stay in the process.
"""

import ctypes
import platform

M_TRIM_THRESHOLD = -1
M_MMAP_MAX = -4
TRIM_BYTES = 2**31 - 1


def keep_freed_memory() -> bool:
    """Make glibc keep freed memory; call it before the first large tensor. False without glibc."""
    if platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    return bool(libc.mallopt(M_MMAP_MAX, 0) and libc.mallopt(M_TRIM_THRESHOLD, TRIM_BYTES))
