"""glibc's allocator, set for training: with its defaults much of the time on a CPU goes to page faults.

Every large tensor is a fresh memory map there, given back when freed and faulted in again a moment later. With maps
off and a high trim threshold the freed pages stay in the process.
"""

import ctypes
import platform

M_TRIM_THRESHOLD = -1
M_MMAP_MAX = -4
TRIM_BYTES = 2**31 - 1


def keep_freed_memory() -> bool:
    """Tell glibc to keep freed memory, once, before the first large tensor; False where there is no glibc."""
    if platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    return bool(libc.mallopt(M_MMAP_MAX, 0) and libc.mallopt(M_TRIM_THRESHOLD, TRIM_BYTES))
