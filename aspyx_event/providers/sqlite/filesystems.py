"""Finds out whether a file lies on another machine, where SQLite's locks and shared memory do not work."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Optional

_MOUNTS = Path("/proc/self/mountinfo")
_REMOTE = ("9p", "afs", "ceph", "cifs", "glusterfs", "lustre", "ncpfs", "smb3", "smbfs")
_REMOTE_BEGINNINGS = ("fuse.", "nfs")
_LOCAL_FUSE = ("fuse.fuse-overlayfs", "fuse.mergerfs", "fuse.ntfs", "fuse.ntfs-3g")


def remote_filesystem(path: str, mounts: Optional[str] = None) -> Optional[str]:
    """A sentence about it, if it is one; ``mounts`` is the text of Linux's mountinfo. Elsewhere nothing is found."""
    try:
        lines = (_MOUNTS.read_text() if mounts is None else mounts).splitlines()
    except OSError:
        return None
    best, kind = "", ""
    where = os.path.realpath(path)
    for line in lines:
        before, separator, after = line.partition(" - ")
        words = before.split()
        if not separator or len(words) < 5 or not after:
            continue
        point = words[4].replace("\\040", " ")
        inside = where == point or where.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, after.split()[0]
    if kind in _LOCAL_FUSE or not (kind in _REMOTE or kind.startswith(_REMOTE_BEGINNINGS)):
        return None
    return (
        f"{path!r} lies on {kind}, mounted at {best}: SQLite's locks do not hold between machines, and the file gets "
        "damaged as soon as two of them use it; put it on a disk of this machine"
    )
