"""The unit's system call filter around a program, put up by libseccomp as systemd does it.

python -m tests.hardware_data.syscall_filter UNIT PROGRAM [ARGUMENT...]
"""

import ctypes
import errno
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

LIBSECCOMP: Final = "libseccomp.so.2"
ALLOW: Final = 0x7FFF0000
REFUSE: Final = 0x00050000 | errno.EPERM
UNKNOWN: Final = -1
"""seccomp_syscall_resolve_name(3): no such call on any machine; below it, not on this one."""
PR_SET_MDWE: Final = 65
MDWE_REFUSE_EXEC_GAIN: Final = 1


def settings(unit: Path, key: str) -> list[str]:
    """The values of ``key`` in the order of the file."""
    return re.findall(rf"^{re.escape(key)}=(.*)$", unit.read_text("utf-8"), re.MULTILINE)


def allowed_calls(unit: Path) -> set[str]:
    """What ``SystemCallFilter=`` lines leave over; the first says that it is a list of what is allowed."""
    allowed = set(expanded(["@default"]))
    for line in settings(unit, "SystemCallFilter"):
        calls = set(expanded(line.removeprefix("~").split()))
        allowed = allowed - calls if line.startswith("~") else allowed | calls
    return allowed


def expanded(names: Iterable[str]) -> Iterable[str]:
    """System calls of sets (``@name``) and of single names."""
    for name in names:
        if not name.startswith("@"):
            yield name
            continue
        listed = subprocess.run(
            ["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True
        ).stdout
        lines = (line.strip() for line in listed.splitlines()[1:])
        yield from expanded(line for line in lines if line and not line.startswith("#"))


def refuse_all_but(allowed: Iterable[str]) -> None:
    """Answer every other call with EPERM, for this thread and all that it starts."""
    library = ctypes.CDLL(LIBSECCOMP)
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.seccomp_init(REFUSE))
    for name in allowed:
        number = library.seccomp_syscall_resolve_name(name.encode())
        if number >= 0:
            _check(library.seccomp_rule_add(context, ALLOW, number, 0))
    _check(library.seccomp_load(context))


def refuse_executable_memory() -> bool:
    """``MemoryDenyWriteExecute=``, by the kernel's own means (6.3 and newer); returns whether it could."""
    return bool(ctypes.CDLL(None).prctl(PR_SET_MDWE, MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) == 0)


def _check(code: int) -> None:
    if code != 0:
        raise OSError(-code, os.strerror(-code))


def main() -> None:
    """Become the program that the arguments name, inside the filter."""
    allowed = allowed_calls(Path(sys.argv[1]))
    refuse_executable_memory()
    refuse_all_but(allowed)
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 - the point of it


if __name__ == "__main__":
    main()
