"""Who is calling: keys are checked from memory, and never slower than a dictionary.

The ring holds a SHA-256 of every key, as the log does. It asks four times a second whether any
key has changed, so that an issued key works, and a revoked one stops working, within a second in
every process.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import structlog

from api.failures import Unauthorized
from domain.api_key import ApiKey, key_hash
from domain.failures import Forbidden, Unavailable
from domain.permissions import ALL_PERMISSIONS, OWNER, Permission, implied
from domain.vocabulary import ANY_APP

if TYPE_CHECKING:
    from api.container import KeySource

log = structlog.get_logger("api.auth")

REFRESH_SECONDS = 0.25

_BEARER = b"bearer "


@dataclass(frozen=True, slots=True)
class Principal:
    """A key that was recognised, with all its permissions imply. `app` is "*" for all."""

    key_id: str
    app: str
    permissions: frozenset[str]
    key_hash: str
    expires_at: datetime | None = None
    revoked: bool = False
    member_id: UUID | None = None
    role: str | None = None

    @property
    def actor(self) -> str:
        """How the log names who did it: a member, where it is somebody's personal key."""
        return f"key:{self.key_id}" if self.member_id is None else f"member:{self.member_id}"

    @property
    def owner(self) -> bool:
        """Whether this key acts as an owner."""
        return self.role == OWNER

    def require_all_apps(self) -> None:
        """Raises Forbidden for a key of one application: what it asks for concerns all of them."""
        if self.app != ANY_APP:
            raise Forbidden(f"this needs a key for all applications; the key's is {self.app!r}")

    def require(self, permission: str) -> None:
        """Raises Forbidden, naming the permission, where the key does not hold it."""
        if permission not in self.permissions:
            held = ", ".join(sorted(self.permissions)) or "none"
            raise Forbidden(f"this needs the permission '{permission}'; the key holds: {held}")

    def may_see(self, app: str) -> bool:
        """Whether errors of an application exist for this key."""
        return self.app in (ANY_APP, app)


def development_keys() -> Sequence[Principal]:
    """The keys of the two API documents. Production never knows them."""
    return (
        Principal("development", ANY_APP, ALL_PERMISSIONS, key_hash("test-api-key"), role=OWNER),
        Principal(
            "development-ingest",
            "test-app",
            implied((Permission.INGEST,)),
            key_hash("ei_test_key_12345"),
        ),
    )


VISITOR = Principal("visitor", "test-app", implied((Permission.READ,)), "")
"""Whoever comes without a key, where somebody may."""


def presents_key(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a request's headers hold anything that is meant as a key."""
    return b"x-api-key" in headers or b"authorization" in headers


class KeyRing:
    """All keys in memory. `start` before use, `stop` after."""

    def __init__(
        self,
        source: KeySource,
        clock: Callable[[], datetime],
        built_in: Iterable[Principal] = (),
    ) -> None:
        self._source = source
        self._clock = clock
        self._built_in = {key.key_hash: key for key in built_in}
        self._ring: Mapping[str, Principal] = self._built_in
        self._version: int | None = None
        self._healthy = True
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self.last_used: dict[str, int] = {}
        """Key id -> the minute (Unix time / 60) of its last use in this process."""

    @property
    def loaded(self) -> bool:
        """Whether the keys have been read at least once."""
        return self._version is not None

    async def start(self) -> None:
        """Read the keys, and keep them fresh. A log that is away is no obstacle to starting."""
        await self.refresh()
        self._task = asyncio.create_task(self._keep_fresh())

    async def stop(self) -> None:
        """Stop asking."""
        self._stopping = True
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def recognise(self, headers: Mapping[bytes, bytes]) -> Principal:
        """The principal of a request's headers (X-API-Key, or Authorization: Bearer).

        Raises Unauthorized with the reason, and Unavailable while the keys were never read."""
        presented = _presented(headers)
        found = key_hash(presented)
        principal = self._ring.get(found)
        if principal is None or not hmac.compare_digest(principal.key_hash, found):
            if not self.loaded:
                raise Unavailable("postgres", "the API keys could not be read yet")
            raise Unauthorized("the API key is unknown")
        now = self._clock()
        if principal.revoked:
            raise Unauthorized("the API key was revoked")
        if principal.expires_at is not None and principal.expires_at <= now:
            raise Unauthorized(f"the API key expired at {principal.expires_at:%Y-%m-%dT%H:%M:%SZ}")
        self.last_used[principal.key_id] = int(now.timestamp()) // 60
        return principal

    async def refresh(self) -> None:
        """Read the keys again if any has changed; while the log is away the old ring holds."""
        try:
            version = await self._source.version()
            if version != self._version:
                # Version first: a change in between is read now and once more a moment later.
                keys = await self._source.load()
                self._ring = {key.key_hash: _principal(key) for key in keys} | self._built_in
                self._version = version
        except (Unavailable, OSError) as error:
            if self._healthy:
                log.warning("the API keys cannot be refreshed", reason=str(error))
            self._healthy = False
        else:
            self._healthy = True

    async def _keep_fresh(self) -> None:
        # Not "while True": before Python 3.12 wait_for may swallow a cancellation, and the
        # connection pool below uses it.
        while not self._stopping:
            await asyncio.sleep(REFRESH_SECONDS)
            try:
                await self.refresh()
            except Exception:
                # Whatever it was: a ring that stops asking would honour revoked keys for ever.
                log.exception("the API keys could not be refreshed")


def _presented(headers: Mapping[bytes, bytes]) -> str:
    key = headers.get(b"x-api-key")
    if key is None:
        authorization = headers.get(b"authorization", b"")
        if not authorization[: len(_BEARER)].lower() == _BEARER:
            raise Unauthorized("the X-API-Key header is missing")
        key = authorization[len(_BEARER) :]
    key = key.strip()
    if not key:
        raise Unauthorized("the X-API-Key header is empty")
    return key.decode("latin-1")


def _principal(key: ApiKey) -> Principal:
    return Principal(
        key_id=str(key.key_id),
        app=key.app,
        permissions=implied(key.permissions),
        key_hash=key.key_hash,
        expires_at=key.expires_at,
        revoked=key.revoked,
        member_id=key.member_id,
        role=key.role,
    )
