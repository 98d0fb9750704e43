"""Compressed bodies: gzip, deflate, br and zstd, never opened beyond a limit.

A few kilobytes can hold gigabytes of zeros, so everything is opened piece by piece, and stops one
piece behind the limit.
"""

from __future__ import annotations

import asyncio
import sys
import zlib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from types import MappingProxyType

import brotli  # type: ignore[import-untyped]

from api.failures import BadRequest, BodyTooLarge, UnsupportedEncoding

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MOST_ENCODINGS = 3
"""How many encodings may lie on top of each other."""

_PIECE = 262_144
"""Bytes that are opened at a time."""
_LARGE = 65_536
"""From so many compressed bytes on other requests are served meanwhile."""
_MOST_PARTS = 16
"""Parts may follow one another, but each costs a copy of all that follow."""
_ZSTD_OPTIONS: Mapping[int, int] = {zstd.DecompressionParameter.window_log_max: 24}
"""No window above 16 MiB: it is memory that a body of a few bytes could ask for."""


def encodings_of(header: str) -> Sequence[str]:
    """What Content-Encoding names, in its order: the last was applied last. Raises
    UnsupportedEncoding."""
    named = [name.strip().lower() for name in header.split(",")]
    found = [name for name in named if name not in ("", "identity")]
    if len(found) > MOST_ENCODINGS or not all(name in _OPENERS for name in found):
        raise UnsupportedEncoding(header, tuple(_OPENERS))
    return found


async def opened(body: bytes, encodings: Sequence[str], limit: int) -> bytes:
    """What a body holds under its encodings; each layer may have `limit` bytes. Raises as
    `decompressed` does."""
    for encoding in reversed(encodings):
        if len(body) > _LARGE:
            body = await asyncio.to_thread(decompressed, body, encoding, limit)
        else:
            body = decompressed(body, encoding, limit)
    return body


def decompressed(body: bytes, encoding: str, limit: int) -> bytes:
    """What a body holds. Raises BodyTooLarge as soon as it is more than `limit` bytes, BadRequest
    where the body is damaged, cut off, or followed by something else."""
    pieces: list[bytes] = []
    size = 0
    try:
        for piece in _pieces(body, encoding):
            size += len(piece)
            if size > limit:
                raise BodyTooLarge(limit)
            pieces.append(piece)
    except (zlib.error, brotli.error, zstd.ZstdError, EOFError) as error:
        raise BadRequest(f"the body is not {encoding}, or damaged: {error}") from None
    return b"".join(pieces)


def _pieces(body: bytes, encoding: str) -> Iterator[bytes]:
    """One part after the other: gzip's members (RFC 1952, section 2.2), zstd's frames (RFC 8878,
    section 3)."""
    for _ in range(_MOST_PARTS):
        body = yield from _OPENERS[encoding](body)
        if not body:
            return
    raise EOFError("something follows it")


Opener = Callable[[bytes], Generator[bytes, None, bytes]]
"""Opens one part of a body piece by piece; returns what follows it."""


def _gzip(body: bytes) -> Generator[bytes, None, bytes]:
    return _zlib(zlib.decompressobj(wbits=31), body)


def _deflate(body: bytes) -> Generator[bytes, None, bytes]:
    """The zlib format (RFC 9110, section 8.4.1.2), or the bare one that some send instead."""
    zlib_format = len(body) >= 2 and body[0] & 15 == 8 and (body[0] << 8 | body[1]) % 31 == 0
    return _zlib(zlib.decompressobj(wbits=15 if zlib_format else -15), body)


def _zlib(opener: zlib._Decompress, body: bytes) -> Generator[bytes, None, bytes]:
    while not opener.eof:
        piece = opener.decompress(body, _PIECE)
        body = opener.unconsumed_tail
        if not piece and not body and not opener.eof:
            raise EOFError("it ends too early")
        yield piece
    return opener.unused_data


def _brotli(body: bytes) -> Generator[bytes, None, bytes]:
    opener = brotli.Decompressor()
    while not opener.is_finished():
        piece = opener.process(body, output_buffer_limit=_PIECE)
        body = b""
        if not piece and not opener.is_finished():
            raise EOFError("it ends too early")
        yield piece
    return b""


def _zstd(body: bytes) -> Generator[bytes, None, bytes]:
    opener = zstd.ZstdDecompressor(options=_ZSTD_OPTIONS)
    while not opener.eof:
        piece = opener.decompress(body, _PIECE)
        body = b""
        if not piece and opener.needs_input and not opener.eof:
            raise EOFError("it ends too early")
        yield piece
    return opener.unused_data


_OPENERS: Mapping[str, Opener] = MappingProxyType(
    {"gzip": _gzip, "x-gzip": _gzip, "deflate": _deflate, "br": _brotli, "zstd": _zstd}
)
