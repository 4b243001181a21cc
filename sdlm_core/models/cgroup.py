"""Control groups: the memory that a container, such as a Space, still allows its processes, of what the host has."""

from __future__ import annotations

import contextlib
from pathlib import Path

# Of version 1 and 2: folder of the memory controller, limit, usage, page cache that can go.
VERSION_1 = ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
VERSION_2 = ("", "memory.max", "memory.current", "inactive_file")


def cgroup_free(root: Path = Path("/sys/fs/cgroup"), membership: Path = Path("/proc/self/cgroup")) -> int | None:
    """Bytes that the narrowest of this process's control groups still allows; None where there is no limit.

    root: where they are mounted; membership: this process's file of them.
    """
    free = []
    for line in membership.read_text().splitlines() if membership.exists() else []:
        _, controllers, path = line.split(":", 2)  # version 2's line is "0::/path"
        if controllers and "memory" not in controllers.split(","):
            continue
        top, limit, usage, inactive = VERSION_1 if controllers else VERSION_2
        own = root / top / path.lstrip("/")
        for group in (own, *own.parents):  # in a container the path may be the host's: then only the top is there
            if not group.is_relative_to(root / top):
                break
            with contextlib.suppress(OSError, ValueError):  # not there, or its limit is "max"
                allowed = int((group / limit).read_text())
                statistics = dict(entry.split() for entry in (group / "memory.stat").read_text().splitlines())
                used = int((group / usage).read_text()) - int(statistics.get(inactive, 0))
                free.append(max(allowed - used, 0))
    return min(free, default=None)
