"""Every read model says what it does with every event of the catalog."""

from __future__ import annotations

import inspect

import pytest

from domain.catalog import EVENTS
from projections.all_events import ALL_EVENTS
from projections.projection import ReadModel
from projections.registry import ALL_READ_MODELS, READ_MODELS, by_name

each = pytest.mark.parametrize(
    "read_model", ALL_READ_MODELS, ids=lambda read_model: read_model.name
)


def test_every_aggregate_of_the_catalog_is_known_to_read_models() -> None:
    assert set(EVENTS.values()) == ALL_EVENTS


@each
def test_every_event_is_folded_or_ignored(read_model: ReadModel) -> None:
    assert read_model.folds | read_model.ignores == set(EVENTS.values())


@each
def test_no_event_is_both_folded_and_ignored(read_model: ReadModel) -> None:
    assert not read_model.folds & read_model.ignores


@each
def test_nothing_is_ignored_only_because_it_is_not_folded(read_model: ReadModel) -> None:
    """A new event of an aggregate that is looked at is to be named, here or there."""
    assert "- folds" not in inspect.getsource(type(read_model))


def test_names_are_taken_once() -> None:
    names = [read_model.name for read_model in ALL_READ_MODELS]
    assert len(names) == len(set(names))


def test_a_read_model_is_found_by_its_name() -> None:
    assert all(by_name(read_model.name) is read_model for read_model in READ_MODELS)


def test_an_unknown_name_is_an_error_that_tells_the_known_ones() -> None:
    with pytest.raises(KeyError, match="no read model 'nothing'; there are error_groups"):
        by_name("nothing")
