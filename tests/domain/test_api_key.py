"""What an API key decides."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest

from domain import api_key
from domain.api_key import ApiKeyIssued, ApiKeyRevoked, IssueApiKey, RevokeApiKey
from tests.spec import START, given

ID = UUID(int=1)
SECRET = "sk_live_0123456789abcdefghijklmnopqrstuvwxyz7890"


def issue(**changes: Any) -> IssueApiKey:
    """A wish for a reading key."""
    wish: dict[str, Any] = {
        "key_id": ID,
        "key_name": "Reader",
        "key_hash": api_key.key_hash(SECRET),
        "key_preview": api_key.key_preview(SECRET),
        "app": "default",
        "permissions": ("read",),
        "granted_by": frozenset({"read", "write", "ingest", "admin"}),
        "issued_at": START,
    }
    return IssueApiKey(**(wish | changes))


def issued() -> ApiKeyIssued:
    """The event of that wish."""
    (event,) = given(api_key.decider).when(issue()).events
    assert isinstance(event, ApiKeyIssued)
    return event


def test_a_key_is_issued_with_its_hash_and_never_with_itself() -> None:
    event = issued()
    assert event.key_hash == api_key.key_hash(SECRET)
    assert event.key_preview == "sk_****7890"
    assert SECRET.encode() not in msgspec.json.encode(event)


def test_issuing_the_same_key_again_adds_nothing() -> None:
    given(api_key.decider, issued()).when(issue()).then_nothing()


def test_an_id_is_taken_by_its_first_key() -> None:
    given(api_key.decider, issued()).when(issue(key_hash="other")).then_refused("already_exists")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"key_name": " "}, "invalid"),
        ({"expires_at": START}, "invalid"),
        ({"expires_at": START - timedelta(days=1)}, "invalid"),
        ({"permissions": ("admin",), "granted_by": frozenset({"read"})}, "forbidden"),
        ({"permissions": ("write",), "granted_by": frozenset({"read", "ingest"})}, "forbidden"),
    ],
)
def test_a_key_is_refused(change: dict[str, Any], code: str) -> None:
    given(api_key.decider).when(issue(**change)).then_refused(code)


def test_revoking_is_for_good_and_needs_saying_once() -> None:
    revoked = ApiKeyRevoked(key_id=ID, key_hash=api_key.key_hash(SECRET), app="default")
    given(api_key.decider, issued()).when(RevokeApiKey(key_id=ID)).then(revoked)
    given(api_key.decider, issued(), revoked).when(RevokeApiKey(key_id=ID)).then_nothing()
    given(api_key.decider, issued(), revoked).when(issue()).then_nothing()


def test_an_unknown_key_cannot_be_revoked() -> None:
    given(api_key.decider).when(RevokeApiKey(key_id=ID)).then_refused("not_found")
