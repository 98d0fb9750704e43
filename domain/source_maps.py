"""The source maps of one version of an application: which file has which map.

A map itself is too large for an event. It is kept once, under the SHA-256 of its text; an event
says only which content a file has from now on. What is uploaded must be in place before that.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import msgspec

from domain.decider import Decider
from domain.failures import Conflict, Invalid
from domain.message import Command, Event, Recorded, derived_id

MAX_VERSION = 200
MAX_FILE_NAME = 500
"""Characters."""

MAX_FILES = 5_000
"""Maps of one version; they are one state, which every decision reads."""

# -- commands ------------------------------------------------------------------------------------


class _VersionCommand(Command, frozen=True, kw_only=True):
    app: str
    app_version: str

    @property
    def stream_id(self) -> UUID:
        """The stream of this version's maps."""
        return maps_stream(self.app, self.app_version)


class UploadSourceMap(_VersionCommand, frozen=True, kw_only=True):
    """Somebody gives a file its map. `sha256` (hex) and `size` (bytes) are those of its text."""

    file_name: str
    sha256: str
    size: int


class DeleteSourceMaps(_VersionCommand, frozen=True, kw_only=True):
    """Somebody takes all maps of a version away."""


# -- events --------------------------------------------------------------------------------------


class SourceMapUploaded(Event, frozen=True, kw_only=True):
    """The file has this map from here on, whatever it had before."""

    app: str
    app_version: str
    file_name: str
    sha256: str
    size: int


class SourceMapsDeleted(Event, frozen=True, kw_only=True):
    """The version has no maps any more; `count` is how many it had."""

    app: str
    app_version: str
    count: int


EVENTS: frozenset[type[Event]] = frozenset({SourceMapUploaded, SourceMapsDeleted})

# -- state ---------------------------------------------------------------------------------------


class SourceMaps(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The version's maps: file name -> SHA-256 of the map's text."""

    files: dict[str, str] = {}


def evolve(state: SourceMaps, recorded: Recorded[Event]) -> SourceMaps:
    """Fold one event into the version's state."""
    event = recorded.event
    match event:
        case SourceMapUploaded():
            return SourceMaps(files={**state.files, event.file_name: event.sha256})
        case SourceMapsDeleted():
            return SourceMaps()
    return state


# -- decisions -----------------------------------------------------------------------------------


def decide(state: SourceMaps, command: Command) -> Sequence[Event]:
    """The events that follow from a command. The same content again, and a deletion of what is
    not there, change nothing.

    Raises Invalid for a name that cannot be one, Conflict for one map too many."""
    match command:
        case UploadSourceMap():
            return _upload(state, command)
        case DeleteSourceMaps():
            return _delete(state, command)
    raise TypeError(f"source maps cannot decide {type(command).__name__}")


def _upload(state: SourceMaps, command: UploadSourceMap) -> Sequence[Event]:
    _check_length("appVersion", command.app_version, MAX_VERSION)
    _check_length("fileName", command.file_name, MAX_FILE_NAME)
    if state.files.get(command.file_name) == command.sha256:
        return ()
    if command.file_name not in state.files and len(state.files) >= MAX_FILES:
        raise Conflict(f"version {command.app_version} has {MAX_FILES:,} source maps already")
    return (
        SourceMapUploaded(
            app=command.app,
            app_version=command.app_version,
            file_name=command.file_name,
            sha256=command.sha256,
            size=command.size,
        ),
    )


def _delete(state: SourceMaps, command: DeleteSourceMaps) -> Sequence[Event]:
    if not state.files:
        return ()
    count = len(state.files)
    return (SourceMapsDeleted(app=command.app, app_version=command.app_version, count=count),)


def _check_length(field: str, text: str, most: int) -> None:
    if not text.strip() or len(text) > most:
        raise Invalid(field, f"must have 1 to {most} characters, and not only blanks")


def maps_stream(app: str, app_version: str) -> UUID:
    """The stream of the maps of one version of an application."""
    return derived_id("source_maps", app, app_version)


decider = Decider(
    kind="source_maps",
    state_type=SourceMaps,
    state_schema=1,
    initial=SourceMaps(),
    evolve=evolve,
    decide=decide,
)
