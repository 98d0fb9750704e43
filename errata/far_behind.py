"""A worker whose read models are far behind, as after Redis was emptied, does not go page by page:
nobody reads them until they are whole again, so they are filled like the versions of a rebuild."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import redis
import structlog

from errata.folding import Source, folders
from projections.filling import Overtaken, fill
from projections.projection import Keyspace

log = structlog.get_logger("errata.worker")

FAR_EVENTS = 50_000


def fill_far_behind(
    client: redis.Redis,
    source: Source,
    keyspaces: Sequence[Keyspace],
    head: int,
    go_on: Callable[[], bool],
) -> bool:
    """Bring those versions that are far behind near the log's head; `go_on` is asked after each
    page. Returns False where that cannot be done, because of an event that cannot be folded: a
    runner gets as near to it as possible, and says so.

    Raises psycopg.Error, RedisError, FolderEnded."""
    far = {space: at for space in keyspaces if (at := _far(client, space, head)) is not None}
    if not far:
        return True
    log.info("filling read models that are far behind", head=head, read_models=len(far))
    try:
        with folders(source, head - min(far.values())) as some:
            failure = fill(client, [*far], head, some, cancelled=lambda: not go_on())
    except Overtaken:
        return True  # another worker holds them now
    if failure is not None:
        log.warning("cannot be filled", reason=failure)
    return failure is None


def _far(client: redis.Redis, keyspace: Keyspace, head: int) -> int | None:
    """Where a version stands that is far behind and not being emptied; None for any other."""
    found: Any = client.get(keyspace.checkpoint)
    if found is None or int(found) < 0 or head - int(found) < FAR_EVENTS:
        return None
    return int(found)
