"""Every read model says what it does with every event of the catalog."""

from __future__ import annotations

import pytest

from domain.catalog import EVENTS
from projections.projection import RedisReadModel
from projections.registry import READ_MODELS, by_name


@pytest.mark.parametrize("read_model", READ_MODELS, ids=lambda read_model: read_model.name)
def test_every_event_is_folded_or_ignored(read_model: RedisReadModel) -> None:
    assert read_model.folds | read_model.ignores == set(EVENTS.values())


@pytest.mark.parametrize("read_model", READ_MODELS, ids=lambda read_model: read_model.name)
def test_no_event_is_both_folded_and_ignored(read_model: RedisReadModel) -> None:
    assert not read_model.folds & read_model.ignores


def test_names_are_taken_once() -> None:
    names = [read_model.name for read_model in READ_MODELS]
    assert len(names) == len(set(names))


def test_a_read_model_is_found_by_its_name() -> None:
    assert all(by_name(read_model.name) is read_model for read_model in READ_MODELS)


def test_an_unknown_name_is_an_error_that_tells_the_known_ones() -> None:
    with pytest.raises(KeyError, match="no read model 'nothing'; there are error_groups"):
        by_name("nothing")
