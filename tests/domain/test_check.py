"""What a custom check may be, and what changes it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from msgspec import UNSET

from domain.check import (
    ChangeCheck,
    CheckChanged,
    CheckCreated,
    CheckDeleted,
    CreateCheck,
    DeleteCheck,
    decider,
)
from domain.check_settings import CheckSettings, CheckWish, flaws
from tests.spec import START, given

CHECK = UUID(int=7)
SETTINGS = CheckSettings(name="Shop", target="https://shop.example.com/")
CREATED = CheckCreated(check_id=CHECK, settings=SETTINGS)
WISH = CheckWish(name="Shop", target="https://shop.example.com/")
PORT = "tcp://mail.example.com:25"


def change(expected_version: int | None = None, **fields: Any) -> ChangeCheck:
    wish = CheckWish(**fields)
    return ChangeCheck(check_id=CHECK, wish=wish, expected_version=expected_version)


def test_a_check_is_created_with_its_defaults() -> None:
    given(decider).when(CreateCheck(check_id=CHECK, wish=WISH)).then(CREATED)


def test_creating_it_again_changes_nothing() -> None:
    given(decider, CREATED).when(CreateCheck(check_id=CHECK, wish=WISH)).then_nothing()


def test_a_taken_id_is_refused() -> None:
    other = CheckWish(name="Other", target=PORT)
    given(decider, CREATED).when(CreateCheck(check_id=CHECK, wish=other)).then_refused(
        "already_exists"
    )


def test_a_check_needs_a_name_and_a_target() -> None:
    given(decider).when(CreateCheck(check_id=CHECK, wish=CheckWish())).then_refused("invalid")


def test_what_is_given_changes_and_the_rest_stays() -> None:
    after = CheckSettings(name="Shop", target=SETTINGS.target, interval=30)
    changed = CheckChanged(
        check_id=CHECK, created_at=START, version=2, before=SETTINGS, settings=after
    )
    given(decider, CREATED).when(change(interval=30), change(interval=30)).then(changed)


def test_an_address_has_no_status_and_no_text() -> None:
    result = given(decider, CREATED).when(change(target=PORT)).events
    assert isinstance(result[0], CheckChanged)
    assert result[0].settings.expected_status is None


def test_a_url_that_replaces_an_address_expects_200() -> None:
    events = given(decider, CREATED).when(change(target=PORT), change(target="http://x/")).events
    assert isinstance(events[1], CheckChanged)
    assert events[1].settings.expected_status == 200


def test_a_change_of_another_version_is_refused() -> None:
    given(decider, CREATED).when(change(2, interval=30)).then_refused("conflict")


def test_a_deleted_check_is_gone_for_good() -> None:
    delete = DeleteCheck(check_id=CHECK)
    given(decider, CREATED).when(delete).then(CheckDeleted(check_id=CHECK))
    past = (CREATED, CheckDeleted(check_id=CHECK))
    given(decider, *past).when(change(interval=30)).then_refused("not_found")
    given(decider, *past).when(CreateCheck(check_id=CHECK, wish=WISH)).then_refused(
        "already_exists"
    )


@pytest.mark.parametrize(
    "target",
    [
        "http://example.com",
        "https://example.com:8443/a?b=c",
        "http://[::1]:8080/",
        PORT,
        "TCP://host:1",
    ],
)
def test_these_are_targets(target: str) -> None:
    assert flaws(CheckWish(target=target)) == []


@pytest.mark.parametrize(
    "target",
    [
        "",
        "example.com",
        "ftp://example.com",
        "http://",
        "http://example.com:99999/",
        "http://exam ple.com",
        "http://example.com/\n",
        "https://user:secret@example.com/",
        "tcp://example.com",
        "tcp://example.com:25/path",
        "tcp://:25",
        "http://[::1",
        "http://" + "x" * 2_000,
    ],
)
def test_these_are_none(target: str) -> None:
    assert [flaw.field for flaw in flaws(CheckWish(target=target))] == ["target"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", " "),
        ("interval", 14),
        ("interval", 3601),
        ("interval", 15.5),
        ("timeout", 0),
        ("timeout", 2.5),
        ("timeout", 31),
        ("expected_status", 99),
        ("expected_status", 600),
        ("body_text", ""),
    ],
)
def test_a_value_out_of_bounds_is_named(field: str, value: object) -> None:
    assert [flaw.field for flaw in flaws(CheckWish(**{field: value}))] == [field]  # type: ignore[arg-type]


def test_what_is_left_out_breaks_no_rule() -> None:
    assert CheckWish().name is UNSET
    assert flaws(CheckWish()) == []
