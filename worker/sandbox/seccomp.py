"""Which system calls a child may make: those that decoding an open file into another takes, and no others.

The list was made by tracing every decoder (`strace`), and is as short as they allow. Compiled once, by the server:
libseccomp takes as long for it as a small image takes to decode.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os

import pyseccomp
from pyseccomp import EQ, ERRNO, MASKED_EQ, Arg

_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2  # linux/prctl.h, linux/seccomp.h
_PR_SET_NAME = 15
_CLONE_THREAD = 0x00010000  # linux/sched.h; the kernel wants a shared address space with it, so no process comes of it
_AT_EMPTY_PATH = 0x1000  # linux/fcntl.h: what glibc's fstat() is made of
_F_DUPFD, _F_GETFD, _F_GETFL, _F_DUPFD_CLOEXEC = 0, 1, 3, 1030  # linux/fcntl.h
_INSTRUCTION = 8  # bytes of a `struct sock_filter`

_ALLOWED = (
    *("read", "readv", "pread64", "write", "writev", "pwrite64", "lseek", "ftruncate", "fstat", "close", "dup"),
    *("brk", "munmap", "mremap", "madvise"),
    *("futex", "set_robust_list", "rseq", "sched_yield", "sched_getaffinity", "getpid", "gettid", "sysinfo"),
    *("rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "restart_syscall"),
    *("clock_gettime", "clock_getres", "gettimeofday", "clock_nanosleep", "nanosleep", "getrandom", "getrusage"),
    *("exit", "exit_group"),
)
_ALLOWED_IF = (
    ("clone", Arg(0, MASKED_EQ, _CLONE_THREAD, _CLONE_THREAD)),
    ("newfstatat", Arg(3, EQ, _AT_EMPTY_PATH)),
    ("prctl", Arg(0, EQ, _PR_SET_NAME)),  # libvips names its threads
    ("mmap", Arg(2, MASKED_EQ, mmap.PROT_EXEC, 0)),  # nothing that was written is ever run
    ("mprotect", Arg(2, MASKED_EQ, mmap.PROT_EXEC, 0)),
    *(("fcntl", Arg(1, EQ, command)) for command in (_F_DUPFD, _F_GETFD, _F_GETFL, _F_DUPFD_CLOEXEC)),
)
# Asked for in good faith, by those who can do without.
_DENIED = (
    ("clone3", errno.ENOSYS),  # its flags lie in memory, where no filter looks; glibc falls back to `clone`
    ("open", errno.EACCES),  # glibc's malloc looks for /proc/sys/vm/overcommit_memory
    ("openat", errno.EACCES),
    ("openat2", errno.EACCES),
    ("ioctl", errno.ENOTTY),  # Python asks of every file whether it is a terminal
    ("tgkill", errno.EPERM),  # abort(): without its signal it ends in an invalid instruction, a crash all the same
)


class _Program(ctypes.Structure):
    """`struct sock_fprog` of linux/filter.h."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def compiled() -> bytes:
    """The filter as the kernel takes it. Raises `OSError` where this libseccomp cannot make it."""
    rules = pyseccomp.SyscallFilter(pyseccomp.KILL_PROCESS)
    for name in _ALLOWED:
        rules.add_rule(pyseccomp.ALLOW, name)
    for name, argument in _ALLOWED_IF:
        rules.add_rule(pyseccomp.ALLOW, name, argument)
    for name, number in _DENIED:
        rules.add_rule(ERRNO(number), name)
    with os.fdopen(os.memfd_create("seccomp"), "w+b") as file:
        rules.export_bpf(file)
        file.seek(0)
        return file.read()


def apply(program: bytes) -> None:
    """From here on, in this process. Raises `OSError` where the kernel does not have it; needs no_new_privs."""
    libc = ctypes.CDLL(None, use_errno=True)
    wrapped = _Program(len(program) // _INSTRUCTION, program)
    if libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(wrapped), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "the seccomp filter could not be set")
