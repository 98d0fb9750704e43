"""One request as the handlers see it: with its principal, its id and the parts it may call."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import TYPE_CHECKING, cast
from uuid import UUID

import msgspec
from litestar import Request
from litestar.datastructures import State

from api.auth import KeyRing, Principal
from api.decompression import encodings_of, opened
from api.failures import BadRequest, BodyTooLarge, UnsupportedMedia
from domain.message import Context

if TYPE_CHECKING:
    from api.applications import Applications
    from api.cache import Cache
    from api.container import Container
    from api.own_writes import OwnWrites
    from api.past_ports import Moment

Network = IPv4Network | IPv6Network

MAX_BODY = 1_048_576
"""Bytes: 1 MiB."""

_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class Parts(msgspec.Struct, frozen=True):
    """What one process of the API works with."""

    container: Container
    keys: KeyRing
    applications: Applications
    cache: Cache
    own_writes: OwnWrites


class LookingBack(msgspec.Struct, frozen=True):
    """A moment of the past that a request is about, and the ports as they were then."""

    container: Container
    moment: Moment


class Envelope(msgspec.Struct, frozen=True):
    """What is known of a request before anybody has looked at what it wants; and what is noted
    on the way for the headers of its answer, whatever that will be."""

    request_id: str
    headers: dict[bytes, bytes]
    added: list[tuple[bytes, bytes]] = []
    """Headers of the answer."""
    reads: dict[str, int] = {}
    """The read models that were looked at, with the positions they had at least reached."""


class Call(Request[Principal, Principal, State]):
    """A request. `auth` is the principal on routes that need a permission."""

    @property
    def parts(self) -> Parts:
        """The parts of this process."""
        return cast("Parts", self.scope["litestar_app"].state["parts"])

    @property
    def container(self) -> Container:
        """The ports this process calls; for a request about the past, those of its moment."""
        past: LookingBack | None = self.scope["state"].get("past")
        return self.parts.container if past is None else past.container

    @property
    def as_of(self) -> Moment | None:
        """The moment of the past that the request is about, None for the present."""
        past: LookingBack | None = self.scope["state"].get("past")
        return None if past is None else past.moment

    @property
    def envelope(self) -> Envelope:
        """The request's id and headers."""
        return cast("Envelope", self.scope["state"]["envelope"])

    @property
    def context(self) -> Context:
        """Who wants it, for the log: the request is what caused the events."""
        return self.context_of(self.auth.actor)

    def context_of(self, actor: str) -> Context:
        """The same for an actor who is known by something else than a key."""
        request_id = self.envelope.request_id
        return Context(actor, request_id, request_id, self.address())

    @property
    def report_context(self) -> Context:
        """The same for reports, without the address: they carry one where it is to be kept."""
        request_id = self.envelope.request_id
        return Context(self.auth.actor, request_id, request_id)

    def header(self, name: bytes) -> str | None:
        """A header by its lower-case name."""
        value = self.envelope.headers.get(name)
        return None if value is None else value.decode("latin-1")

    def error_id(self) -> UUID:
        """The error's UUID in the path. Raises BadRequest."""
        return self.path_id("error_id")

    def path_id(self, name: str) -> UUID:
        """The UUID in the path under this name. Raises BadRequest."""
        found = as_uuid(str(self.scope["path_params"][name]))
        if found is None:
            raise BadRequest.field("id", "must be a UUID")
        return found

    async def json_body(self, limit: int = MAX_BODY) -> bytes:
        """The whole body, which must be declared as JSON and may be compressed; as it is sent and
        opened, it may have `limit` bytes, and nothing beyond them is read.

        Raises UnsupportedMedia, BodyTooLarge, and BadRequest where the client goes away, or the
        body is not compressed as it says."""
        headers = self.envelope.headers
        declared = headers.get(b"content-type")
        if declared is not None and not _is_json(declared):
            raise UnsupportedMedia(declared.decode("latin-1"))
        encoding = headers.get(b"content-encoding")
        encodings = encodings_of(encoding.decode("latin-1")) if encoding else ()
        announced = headers.get(b"content-length", b"")
        if announced.isdigit() and int(announced[:20]) > limit:
            raise BodyTooLarge(limit)
        body = await self._read(limit)
        return await opened(body, encodings, limit) if encodings else body

    async def _read(self, limit: int) -> bytes:
        pieces: list[bytes] = []
        size = 0
        while True:
            message = await self.receive()
            if message["type"] != "http.request":
                raise BadRequest("the client went away before the body was complete")
            pieces.append(message["body"])
            size += len(message["body"])
            if size > limit:
                raise BodyTooLarge(limit)
            if not message.get("more_body", False):
                return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def address(self) -> str | None:
        """Where the request came from: the peer, or what a trusted proxy says of it."""
        client = self.scope["client"]
        peer = client[0] if client else None
        trusted = self.container.trusted_proxies
        forwarded = self.header(b"x-forwarded-for")
        if peer is None or forwarded is None or not is_trusted(peer, trusted):
            return peer
        hops = [hop.strip() for hop in forwarded.split(",") if hop.strip()]
        # Each proxy appends its own peer, so the first from the right that is no proxy is true.
        first = next((hop for hop in reversed(hops) if not is_trusted(hop, trusted)), peer)
        return first if is_address(first) else peer


def as_uuid(text: str) -> UUID | None:
    """The UUID that a text is; None where it is none."""
    return UUID(text) if _UUID.fullmatch(text) else None


@lru_cache(maxsize=64)
def _is_json(declared: bytes) -> bool:
    media = declared.split(b";", 1)[0].strip().lower()
    return media == b"application/json" or (
        media.startswith(b"application/") and media.endswith(b"+json")
    )


def is_address(text: str) -> bool:
    """Whether a text is an IP address."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=4096)
def is_trusted(address: str, proxies: tuple[Network, ...]) -> bool:
    """Whether an address belongs to one of the proxies."""
    return is_address(address) and any(ip_address(address) in proxy for proxy in proxies)
