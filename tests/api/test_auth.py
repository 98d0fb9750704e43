"""The key ring against a key source of a few lines."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from api.auth import KeyRing, development_keys
from api.failures import Unauthorized
from domain.api_key import ApiKey, key_hash
from domain.failures import Forbidden, Unavailable

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Source:
    """Keys that can change, and go away."""

    def __init__(self, *keys: ApiKey) -> None:
        self.keys = list(keys)
        self.changes = 0
        self.away = False
        self.loads = 0

    async def version(self) -> int:
        if self.away:
            raise Unavailable("postgres", "away")
        return self.changes

    async def load(self) -> Sequence[ApiKey]:
        self.loads += 1
        return self.keys


def a_key(text: str, **changes: object) -> ApiKey:
    fields = {"key_id": uuid4(), "key_hash": key_hash(text), "permissions": ("read",), **changes}
    return ApiKey(**fields)  # type: ignore[arg-type]


def ring(source: Source) -> KeyRing:
    return KeyRing(source, lambda: NOW)


async def test_a_known_key_is_recognised_with_what_its_permissions_imply() -> None:
    keys = ring(Source(a_key("k", permissions=("write",), app="shop")))
    await keys.refresh()
    found = keys.recognise({b"x-api-key": b"k"})
    assert (found.app, found.permissions) == ("shop", {"write", "ingest"})
    with pytest.raises(Forbidden, match="needs the permission 'admin'"):
        found.require("admin")


async def test_keys_are_loaded_only_when_one_has_changed() -> None:
    source = Source()
    keys = ring(source)
    for _ in range(5):
        await keys.refresh()
    source.changes += 1
    await keys.refresh()
    assert source.loads == 2


async def test_the_old_ring_holds_while_the_log_is_away() -> None:
    source = Source(a_key("k"))
    keys = ring(source)
    await keys.refresh()
    source.away = True
    await keys.refresh()
    assert keys.recognise({b"x-api-key": b"k"})


async def test_before_the_keys_were_ever_read_nobody_is_called_unknown() -> None:
    source = Source()
    source.away = True
    keys = ring(source)
    await keys.refresh()
    with pytest.raises(Unavailable):
        keys.recognise({b"x-api-key": b"k"})


async def test_revoked_and_expired_keys_are_told_apart() -> None:
    keys = ring(Source(a_key("r", revoked=True), a_key("e", expires_at=NOW)))
    await keys.refresh()
    for text, reason in ((b"r", "revoked"), (b"e", "expired at 2026-01-02"), (b"u", "unknown")):
        with pytest.raises(Unauthorized, match=reason):
            keys.recognise({b"x-api-key": text})


async def test_a_key_expires_at_its_moment_without_a_reload() -> None:
    now = NOW
    keys = KeyRing(Source(a_key("k", expires_at=NOW + timedelta(seconds=1))), lambda: now)
    await keys.refresh()
    assert keys.recognise({b"x-api-key": b"k"})
    now += timedelta(seconds=1)
    with pytest.raises(Unauthorized):
        keys.recognise({b"x-api-key": b"k"})


async def test_a_surprise_does_not_end_the_refreshing() -> None:
    source = Source()
    keys = ring(source)
    await keys.start()
    try:
        source.changes = 1
        source.keys = [None]  # type: ignore[list-item]
        await asyncio.sleep(0.4)
        source.keys = [a_key("k")]
        await asyncio.sleep(0.4)
        assert keys.recognise({b"x-api-key": b"k"})
    finally:
        await keys.stop()


async def test_the_last_use_is_kept_to_the_minute() -> None:
    key = a_key("k")
    keys = ring(Source(key))
    await keys.refresh()
    keys.recognise({b"x-api-key": b"k"})
    assert keys.last_used == {str(key.key_id): int(NOW.timestamp()) // 60}


async def test_development_keys_survive_a_reload() -> None:
    keys = KeyRing(Source(), lambda: NOW, development_keys())
    await keys.refresh()
    assert keys.recognise({b"x-api-key": b"test-api-key"}).app == "*"
    bound = keys.recognise({b"authorization": b"bearer ei_test_key_12345"})
    assert (bound.app, bound.permissions) == ("test-app", {"ingest"})
