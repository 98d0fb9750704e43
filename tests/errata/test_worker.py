"""A worker's leases: held by one session, lost by one that is silent, and taken by another."""

from __future__ import annotations

from contextlib import closing
from time import sleep

import psycopg
import pytest

from errata import worker
from errata.worker import Leases
from projections.registry import READ_MODELS


def test_a_lease_has_one_holder(database_url: str) -> None:
    with closing(Leases(database_url, READ_MODELS)) as one:
        assert one.take()
        with closing(Leases(database_url, READ_MODELS)) as other:
            assert not other.take()
            assert other.held == []


def test_a_lease_given_back_is_free(database_url: str) -> None:
    with closing(Leases(database_url, READ_MODELS)) as one:
        one.take()
    with closing(Leases(database_url, READ_MODELS)) as other:
        assert other.take()
        assert other.held == list(READ_MODELS)


def test_a_silent_session_loses_its_leases(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "LEASE_IDLE_SECONDS", 1)
    with (
        closing(Leases(database_url, READ_MODELS)) as silent,
        closing(Leases(database_url, READ_MODELS)) as standby,
    ):
        silent.take()
        for _ in range(16):
            sleep(0.1)
            if standby.take():
                break
        assert standby.held == list(READ_MODELS)
        with pytest.raises(psycopg.OperationalError):
            silent.take()
