"""Source maps at work: checked and kept when they come, asked when a stack is shown.

Frames are resolved when they are shown and never before, so that a map that arrives late resolves
old occurrences too. One thread does what takes time, with the maps and the functions of sources
it read last at hand.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from typing import Any, NamedTuple, TypeVar

import msgspec

from domain.occurrence import NULL
from domain.resolved_stack import Original, Stack, parsed, set_original
from domain.source_map_files import Candidates, PackedMap, check_source_map
from infra.source_maps.blobs import Blobs, deflated, inflated
from infra.source_maps.functions import Functions, functions_of
from infra.source_maps.parsed import ParsedMap, Token
from infra.source_maps.weighed import Weighed

T = TypeVar("T")

Contents = Callable[[str, str], Awaitable[Mapping[str, str]]]
"""(application, version) -> file name -> SHA-256 of its map."""

CACHE_BYTES = 256 * 1024 * 1024
"""Of parsed maps."""

CACHE_FUNCTIONS = 200_000
"""Functions of sources, some 200 bytes each."""

MAX_FRAMES = 200
"""Frames of one stack that are resolved, counted from where it was thrown."""


class _Place(NamedTuple):
    """A place in the compiled code, counted from 1, and the map (SHA-256) that knows it."""

    sha256: str
    line: int
    column: int


class _Found(NamedTuple):
    """What a map says of a place. `function` counts only where the source's functions are known:
    None is then one without a name."""

    token: Token
    function: str | None
    functions_known: bool


class _Shown(NamedTuple):
    """A stack on its way out: its frames, and the places of those that have a map."""

    document: dict[str, Any] | None
    places: list[_Place | None]


class SourceMaps:
    """The maps of one process. `stop` after use; nothing to start."""

    def __init__(
        self,
        database_url: str,
        contents: Contents,
        *,
        cache_bytes: int = CACHE_BYTES,
        cache_functions: int = CACHE_FUNCTIONS,
    ) -> None:
        self._blobs = Blobs(database_url)
        self._contents = contents
        # The first is touched in the event loop only, the second in the thread only.
        self._maps: Weighed[str, ParsedMap] = Weighed(cache_bytes)
        self._functions: Weighed[tuple[str, int], Functions] = Weighed(cache_functions)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="source-maps")
        self._reading = asyncio.Lock()

    def asking(self, contents: Contents) -> SourceMaps:
        """The same maps, where somebody else says which of them a version has. All else is shared
        with this one, which alone is to be stopped."""
        other = copy(self)
        other._contents = contents
        return other

    async def stop(self) -> None:
        """Let go of thread and connection."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        await self._blobs.close()

    async def pack(self, text: bytes) -> PackedMap:
        """A map ready to be kept. Raises NotASourceMap, with the reason."""
        return await self._in_thread(_packed, text)

    async def keep(self, packed: PackedMap) -> None:
        """Keep a map, before the event that names it. Raises Unavailable."""
        await self._blobs.put(packed)

    async def resolve(self, stack: Stack) -> msgspec.Raw:
        """One stack with the original places of its frames; NULL where it has no frames."""
        return (await self.resolve_all([stack]))[0]

    async def resolve_all(self, stacks: Sequence[Stack]) -> list[msgspec.Raw]:
        """The same for many stacks, each version's maps looked up once.

        Raises Unavailable and RedisError where a version's maps cannot be looked up."""
        candidates: dict[tuple[str, str], Candidates] = {}
        for app, version in {(one.app, one.app_version) for one in stacks}:
            if version:
                candidates[app, version] = Candidates(await self._contents(app, version))
        shown = await self._in_thread(_shown, stacks, candidates)
        found: dict[_Place, _Found] = {}
        for sha256, places_there in _by_map(shown).items():
            found |= await self._asked(sha256, places_there)
        return await self._in_thread(_finished, shown, found)

    async def _asked(self, sha256: str, places: Iterable[_Place]) -> dict[_Place, _Found]:
        """What one map says; nothing where its text is gone. Of maps that are not at hand only
        one at a time is read, whoever asks, so that memory stays bounded."""
        known = self._maps.get(sha256)
        if known is not None:
            return await self._in_thread(self._ask, known, places)
        async with self._reading:
            read = self._maps.get(sha256) or await self._read(sha256)
            return {} if read is None else await self._in_thread(self._ask, read, places)

    async def _read(self, sha256: str) -> ParsedMap | None:
        body = await self._blobs.get(sha256)
        if body is None:
            return None
        read = await self._in_thread(_parsed, body)
        self._maps.put(sha256, read, read.weight)
        return read

    async def _in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)

    # -- in the thread ---------------------------------------------------------------------------

    def _ask(self, known: ParsedMap, places: Iterable[_Place]) -> dict[_Place, _Found]:
        found: dict[_Place, _Found] = {}
        for place in places:
            token = known.token(place.line, place.column)
            if token is not None:
                functions = self._functions_of(place.sha256, token, known)
                name = functions.name_at(token.line, token.column)
                found[place] = _Found(token, name, functions.known)
        return found

    def _functions_of(self, sha256: str, token: Token, known: ParsedMap) -> Functions:
        key = (sha256, token.source)
        functions = self._functions.get(key)
        if functions is None:
            functions = functions_of(token.file, known.source(token.source))
            self._functions.put(key, functions, len(functions) + 1)
        return functions


