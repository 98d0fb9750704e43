"""Takes snapshots of the read models, and takes away what nobody looks at any more.

A snapshot is not a copy of what is live, which would have to stand still meanwhile: it is folded
from the snapshot before it, in a private keyspace, and written from there. It runs beside the
scheduler, on the one host that leads, where it delays neither the workers nor the API.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing

import structlog

from errata.past import Snapshots
from infra.event_store.archive import Archive
from infra.event_store.past import PastLog
from infra.redis import connect
from infra.settings import Settings
from infra.snapshots import SnapshotFolder, kept
from projections.past import (
    Builder,
    Goal,
    Interrupted,
    PastKeyspaces,
)
from projections.registry import READ_MODELS
from projections.snapshots import rows_of

log = structlog.get_logger("errata.snapshots")

TURN_SECONDS = 10.0
FAMILY = "snapshots"
_SIGN = "#"


class Snapshotter:
    """Takes the snapshots of one installation, `distance` events apart."""

    def __init__(
        self, settings: Settings, stop: Callable[[], bool] = lambda: False, *, distance: int
    ) -> None:
        self._settings = settings
        self._folder = SnapshotFolder(settings.archive)
        self._client = connect(settings.redis_url_or_fail())
        self._keyspaces = PastKeyspaces(self._client, FAMILY, at_once=len(READ_MODELS))
        self._asked = PastKeyspaces(self._client)
        self._distance = distance
        self._stop = stop

    def close(self) -> None:
        """Let the connection go."""
        self._client.close()

    def sweep(self) -> None:
        """Take expired keyspaces away. Raises RedisError."""
        self._asked.sweep()
        self._keyspaces.sweep()

    def run(self) -> int:
        """Take the next snapshots that are due, all of one position, and thin out old ones; how
        many were taken. Raises Interrupted, and what is in the way."""
        with PastLog(
            self._settings.database_url_or_fail(), Archive(self._settings.archive)
        ) as past_log:
            due = self._due(past_log.head())
            position = min((goal.position for goal in due), default=0)
            goals = [goal for goal in due if goal.position == position and self._ours(goal)]
            if not goals:
                return 0
            builder = Builder(self._keyspaces, past_log, Snapshots(self._folder), self._still)
            builder.build(goals)
        for goal in goals:
            rows = rows_of(self._client, goal.keyspace)
            self._folder.write(goal.model.name, goal.model.version, position, rows)
            self._keyspaces.drop(goal.keyspace)
            self._still()
        self._folder.thin(self._distance)
        log.info("snapshots taken", position=position, read_models=len(goals))
        return len(goals)

    def _due(self, head: int) -> list[Goal]:
        """The next snapshot of each read model that lacks one: at the first round position after
        its last one, of those at which snapshots are kept for long enough to be of use."""
        newest = {(one.name, one.version): one.position for one in self._folder.all()}
        distance, latest = self._distance, head // self._distance * self._distance
        goals = []
        for model in READ_MODELS:
            last = newest.get((model.name, model.version), 0)
            for position in range((last // distance + 1) * distance, latest + 1, distance):
                if kept(position, latest, distance):
                    goals.append(Goal(model, position, sign=_SIGN))
                    break
        return goals

    def _ours(self, goal: Goal) -> bool:
        claim = self._keyspaces.claim(goal.keyspace, goal.position)
        if claim == "ready":  # left behind by one that ended before it could write
            self._keyspaces.drop(goal.keyspace)
            claim = self._keyspaces.claim(goal.keyspace, goal.position)
        return claim == "ours"

    def _still(self) -> None:
        if self._stop():
            raise Interrupted


def run_snapshots(settings: Settings, leads: Callable[[], bool], stop: threading.Event) -> None:
    """Work until `stop` is set, while we lead. What is in the way is waited out."""
    distance = settings.snapshot_events
    snapshotter = Snapshotter(
        settings, lambda: stop.is_set() or not leads(), distance=max(distance, 1)
    )
    failed = ""
    with closing(snapshotter):
        while not stop.wait(TURN_SECONDS):
            if not leads():
                continue
            try:
                snapshotter.sweep()
                while distance and snapshotter.run():
                    failed = ""
                failed = ""
            except Interrupted:
                continue
            except Exception as error:  # noqa: BLE001 - an archive's file system may raise anything
                reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
                if reason != failed:
                    log.warning("no snapshots", reason=reason)
                failed = reason
