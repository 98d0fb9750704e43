"""What an application decides."""

from __future__ import annotations

import pytest

from domain import app
from domain.app import AppRegistered, RegisterApp
from tests.spec import given

SHOP = RegisterApp(app="shop", app_name="The Shop")
REGISTERED = AppRegistered(app="shop", app_name="The Shop")


def test_an_application_is_registered_once() -> None:
    given(app.decider).when(SHOP).then(REGISTERED)
    given(app.decider, REGISTERED).when(SHOP).then_nothing()


def test_an_id_is_taken_by_its_first_name() -> None:
    other = RegisterApp(app="shop", app_name="Another")
    given(app.decider, REGISTERED).when(other).then_refused("already_exists")


@pytest.mark.parametrize("bad", ["", " ", "a b", "*", "-a", "a" * 101, "ä", "a/b"])
def test_an_id_is_short_and_plain(bad: str) -> None:
    given(app.decider).when(RegisterApp(app=bad, app_name="x")).then_refused("invalid")


@pytest.mark.parametrize("bad", ["", "   ", "n" * 201])
def test_a_name_says_something(bad: str) -> None:
    given(app.decider).when(RegisterApp(app="shop", app_name=bad)).then_refused("invalid")