def _shown(
    stacks: Iterable[Stack], candidates: Mapping[tuple[str, str], Candidates]
) -> list[_Shown]:
    """Stacks with their frames, and the places of those that have a map."""
    shown: list[_Shown] = []
    for stack in stacks:
        document = parsed(stack)
        known = candidates.get((stack.app, stack.app_version or ""))
        places: list[_Place | None] = []
        if document is not None and known is not None:
            places = [_place(frame, known) for frame in document["frames"][:MAX_FRAMES]]
        shown.append(_Shown(document, places))
    return shown


def _by_map(shown: Iterable[_Shown]) -> dict[str, set[_Place]]:
    """All places, by the map that knows them."""
    places: dict[str, set[_Place]] = {}
    for place in (place for one in shown for place in one.places if place is not None):
        places.setdefault(place.sha256, set()).add(place)
    return places


def _place(frame: dict[str, Any], candidates: Candidates) -> _Place | None:
    """A frame's place; None where it does not say all of it, or no map was uploaded for it. In
    minified code a line alone says nothing, so a column must be there."""
    file, line, column = frame.get("fileName"), frame.get("lineNumber"), frame.get("columnNumber")
    if not isinstance(file, str) or type(line) is not int or type(column) is not int:
        return None
    sha256 = candidates.best(file)
    return None if sha256 is None else _Place(sha256, line, column)


def _finished(shown: Iterable[_Shown], found: Mapping[_Place, _Found]) -> list[msgspec.Raw]:
    return [NULL if one.document is None else _one(one, one.document, found) for one in shown]


def _one(shown: _Shown, document: dict[str, Any], found: Mapping[_Place, _Found]) -> msgspec.Raw:
    there = [None if place is None else found.get(place) for place in shown.places]
    frames: list[dict[str, Any]] = document["frames"]
    for at, frame in enumerate(frames):
        one = there[at] if at < len(there) else None
        if one is None:
            set_original(frame, None)
            continue
        function = one.function if one.functions_known else _called(at, frames, there)
        token = one.token
        set_original(frame, Original(token.file, token.line + 1, token.column + 1, function))
    return msgspec.Raw(msgspec.json.encode(document))


def _called(
    at: int, frames: Sequence[dict[str, Any]], there: Sequence[_Found | None]
) -> str | None:
    """The name under which a frame's function was called, as the frame behind it tells. A frame
    that waits has not called the one before it."""
    behind = at + 1
    one = there[behind] if behind < len(there) else None
    return None if one is None or "async " in str(frames[behind].get("raw")) else one.token.name


def _packed(text: bytes) -> PackedMap:
    check_source_map(text)
    ParsedMap(text)
    return PackedMap(hashlib.sha256(text).hexdigest(), len(text), deflated(text))


def _parsed(body: bytes) -> ParsedMap:
    return ParsedMap(inflated(body))
