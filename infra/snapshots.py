"""Snapshots of read models as files: rows of bytes, compressed, in a folder of the archive.

A file gets its name when it is whole and on disk. The name says all there is to know of it: read
model, version, position and the SHA-256 of its bytes, so a file that does not match its name is
damaged, and is passed over: a snapshot only saves time.
"""

from __future__ import annotations

import gzip
import os
import re
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Any, NamedTuple, TypeVar

import msgspec
import structlog

log = structlog.get_logger("errata.snapshots")

T = TypeVar("T")

KEPT_CLOSE = 8
"""So many of the newest snapshots stay; of older ones ever fewer, the further they lie back."""

_BATCH = 200
_CHUNK = 1 << 20
_NAME = re.compile(r"([a-z_]+)\.v(\d+)-(\d{15})-([0-9a-f]{64})\.snapshot")


class Snapshot(NamedTuple):
    """One file: the read model `name` in `version`, folded up to `position`."""

    name: str
    version: int
    position: int
    sha256: str

    @property
    def file(self) -> str:
        """The name of the file; names sort as positions do."""
        return f"{self.name}.v{self.version}-{self.position:015d}-{self.sha256}.snapshot"


class SnapshotFolder:
    """The folder `snapshots` at a place, a folder or an fsspec URL. Made when it is needed."""

    def __init__(self, place: str) -> None:
        self._place = f"{place.rstrip('/')}/snapshots"
        self._opened: tuple[Any, str] | None = None

    def all(self) -> list[Snapshot]:
        """Every snapshot, by read model, oldest first."""
        fs, folder = self._folder()
        fs.invalidate_cache()
        if not fs.exists(folder):
            return []
        names = (path.rsplit("/", 1)[-1] for path in fs.ls(folder, detail=False))
        found = [match.groups() for match in map(_NAME.fullmatch, names) if match]
        return sorted(Snapshot(name, int(v), int(p), digest) for name, v, p, digest in found)

    def before(self, name: str, version: int, position: int) -> list[Snapshot]:
        """Those of a read model's version at or before a position, the nearest first."""
        wanted = (one for one in self.all() if (one.name, one.version) == (name, version))
        return [one for one in reversed(list(wanted)) if one.position <= position]

    def write(self, name: str, version: int, position: int, rows: Iterable[Any]) -> Snapshot:
        """Write rows, and give the file its name when it is on disk."""
        fs, folder = self._folder()
        fs.makedirs(folder, exist_ok=True)
        unfinished = f"{folder}/{name}.v{version}-{position:015d}.unfinished"
        with (
            fs.open(unfinished, "wb") as stream,
            gzip.GzipFile("", "wb", compresslevel=1, fileobj=stream, mtime=0) as packed,
        ):
            for batch in _batches(rows):
                frame = msgspec.msgpack.encode(batch)
                packed.write(len(frame).to_bytes(4, "big") + frame)
        snapshot = Snapshot(name, version, position, self._digest(unfinished))
        if "file" in (fs.protocol if isinstance(fs.protocol, tuple) else (fs.protocol,)):
            _to_disk(unfinished)
        fs.mv(unfinished, f"{folder}/{snapshot.file}")
        return snapshot

    def rows(self, snapshot: Snapshot, row_type: type[T]) -> Iterator[T]:
        """The rows of a snapshot that is `sound`."""
        fs, folder = self._folder()
        decode = msgspec.msgpack.Decoder(list[row_type]).decode  # type: ignore[valid-type]
        with (
            fs.open(f"{folder}/{snapshot.file}", "rb") as stream,
            gzip.GzipFile("", "rb", fileobj=stream) as packed,
        ):
            while length := packed.read(4):
                yield from decode(packed.read(int.from_bytes(length, "big")))

    def sound(self, snapshot: Snapshot) -> bool:
        """Whether a snapshot is there and as it was written; one that is not is said so."""
        _, folder = self._folder()
        try:
            whole = self._digest(f"{folder}/{snapshot.file}") == snapshot.sha256
        except OSError:
            return False  # thinned out since it was listed
        if not whole:
            log.error("snapshot damaged, passed over", file=snapshot.file)
        return whole

    def thin(self, distance: int) -> list[Snapshot]:
        """Remove old snapshots, and those of versions that have a newer one; returns them."""
        fs, folder = self._folder()
        found = self.all()
        newest = {(one.name, one.version): one.position for one in found}
        current = {name: max(v for n, v in newest if n == name) for name, _ in newest}
        gone = [
            one
            for one in found
            if one.version < current[one.name]
            or not kept(one.position, newest[one.name, one.version], distance)
        ]
        for one in gone:
            fs.rm_file(f"{folder}/{one.file}")
        return gone

    def _digest(self, path: str) -> str:
        fs, _ = self._folder()
        digest = sha256()
        with fs.open(path, "rb") as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
        return digest.hexdigest()

    def _folder(self) -> tuple[Any, str]:
        if self._opened is None:
            from fsspec.core import url_to_fs

            fs, folder = url_to_fs(self._place)
            self._opened = fs, folder.rstrip("/")
        return self._opened


def kept(position: int, newest: int, distance: int) -> bool:
    """Whether a snapshot stays. The newest KEPT_CLOSE do; twice as far back every second one, four
    times as far every fourth: so their number grows with the logarithm of the log."""
    back, number = (newest - position) // distance, position // distance
    step = 1
    while back >= KEPT_CLOSE * step:
        step *= 2
    return number % step == 0


def _batches(rows: Iterable[Any]) -> Iterator[list[Any]]:
    batch: list[Any] = []
    for row in rows:
        batch.append(row)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _to_disk(path: str) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
