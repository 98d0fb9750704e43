"""Becomes a server process: drops root, ties its life to the parent's, then executes.

Run as a file by processes.spawn, standard library only, in an interpreter without site-packages:

    launcher.py PARENT SIGNAL UID GID PROGRAM [ARGUMENT ...]

PARENT is the process whose death sends SIGNAL to the server (0: none). It is a program of its
own because code between fork and exec in a process with threads (preexec_fn) may deadlock.
Protocols: capabilities(7), prctl(2), credentials(7) of Linux. Elsewhere only the account changes.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_SECUREBITS = 28
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_SECBIT_NO_SETUID_FIXUP = 1 << 2
_CAP_DAC_OVERRIDE = 1
_CAP_DAC_READ_SEARCH = 2
_CAP_SETPCAP = 8
_CAPABILITY_VERSION_3 = 0x20080522

# Two triples of 32 bits each: effective, permitted, inheritable; ours are all in the first.
_CapabilitySets = ctypes.c_uint32 * 6
_CapabilityHeader = ctypes.c_uint32 * 2


def main(arguments: list[str]) -> None:
    """Execute PROGRAM in this process; returns only by raising OSError."""
    parent, death_signal, uid, gid = (int(argument) for argument in arguments[:4])
    command = arguments[4:]
    os.umask(0o077)
    # Both are inherited by exec: servers expect a clean slate, Python and its host change it.
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    if os.geteuid() != uid:
        _become(uid, gid)
    if parent and sys.platform == "linux":
        _die_with(parent, death_signal)
    os.execv(command[0], command)  # noqa: S606  # a shell between us and the server would be in the way


def _become(uid: int, gid: int) -> None:
    """Change from root to the account, keeping only the right to pass through closed folders.

    The data folder or the virtual environment may be below a folder like /root (mode 700).
    """
    capability = _passage() if sys.platform == "linux" else None
    if capability is not None:
        # Without this, setuid would drop the capability, and access(2), with which initdb
        # looks for its programs, would ignore it for every account but root.
        _prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP)
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    if capability is not None:
        _keep_only(capability)


def _passage() -> int | None:
    """The weakest capability we can hand on that opens closed folders, if there is one.

    Containers often lack the first. Without any, the folders must be open to the account.
    """
    sets = _CapabilitySets()
    _check(_libc().capget(_CapabilityHeader(_CAPABILITY_VERSION_3, 0), sets))
    permitted = [number for number in range(32) if sets[1] & (1 << number)]
    if _CAP_SETPCAP in permitted:  # the right to hand on at all
        for capability in (_CAP_DAC_READ_SEARCH, _CAP_DAC_OVERRIDE):
            if capability in permitted:
                return capability
    return None


def _keep_only(capability: int) -> None:
    bit = 1 << capability
    sets = _CapabilitySets(bit, bit, bit, 0, 0, 0)
    _check(_libc().capset(_CapabilityHeader(_CAPABILITY_VERSION_3, 0), sets))
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability)


def _die_with(parent: int, death_signal: int) -> None:
    # After the change of account, which would clear it.
    _prctl(_PR_SET_PDEATHSIG, death_signal)
    if os.getppid() != parent:  # it died before we asked
        sys.exit(f"the process {parent} that started this server is gone")


def _prctl(option: int, *values: int) -> None:
    padded = [ctypes.c_ulong(value) for value in (*values, 0, 0, 0, 0)[:4]]
    _check(_libc().prctl(ctypes.c_int(option), *padded))


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _check(result: int) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except OSError as error:
        sys.exit(f"cannot start {sys.argv[5]}: {error}")
