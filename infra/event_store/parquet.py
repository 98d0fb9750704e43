"""Rows of the log as Parquet: compressed, and readable by any tool that reads Parquet.

Columns are those of the events table. Rows stand in groups small enough to be held in memory, and
every page of a file has a checksum that is verified when it is read. Only what touches archives
imports this module: pyarrow is large.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import IO, Any
from uuid import UUID

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from infra.event_store.codec import Row
from infra.event_store.pages import in_pages

GROUP_ROWS = 5_000
GROUP_BYTES = 16 << 20
"""A group of rows ends at the first of these limits (bytes: of metadata and data)."""

DAMAGED: tuple[type[Exception], ...] = (pa.ArrowException, OSError, EOFError)
"""What reading a file raises that is not as it was written."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SCHEMA = pa.schema(
    [
        pa.field("position", pa.int64(), nullable=False),
        pa.field("stream_id", pa.binary(16), nullable=False),
        pa.field("stream_version", pa.int64(), nullable=False),
        pa.field("name", pa.string(), nullable=False),
        pa.field("event_id", pa.binary(16), nullable=False),
        pa.field("recorded_at", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("metadata", pa.binary(), nullable=False),
        pa.field("data", pa.binary(), nullable=False),
    ]
)


def write(file: IO[bytes], rows: Iterable[Row]) -> int:
    """Write rows in log order; returns how many."""
    written = 0
    with pq.ParquetWriter(file, _SCHEMA, compression="zstd", write_page_checksum=True) as writer:
        for group in in_pages(rows, GROUP_ROWS, GROUP_BYTES):
            writer.write_table(_table(group))
            written += len(group)
    return written


class ParquetRows:
    """A file to read rows from. Methods raise one of DAMAGED where it is not as it was written."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = pq.ParquetFile(file, page_checksum_verification=True)
        if not self._file.schema_arrow.equals(_SCHEMA):
            raise pa.ArrowInvalid("the columns are not those of the log")
        metadata = self._file.metadata
        sizes = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
        self.ends: list[int] = list(accumulate(sizes))
        """After how many rows of the file each group ends."""

    def group(self, number: int) -> list[Row]:
        """The rows of one group."""
        return _rows(self._file.read_row_group(number))

    def of_stream(self, stream_id: UUID) -> Iterator[Row]:
        """The rows of one stream. Of groups without any, only the ids are read."""
        wanted = pa.scalar(stream_id.bytes, pa.binary(16))
        for number in range(len(self.ends)):
            ids = self._file.read_row_group(number, columns=["stream_id"])
            mask = pc.equal(ids.column(0), wanted)
            if pc.any(mask).as_py():
                yield from _rows(self._file.read_row_group(number).filter(mask))


def _table(rows: Sequence[Row]) -> Any:
    columns = [list(column) for column in zip(*rows, strict=True)]
    for number in (1, 4):
        columns[number] = [identity.bytes for identity in columns[number]]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, _SCHEMA, strict=True)]
    return pa.Table.from_arrays(arrays, schema=_SCHEMA)


def _rows(table: Any) -> list[Row]:
    columns = [column.to_pylist() for column in table.drop_columns("recorded_at").columns]
    times = table.column("recorded_at").cast(pa.int64()).to_pylist()
    return [
        Row(
            position,
            UUID(bytes=stream_id),
            version,
            name,
            UUID(bytes=event_id),
            _EPOCH + timedelta(microseconds=microseconds),
            metadata,
            data,
        )
        for (position, stream_id, version, name, event_id, metadata, data), microseconds in zip(
            zip(*columns, strict=True), times, strict=True
        )
    ]
