"""Where partitions of the log go when they are old: one Parquet file each, with a manifest.

The place is a folder or any fsspec URL. A file gets its name when it is whole and on disk, its
manifest after that, so what has a manifest is complete, and what has none may be written again.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import IO, TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

import msgspec
import psycopg

from infra.event_store.codec import Row

if TYPE_CHECKING:
    from infra.event_store.parquet import ParquetRows

FORMAT = 1
"""Of the files: their columns and their manifest."""

_CHUNK = 1 << 20
_ARCHIVES = """
SELECT first_position, end_position, file, sha256, size FROM log_archives ORDER BY first_position
"""


class ArchiveDamaged(Exception):
    """An archive is missing, or is not what was written. Nobody may read on, nor drop anything."""

    def __init__(self, file: str, reason: str) -> None:
        super().__init__(f"the archive {file}: {' '.join(reason.split())}")


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What an archive's file holds: which positions, how many rows, and its SHA-256 (hex)."""

    format: int
    file: str
    first_position: int
    last_position: int
    rows: int
    size: int
    sha256: str


def file_name(first: int, last: int) -> str:
    """The file of these positions; names sort as positions do."""
    return f"events-{first:015d}-{last:015d}.parquet"


class ArchivedPart(NamedTuple):
    """A row of log_archives: positions [first_position, end_position) are in this file."""

    first_position: int
    end_position: int
    file: str
    sha256: str
    size: int


class Archive:
    """A folder of archives. Nothing is opened, nor made, before it is needed."""

    def __init__(self, place: str) -> None:
        self.place = place
        self._opened: tuple[Any, str] | None = None

    def manifest(self, file: str) -> Manifest | None:
        """The manifest of a file, None while there is none. Raises ArchiveDamaged."""
        try:
            fs, folder = self._folder()
            text: bytes = fs.cat_file(f"{folder}/{_manifest_of(file)}")
            return msgspec.json.decode(text, type=Manifest)
        except FileNotFoundError:
            return None
        except Exception as error:  # a file system is a library of its own and may raise anything
            raise ArchiveDamaged(file, f"its manifest cannot be read: {error}") from error

    def write_rows(self, first: int, last: int, rows: Iterable[Row]) -> Manifest:
        """Write a file of rows and put it on disk under its name."""
        from infra.event_store import parquet

        file = file_name(first, last)
        with self._new(file) as stream:
            written = parquet.write(stream, rows)
        digest, size = self._digest(file)
        return Manifest(
            format=FORMAT,
            file=file,
            first_position=first,
            last_position=last,
            rows=written,
            size=size,
            sha256=digest,
        )

    def write_manifest(self, manifest: Manifest) -> None:
        """Declare a file to be complete."""
        with self._new(_manifest_of(manifest.file)) as stream:
            stream.write(msgspec.json.format(msgspec.json.encode(manifest), indent=2))

    def check(self, file: str, digest: str, size: int) -> None:
        """Raises ArchiveDamaged unless the file has this SHA-256 and this size in bytes."""
        if self._digest(file) != (digest, size):
            raise ArchiveDamaged(file, "does not have the SHA-256 that it was written with")

    def groups(self, file: str) -> Iterator[list[Row]]:
        """The rows of a file, a group at a time. Raises ArchiveDamaged."""
        with self.reading(file) as rows:
            for number in range(len(rows.ends)):
                yield rows.group(number)

    @contextmanager
    def reading(self, file: str) -> Iterator[ParquetRows]:
        """A file's rows, for the life of a block. Raises ArchiveDamaged."""
        from infra.event_store.parquet import DAMAGED, ParquetRows

        with self._opened_file(file) as stream:
            try:
                yield ParquetRows(stream)
            except DAMAGED as error:
                raise ArchiveDamaged(file, str(error)) from error

    def _digest(self, file: str) -> tuple[str, int]:
        digest, size = sha256(), 0
        with self._opened_file(file) as stream:
            try:
                while chunk := stream.read(_CHUNK):
                    digest.update(chunk)
                    size += len(chunk)
            except Exception as error:
                raise ArchiveDamaged(file, str(error)) from error
        return digest.hexdigest(), size

    def _opened_file(self, file: str) -> IO[bytes]:
        """A file to read. Raises ArchiveDamaged."""
        try:
            fs, folder = self._folder()
            opened: IO[bytes] = fs.open(f"{folder}/{file}", "rb")
        except Exception as error:
            raise ArchiveDamaged(file, str(error)) from error
        return opened

    @contextmanager
    def _new(self, name: str) -> Iterator[IO[bytes]]:
        """A file that appears under its name when it is whole and on disk, or not at all."""
        fs, folder = self._folder()
        fs.makedirs(folder, exist_ok=True)
        unfinished, path = f"{folder}/{name}.unfinished", f"{folder}/{name}"
        local = "file" in _protocols(fs)
        with fs.open(unfinished, "wb") as stream:
            yield stream
            if local:
                stream.flush()
                os.fsync(stream.fileno())
        if local:
            os.replace(unfinished, path)  # noqa: PTH105 - fsspec's paths are text
            _sync_folder(folder)
        else:
            fs.mv(unfinished, path)

    def _folder(self) -> tuple[Any, str]:
        if self._opened is None:
            from fsspec.core import url_to_fs

            fs, folder = url_to_fs(self.place)
            self._opened = fs, folder.rstrip("/")
        return self._opened


