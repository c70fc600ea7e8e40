"""Calls to the kernel that no stage may make, refused by a seccomp filter.

Landlock says nothing of extended attributes: a process may set them on any file of its user's that
it can read, and so leave megabytes for another stage. `io_uring`, which makes calls that no filter
sees, can set them as well.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys
from collections.abc import Iterator, Mapping

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, MODE_FILTER = 38, 22, 2
LOAD, IF_EQUAL, IF_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06  # of classic BPF
NUMBER, ARCHITECTURE = 0, 4  # where they lie in what a filter reads
ALLOW, ERRNO = 0x7FFF_0000, 0x0005_0000
X32 = 0x4000_0000  # from here on the numbers are those of another convention of x86-64

IO_URING_SETUP, SETXATTRAT, REMOVEXATTRAT = 425, 463, 466  # the same everywhere
_32_BIT = (226, 227, 228, 235, 236, 237)
# machine -> architecture -> numbers of setxattr, lsetxattr, fsetxattr, and the same of removing
ATTRIBUTES: Mapping[str, Mapping[int, tuple[int, ...]]] = {
    "x86_64": {0xC000_003E: (188, 189, 190, 197, 198, 199), 0x4000_0003: _32_BIT},
    "aarch64": {0xC000_00B7: (5, 6, 7, 14, 15, 16), 0x4000_0028: _32_BIT},
}


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def refuse_calls() -> bool:
    """Refuse these calls to this process, and to all that it will start; return whether they are.

    Extended attributes are then as on a file system that has none, which what copies files knows.
    """
    known = ATTRIBUTES.get(os.uname().machine)
    if sys.platform != "linux" or known is None:
        return False
    written = b"".join(_filter(known))
    program = _Program(len(written) // 8, written)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
            return False
        return int(libc.prctl(PR_SET_SECCOMP, MODE_FILTER, ctypes.byref(program), 0, 0)) == 0
    except (OSError, AttributeError):
        return False


def _filter(known: Mapping[int, tuple[int, ...]]) -> Iterator[bytes]:
    """Yield the instructions of a filter: a test of each architecture, and of its numbers."""
    for architecture, numbers in known.items():
        refused = dict.fromkeys((*numbers, SETXATTRAT, REMOVEXATTRAT), errno.EOPNOTSUPP)
        refused[IO_URING_SETUP] = errno.EPERM
        tests = [(IF_EQUAL, number, why) for number, why in refused.items()]
        tests.append((IF_LEAST, X32, errno.ENOSYS))
        yield _step(LOAD, ARCHITECTURE)
        yield _step(IF_EQUAL, architecture, otherwise=2 * len(tests) + 2)
        yield _step(LOAD, NUMBER)
        for test, number, why in tests:
            yield _step(test, number, otherwise=1)
            yield _step(RETURN, ERRNO | why)
        yield _step(RETURN, ALLOW)
    yield _step(RETURN, ALLOW)


def _step(code: int, value: int, otherwise: int = 0) -> bytes:
    """Return an instruction; a test that fails leaves out so many that follow."""
    return struct.pack("=HBBI", code, 0, otherwise, value)
