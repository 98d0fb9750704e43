"""Verifies the index of occurrences in PostgreSQL: gives its comparison a session and the log."""

from __future__ import annotations

from collections.abc import Callable

import psycopg

from errata.folding import Source
from infra.event_store.archive import Archive
from infra.event_store.past import PastLog
from projections.occurrence_comparison import IndexCompared, compare_index
from projections.projection import PostgresReadModel


def verify_index(
    source: Source, model: PostgresReadModel, progress: Callable[[int, int], None], most: int
) -> IndexCompared:
    """Compare the index with the log. `progress` is told position and target.

    Raises psycopg.Error, HoleInLog, ArchiveDamaged, UnknownEvent."""
    with (
        psycopg.connect(
            source.database_url, autocommit=True, application_name="errata verify"
        ) as connection,
        PastLog(source.database_url, Archive(source.archive)) as log,
    ):
        return compare_index(connection, model, log.pages, progress, most)