class ArchivedLog:
    """The archived part of the log, in pages: what the table log_archives lists, in one place.

    Holds one group of rows in memory, so that pages which follow each other decode each row once.
    """

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._parts: list[ArchivedPart] = []
        self._held: tuple[int, list[Row]] = (0, [])
        self._checked: set[str] = set()

    def look(self, connection: psycopg.Connection[Any]) -> None:
        """See which partitions have been archived by now."""
        self._parts = [ArchivedPart(*row) for row in connection.execute(_ARCHIVES).fetchall()]

    def holds(self, position: int) -> bool:
        """Whether a position had been archived at the last look."""
        return self._part_of(position) is not None

    def page(self, after: int, limit: int) -> list[Row]:
        """Up to `limit` rows after a position, fewer where a group of rows ends.

        Raises ArchiveDamaged; of a file that was not read before the SHA-256 is checked first."""
        first, rows = self._held
        if not first <= after + 1 < first + len(rows):
            first, rows = self._held = self._read(after + 1)
        start = after + 1 - first
        return rows[start : start + limit]

    def of_stream(self, stream_id: UUID) -> Iterator[Row]:
        """The archived events of one stream, oldest first: the ids of the whole archive are gone
        through."""
        for part in self._parts:
            with self._archive.reading(part.file) as rows:
                yield from rows.of_stream(stream_id)

    def _part_of(self, position: int) -> ArchivedPart | None:
        here = (one for one in self._parts if one.first_position <= position < one.end_position)
        return next(here, None)

    def _read(self, position: int) -> tuple[int, list[Row]]:
        """The group of rows that a position is in, and where it begins."""
        part = self._part_of(position)
        assert part is not None
        if part.file not in self._checked:
            self._archive.check(part.file, part.sha256, part.size)
            self._checked.add(part.file)
        with self._archive.reading(part.file) as rows:
            starts = [0, *rows.ends]
            if starts[-1] != part.end_position - part.first_position:
                raise ArchiveDamaged(part.file, f"holds {starts[-1]} rows")
            number = bisect_right(starts, position - part.first_position) - 1
            return part.first_position + starts[number], rows.group(number)


def _manifest_of(file: str) -> str:
    return file.removesuffix(".parquet") + ".json"


def _protocols(fs: Any) -> tuple[str, ...]:
    return (fs.protocol,) if isinstance(fs.protocol, str) else tuple(fs.protocol)


def _sync_folder(folder: str) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
