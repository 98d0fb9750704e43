"""Retention: partitions of the log that are old enough leave PostgreSQL for the archive.

Each goes in four steps: its rows to a file, the file's manifest, a comparison of the file with the
partition, row by row, and the drop. A kill between any two loses nothing: what is not finished is
done again, what is finished is found. Read models stay as they are, except that the index of
occurrences forgets the days before the limit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import psycopg
import structlog

from infra.event_store import statements as sql
from infra.event_store.archive import Archive, ArchiveDamaged, Manifest, file_name
from infra.event_store.codec import Row
from infra.event_store.pages import PAGE_BYTES, PAGE_EVENTS
from infra.scheduler import Job, Session

log = structlog.get_logger("errata.retention")

DAY_SECONDS = 86_400

# Recorded time never goes back along the log, so a partition is as old as its last event.
_DUE = """
SELECT p.name, p.first_position, p.end_position,
       pg_total_relation_size(format('%%I', p.name)::regclass), last.recorded_at
  FROM log_head
  JOIN log_partitions p ON p.end_position - 1 <= log_head.position
  JOIN events last ON last.position = p.end_position - 1
 WHERE last.recorded_at < %s
 ORDER BY p.first_position
"""
_LOCK = "SELECT pg_try_advisory_lock(hashtextextended('errata:retention', 0))"
_UNLOCK = "SELECT pg_advisory_unlock(hashtextextended('errata:retention', 0))"
_DROP = "SELECT log_drop_archived(%s, %s, %s, %s)"
_FORGET = "SELECT occurrences_forget(%s)"


class RetentionBusy(Exception):
    """Somebody else is at it."""

    def __init__(self) -> None:
        super().__init__("retention is being run by another process")


class Partition(NamedTuple):
    """A partition of the log: positions [first_position, end_position), its size in bytes."""

    name: str
    first_position: int
    end_position: int
    size: int
    last_recorded_at: datetime

    @property
    def rows(self) -> int:
        """How many events it holds; positions have no holes."""
        return self.end_position - self.first_position

    @property
    def file(self) -> str:
        """The archive it becomes."""
        return file_name(self.first_position, self.end_position - 1)


class Archived(NamedTuple):
    """A partition that has left the log, and its archive."""

    partition: Partition
    manifest: Manifest


class Retention:
    """One run, over a session in autocommit mode."""

    def __init__(self, session: Session, archive: Archive) -> None:
        self._session = session
        self._archive = archive

    def due(self, before: datetime) -> list[Partition]:
        """The full or closed partitions whose every event was recorded before a time, oldest
        first."""
        return [Partition(*row) for row in self._session.execute(_DUE, (before,)).fetchall()]

    def run(
        self, before: datetime, observe: Callable[[Archived], None] = lambda archived: None
    ) -> list[Archived]:
        """Archive and drop what is due. Raises RetentionBusy, ArchiveDamaged; psycopg.Error when
        the server refuses, such as LockNotAvailable while a long statement reads the log."""
        moved = []
        with self._alone():
            for partition in self.due(before):
                archived = Archived(partition, self.move(partition))
                log.info("archived", partition=partition.name, file=archived.manifest.file)
                observe(archived)
                moved.append(archived)
            self._session.execute(_FORGET, (before,))
        return moved

    def move(self, partition: Partition) -> Manifest:
        """All four steps for one partition, or those that are left."""
        manifest = self._archive.manifest(partition.file)
        if manifest is None:
            first, last = partition.first_position, partition.end_position - 1
            manifest = self._archive.write_rows(first, last, self._rows(first, last))
            self._archive.write_manifest(manifest)
        self.compare(partition, manifest)
        self.drop(partition, manifest)
        return manifest

    def compare(self, partition: Partition, manifest: Manifest) -> None:
        """Raises ArchiveDamaged unless the archive holds the partition's rows, each of them as it
        is there, and nothing else."""
        if manifest.rows != partition.rows:
            raise ArchiveDamaged(manifest.file, f"holds {manifest.rows} of {partition.rows} rows")
        self._archive.check(manifest.file, manifest.sha256, manifest.size)
        position = partition.first_position
        for group in self._archive.groups(manifest.file):
            there = self._rows(position, position + len(group) - 1)
            for kept, row in zip(group, there, strict=False):
                if kept != row or row.position != position:
                    reason = f"differs from the log at position {position}"
                    raise ArchiveDamaged(manifest.file, reason)
                position += 1
        if position != partition.end_position:
            raise ArchiveDamaged(manifest.file, f"ends before position {position}")

    def drop(self, partition: Partition, manifest: Manifest) -> None:
        """The partition goes, its archive takes its place: one transaction."""
        arguments = (partition.name, manifest.file, manifest.sha256, manifest.size)
        self._session.execute(_DROP, arguments)

    def _rows(self, first: int, last: int) -> Iterator[Row]:
        cursor = self._session.cursor(binary=True)
        arguments = {"after": first - 1, "until": last, "limit": PAGE_EVENTS, "bytes": PAGE_BYTES}
        while page := [Row(*row) for row in cursor.execute(sql.READ_PAGE, arguments).fetchall()]:
            yield from page
            arguments["after"] = page[-1].position

    @contextmanager
    def _alone(self) -> Iterator[None]:
        row = self._session.execute(_LOCK).fetchone()
        if not (row and row[0]):
            raise RetentionBusy
        try:
            yield
        finally:
            if not self._session.closed:
                self._session.execute(_UNLOCK)


def connect(database_url: str) -> psycopg.Connection[Any]:
    """A session for a run of one's own."""
    return psycopg.connect(database_url, autocommit=True, application_name="errata retention")


def retention(place: str, days: int, clock: Callable[[], datetime]) -> Job:
    """The daily job: events older than `days` go to the archive at `place`."""

    def run(session: Session) -> None:
        try:
            Retention(session, Archive(place)).run(clock() - timedelta(days=days))
        except RetentionBusy as error:
            log.info("left out", reason=str(error))
        except (ArchiveDamaged, OSError) as error:
            log.error("retention failed", reason=str(error))

    return Job("retention", DAY_SECONDS, run)
