"""What auditors are told of events: whose they are, what they changed, and no secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from domain.alert_rule import AlertRuleChanged
from domain.catalog import EVENTS, KINDS
from domain.error_group import Facets
from domain.failures import Invalid, NotFound
from domain.history import (
    KIND_OF_EVENT,
    SECRET_FIELDS,
    SUBJECTS,
    Change,
    apps_of,
    changes,
    has_secrets,
    names_wanted,
    shown,
)
from domain.integration import IntegrationConfigured, Sealed
from domain.member import Member, Team
from domain.rule_settings import RuleSettings

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SOUNDS_SECRET = re.compile(r"hash|token|secret|passw|cipher|digest|credential")


def names_in(shape: Any) -> Iterator[str]:
    """The names of all fields of a type, at any depth."""
    if isinstance(shape, msgspec.inspect.StructType):
        for field in shape.fields:
            yield field.encode_name
            yield from names_in(field.type)
    for part in ("types", "item_types"):
        for inner in getattr(shape, part, ()):
            yield from names_in(inner)
    for part in ("item_type", "key_type", "value_type", "type"):
        inner = getattr(shape, part, None)
        if isinstance(inner, msgspec.inspect.Type):
            yield from names_in(inner)


def test_every_event_is_of_a_kind() -> None:
    assert set(KIND_OF_EVENT) == set(EVENTS)
    assert set(KIND_OF_EVENT.values()) == set(KINDS)


def test_whatever_sounds_secret_is_masked() -> None:
    shapes = [*EVENTS.values(), *(decider.state_type for decider in KINDS.values())]
    names = {name for shape in shapes for name in names_in(msgspec.inspect.type_info(shape))}
    assert {name for name in names if SOUNDS_SECRET.search(name)} == SECRET_FIELDS


def test_events_with_secrets_are_known() -> None:
    found = {name for name, event in EVENTS.items() if has_secrets(event)}
    assert found == {
        name
        for name, event in EVENTS.items()
        if set(names_in(msgspec.inspect.type_info(event))) & SECRET_FIELDS
    }
    assert "ApiKeyIssued" in found


def test_what_is_shown_of_an_event_has_its_secrets_masked() -> None:
    event = IntegrationConfigured(
        integration="webhook", preview={"url": "https://e****"}, sealed=Sealed("gAAAA", "1f2e")
    )
    assert shown(event) == {
        "integration": "webhook",
        "preview": {"url": "https://e****"},
        "sealed": {"ciphertext": "****", "digest": "****"},
    }


class _Settings(msgspec.Struct):
    enabled: bool
    names: tuple[str, ...] = ()


class _State(msgspec.Struct):
    settings: _Settings | None = None
    facets: Facets | None = None
    labels: dict[str, str] = {}
    key_hash: str = ""


def test_changes_are_fields_by_dotted_names_and_absent_is_null() -> None:
    before = _State(labels={"a": "1", "b": "2"})
    after = _State(
        settings=_Settings(True, ("x",)),
        facets=Facets("error", "api", "test"),
        labels={"a": "1", "b": "3", "c": "4"},
    )
    assert set(changes(before, after)) == {
        Change("settings.enabled", None, True),
        Change("settings.names", None, ("x",)),
        Change("facets.level", None, "error"),
        Change("facets.source", None, "api"),
        Change("facets.environment", None, "test"),
        Change("labels.b", "2", "3"),
        Change("labels.c", None, "4"),
    }
    assert changes(after, after) == ()
    assert Change("settings.enabled", True, None) in changes(after, None)


def test_a_secret_that_changes_is_a_change_between_masks() -> None:
    assert changes(_State(key_hash="a"), _State(key_hash="b")) == (
        Change("key_hash", "****", "****"),
    )


def test_a_member_is_a_part_of_the_team() -> None:
    ann, bob = uuid4(), uuid4()
    subject = SUBJECTS["member"](str(ann))
    members = {
        one: Member(
            member_id=one,
            email="a@example.com",
            role="viewer",
            token_hash="",
            invited_at=NOON,
            expires_at=NOON,
        )
        for one in (ann, bob)
    }
    assert subject.seen_in(Team(members=members)) == members[ann]
    assert subject.seen_in(Team()) is None


@pytest.mark.parametrize("word", ["error", "rule", "incident", "key", "check", "member"])
def test_an_id_must_be_one(word: str) -> None:
    with pytest.raises(Invalid):
        SUBJECTS[word]("nobody")


def test_integrations_are_the_channels() -> None:
    assert SUBJECTS["integration"]("slack").kind == "integration"
    with pytest.raises(NotFound):
        SUBJECTS["integration"]("pigeon")


def test_names_follow_from_kind_and_name() -> None:
    assert names_wanted(None, None) is None
    assert names_wanted("app", None) == {"AppRegistered"}
    assert names_wanted("app", "ErrorReported") == frozenset()
    assert names_wanted(None, "ErrorReported") == {"ErrorReported"}


def test_the_applications_of_an_event_are_those_before_and_after() -> None:
    def settings(app: str) -> RuleSettings:
        return RuleSettings(name="r", condition="", threshold=1, time_window="5m", app=app)

    moved = AlertRuleChanged(
        rule_id=uuid4(), created_at=NOON, version=2, before=settings("a"), settings=settings("b")
    )
    assert apps_of(moved) == {"a", "b"}
