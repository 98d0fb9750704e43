"""An application: the owner of its errors (a "project" to some, an "app" to others)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from domain.decider import Decider
from domain.failures import AlreadyExists, Invalid
from domain.message import Command, Event, Recorded, derived_id

APP_ID_RULE = "1 to 100 letters, digits, '.', '_', '-', first a letter or digit"
_APP_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class RegisterApp(Command, frozen=True, kw_only=True):
    """Somebody registers an application under an id of their choice. `only_new` refuses one that
    is there already, whatever its name."""

    app: str
    app_name: str
    only_new: bool = False

    @property
    def stream_id(self) -> UUID:
        """The application's stream: its id is taken once."""
        return app_stream(self.app)


class AppRegistered(Event, frozen=True, kw_only=True):
    """The application exists from here on."""

    app: str
    app_name: str


EVENTS: frozenset[type[Event]] = frozenset({AppRegistered})


class App(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What decisions about an application need to know."""

    app: str = ""
    app_name: str = ""
    registered_at: datetime | None = None


def evolve(state: App, recorded: Recorded[Event]) -> App:
    """Fold one event into the application's state."""
    event = recorded.event
    if isinstance(event, AppRegistered):
        return App(app=event.app, app_name=event.app_name, registered_at=recorded.recorded_at)
    return state


def decide(state: App, command: Command) -> Sequence[Event]:
    """Register once. The same id with the same name changes nothing; with another name the id is
    taken (AlreadyExists). Raises Invalid for an id or a name that cannot be one."""
    if not isinstance(command, RegisterApp):
        raise TypeError(f"an application cannot decide {type(command).__name__}")
    if not is_app_id(command.app):
        raise Invalid("id", APP_ID_RULE)
    if not 1 <= len(command.app_name.strip()) <= 200:
        raise Invalid("name", "1 to 200 characters")
    if not state.app:
        return (AppRegistered(app=command.app, app_name=command.app_name),)
    if state.app_name == command.app_name and not command.only_new:
        return ()
    raise AlreadyExists(f"application {command.app!r} exists with the name {state.app_name!r}")


def is_app_id(text: str) -> bool:
    """Whether an application can have this id."""
    return _APP_ID.fullmatch(text) is not None


def app_stream(app: str) -> UUID:
    """The stream of an application's id."""
    return derived_id("app", app)


decider = Decider(
    kind="app", state_type=App, state_schema=1, initial=App(), evolve=evolve, decide=decide
)
