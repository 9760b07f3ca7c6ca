"""No path leads anywhere: a Landlock ruleset that handles all there is and allows nothing.

Behind seccomp, which lets nobody open or connect anything, it is the second wall. Older kernels know less of it: the
first version closes the file system, the fourth TCP, the sixth signals and abstract sockets of others.
"""

from __future__ import annotations

from py_landlock import LandlockError, RulesetAttr, RulesetFd, create_ruleset, get_abi_version, restrict_self
from py_landlock.abi import get_supported_fs, get_supported_net, get_supported_scope


def empty_ruleset() -> RulesetFd:
    """The descriptor of a ruleset without any rule. Raises `OSError` where the kernel has no Landlock."""
    try:
        version = get_abi_version()
        return create_ruleset(
            RulesetAttr(get_supported_fs(version), get_supported_net(version), get_supported_scope(version))
        )
    except LandlockError as fault:
        raise OSError(str(fault)) from fault


def apply(ruleset: RulesetFd) -> None:
    """From here on, in this process. Raises `OSError`; needs no_new_privs."""
    try:
        restrict_self(ruleset, None)
    except LandlockError as fault:
        raise OSError(str(fault)) from fault
