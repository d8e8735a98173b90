"""Files on other machines."""

from __future__ import annotations

import pytest

from aspyx_event.providers.sqlite.filesystems import remote_filesystem

MOUNTS = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:40 / /srv rw shared:2 - nfs4 server:/export rw,vers=4.2
31 30 254:1 / /srv/local rw - xfs /dev/vdb rw
32 22 0:41 / /mnt/my\\040share rw - cifs //server/share rw
33 22 0:42 / /home/me/far rw - fuse.sshfs me@far: rw
34 22 0:43 / /merged rw - fuse.mergerfs a:b rw
a line that is none
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/srv/events.db", "nfs4, mounted at /srv"),
        ("/mnt/my share/a/events.db", "cifs, mounted at /mnt/my share"),
        ("/home/me/far/events.db", "fuse.sshfs"),
    ],
)
def test_another_machine(path: str, kind: str) -> None:
    """A file on a network file system is found, with where that is mounted."""
    found = remote_filesystem(path, MOUNTS)
    assert found is not None
    assert kind in found


@pytest.mark.parametrize("path", ["/var/events.db", "/srv/local/events.db", "/srvx/events.db", "/merged/events.db"])
def test_this_machine(path: str) -> None:
    """A file on a disk of this machine is none, whatever is mounted around it."""
    assert remote_filesystem(path, MOUNTS) is None


def test_the_mounts_of_this_machine_can_be_read() -> None:
    """The real list of mounts is read without an error, or there is none."""
    assert remote_filesystem("/proc/events.db") is None
