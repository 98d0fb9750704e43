"""Whether a part runs on this host, for whoever looks after containers:

    python -m infra.alive worker

Exit code 0 where a worker (or a scheduler) of this host has given a fresh sign of life in Redis, 1
where none has, 3 while Redis is away.
"""

from __future__ import annotations

import socket
import sys
from typing import Any

from redis.exceptions import RedisError

from infra.heartbeat import alive_command
from infra.redis import connect
from infra.settings import load_settings

AWAY = 3


def alive_here(redis_url: str, part: str) -> bool:
    """Whether a process of this part lives on this host. Raises RedisError."""
    with connect(redis_url) as client:
        members: Any = client.execute_command(*alive_command())
    return any(member.startswith(f"{part}:{socket.gethostname()}:".encode()) for member in members)


def main(part: str) -> int:
    """See above. Raises SettingsError."""
    try:
        return 0 if alive_here(load_settings().redis_url_or_fail(), part) else 1
    except (RedisError, OSError) as error:
        sys.stderr.write(f"Redis is away: {' '.join(str(error).split())}\n")
        return AWAY


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
