"""Fault 1: any sequence of commands, retries and reads does to the log what it does to a dict."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any
from uuid import UUID, uuid5

import psycopg
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from domain.api_key import IssueApiKey, RevokeApiKey
from domain.app import RegisterApp
from domain.error_group import DeleteError, ReopenError, ResolveError, group_id
from domain.failures import DomainError
from domain.message import ERRATA, Command, Committed
from infra.event_store.reader import read_page
from infra.event_store.store import EventStore
from tests.conftest import Servers
from tests.faults.load import StoreThread
from tests.faults.rounds import rounds
from tests.reports import NOON, SOMEBODY, check_log, report

NAMES = st.sampled_from(["a", "b", "c"])
CHOSEN_IDS = st.one_of(st.none(), st.sampled_from([uuid5(ERRATA, str(n)) for n in range(6)]))
KEY = uuid5(ERRATA, "key")


class LogMachine(RuleBasedStateMachine):
    """The log beside a dict of error -> (status, count), keys and apps, and the ids it knows."""

    database_url: str
    thread: StoreThread

    def __init__(self) -> None:
        super().__init__()
        self.errors: dict[str, tuple[str, int]] = {}
        self.apps: dict[str, str] = {}
        self.key: str | None = None
        self.ids: dict[UUID, UUID] = {}
        self.log: list[tuple[UUID, str]] = []
        with psycopg.connect(self.database_url) as connection:
            connection.execute("SET session_replication_role = replica")  # past the triggers
            connection.execute("TRUNCATE events, streams")
            connection.execute("UPDATE log_head SET position = 0")

    @rule(name=NAMES, chosen=CHOSEN_IDS)
    def report(self, name: str, chosen: UUID | None) -> None:
        status, count = self.errors.get(name, ("absent", 0))
        kinds = ["ErrorReported"]
        if status == "resolved":
            kinds.append("ErrorRegressed")
        done = self.execute(report(name, event_id=chosen), kinds)
        if done is not None:
            self.errors[name] = ("open", count + 1)
            assert done.state.count == count + 1

    @rule(name=NAMES, chosen=CHOSEN_IDS)
    def resolve(self, name: str, chosen: UUID | None) -> None:
        status = self.errors.get(name, ("absent", 0))[0]
        command = ResolveError(error_id=group_id("default", name), event_id=chosen)
        expected = {"absent": "not_found", "resolved": []}.get(status, ["ErrorResolved"])
        if self.execute(command, expected) is not None:
            self.errors[name] = ("resolved", self.errors[name][1])

    @rule(name=NAMES, chosen=CHOSEN_IDS)
    def reopen(self, name: str, chosen: UUID | None) -> None:
        status = self.errors.get(name, ("absent", 0))[0]
        command = ReopenError(error_id=group_id("default", name), event_id=chosen)
        expected = {"absent": "not_found", "open": []}.get(status, ["ErrorReopened"])
        if self.execute(command, expected) is not None:
            self.errors[name] = ("open", self.errors[name][1])

    @rule(name=NAMES, chosen=CHOSEN_IDS)
    def delete(self, name: str, chosen: UUID | None) -> None:
        command = DeleteError(error_id=group_id("default", name), event_id=chosen)
        expected = ["ErrorDeleted"] if name in self.errors else "not_found"
        if self.execute(command, expected) is not None:
            del self.errors[name]

    @rule(app=NAMES, app_name=st.sampled_from(["One", "Two"]))
    def register(self, app: str, app_name: str) -> None:
        known = self.apps.setdefault(app, app_name)
        command = RegisterApp(app=app, app_name=app_name)
        if all(stream != command.stream_id for stream, _ in self.log):
            self.execute(command, ["AppRegistered"])
        else:
            self.execute(command, [] if known == app_name else "already_exists")

    @rule(chosen=CHOSEN_IDS)
    def issue_key(self, chosen: UUID | None) -> None:
        issue = IssueApiKey(
            key_id=KEY,
            key_name="Key",
            key_hash="hash",
            key_preview="sk_****hash",
            app="default",
            permissions=("read",),
            granted_by=frozenset({"read"}),
            issued_at=NOON,
            event_id=chosen,
        )
        if self.execute(issue, [] if self.key else ["ApiKeyIssued"]) is not None:
            self.key = self.key or "works"

    @rule(chosen=CHOSEN_IDS)
    def revoke_key(self, chosen: UUID | None) -> None:
        works = ["ApiKeyRevoked"] if self.key == "works" else []
        command = RevokeApiKey(key_id=KEY, event_id=chosen)
        if self.execute(command, works if self.key else "not_found") is not None:
            self.key = "revoked"

    @rule(limit=st.integers(1, 5), after=st.integers(0, 60))
    def read_page(self, limit: int, after: int) -> None:
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            rows = read_page(connection, after=after, limit=limit)
        expected = self.log[after : after + limit]
        assert [(row.stream_id, row.name) for row in rows] == expected

    @rule(name=NAMES)
    def read_back(self, name: str) -> None:
        stream_id = group_id("default", name)
        found = self.run(lambda store: store.stream_back(stream_id, None, 100))
        expected = [kind for stream, kind in self.log if stream == stream_id]
        assert [recorded.name for recorded in found] == expected[::-1]

    @precondition(lambda self: len(self.log) > 0)
    @rule()
    def head(self) -> None:
        assert self.run(lambda store: store.head()) == len(self.log)

    def execute(self, command: Command, expected: Sequence[str]) -> Committed | None:
        """Execute; returns what was committed, None where nothing was. A known event id is
        answered with its stream, whatever the command; a str is the code of a refusal."""
        try:
            done = self.run(lambda store: store.execute(command, SOMEBODY))
        except DomainError as refusal:
            assert command.event_id not in self.ids
            assert refusal.code == expected
            return None
        if command.event_id in self.ids:
            assert done.events == ()
            assert done.known == self.ids[command.event_id]
            return None
        assert [recorded.name for recorded in done.events] == list(expected)
        assert done.position == len(self.log) + len(expected)
        self.log += [(command.stream_id, kind) for kind in expected]
        if command.event_id is not None and done.events:
            self.ids[command.event_id] = command.stream_id
            assert done.events[0].event_id == command.event_id
        return done if done.events else None

    def run(self, work: Callable[[EventStore], Coroutine[Any, Any, Any]]) -> Any:
        return self.thread.run(work(self.thread.store))

    def teardown(self) -> None:
        stored = check_log(self.database_url)
        assert [(row[1], row[3]) for row in stored] == self.log


def state_machine(count: int, database_url: str) -> None:
    """`count` sequences of up to 30 steps."""
    LogMachine.database_url = database_url
    LogMachine.thread = StoreThread(database_url)
    try:
        run_state_machine_as_test(
            LogMachine,
            settings=settings(
                max_examples=count,
                stateful_step_count=30,
                deadline=None,
                derandomize=True,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        LogMachine.thread.close()


def test_the_log_behaves_like_a_dict(servers: Servers) -> None:
    state_machine(rounds(2_000, 40), servers.database("migrated"))
