"""Compressed bodies are opened up to the limit, and never beyond it."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import Callable

import brotli  # type: ignore[import-untyped]
import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st

from api.decompression import decompressed
from api.failures import BadRequest, BodyTooLarge

LIMIT = 1_048_576


def bare_deflate(data: bytes) -> bytes:
    """Deflate without the zlib format around it."""
    opener = zlib.compressobj(wbits=-15)
    return opener.compress(data) + opener.flush()


Compress = Callable[[bytes], bytes]
WAYS: list[tuple[str, Compress]] = [
    ("gzip", gzip.compress),
    ("x-gzip", gzip.compress),
    ("deflate", zlib.compress),
    ("deflate", bare_deflate),
    ("br", brotli.compress),
    ("zstd", zstd.compress),
]
each_way = pytest.mark.parametrize(("encoding", "compress"), WAYS)
TEXT = b'{"events": [%s]}' % b", ".join(b'{"n": %d}' % number for number in range(9_999))


@each_way
def test_what_was_compressed_comes_out(encoding: str, compress: Compress) -> None:
    assert decompressed(compress(TEXT), encoding, LIMIT) == TEXT
    assert decompressed(compress(b""), encoding, LIMIT) == b""


@each_way
def test_exactly_the_limit_passes_and_one_byte_more_does_not(
    encoding: str, compress: Compress
) -> None:
    assert len(decompressed(compress(bytes(LIMIT)), encoding, LIMIT)) == LIMIT
    with pytest.raises(BodyTooLarge):
        decompressed(compress(bytes(LIMIT + 1)), encoding, LIMIT)


@each_way
def test_a_bomb_takes_no_more_memory_than_the_limit(encoding: str, compress: Compress) -> None:
    bomb = compress(bytes(100 * LIMIT))
    tracemalloc.start()
    try:
        with pytest.raises(BodyTooLarge):
            decompressed(bomb, encoding, LIMIT)
        assert tracemalloc.get_traced_memory()[1] < 3 * LIMIT
    finally:
        tracemalloc.stop()


@each_way
def test_a_body_that_ends_too_early_is_refused(encoding: str, compress: Compress) -> None:
    whole = compress(TEXT)
    for length in (0, 1, len(whole) // 2, len(whole) - 1):
        with pytest.raises(BadRequest):
            decompressed(whole[:length], encoding, LIMIT)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
@settings(max_examples=100, deadline=None)
@given(data=st.binary(max_size=300))
def test_bytes_of_any_kind_are_opened_or_refused(encoding: str, data: bytes) -> None:
    try:
        decompressed(data, encoding, LIMIT)
    except (BadRequest, BodyTooLarge) as refused:
        assert str(refused)


def test_parts_may_follow_one_another_but_not_without_end() -> None:
    for encoding, compress in (("gzip", gzip.compress), ("zstd", zstd.compress)):
        assert decompressed(compress(b"a") + compress(b"b"), encoding, LIMIT) == b"ab"
        with pytest.raises(BadRequest):
            decompressed(compress(b"") * 50_000, encoding, LIMIT)
