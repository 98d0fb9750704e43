"""Leases: held by one session at a time; how they are lost, the worker's tests show."""

from __future__ import annotations

from contextlib import closing

from infra.leases import LeaseSession
from tests.waiting import eventually


def test_a_lease_has_one_holder_until_it_is_given_back(database_url: str) -> None:
    with (
        closing(LeaseSession(database_url, "one")) as one,
        closing(LeaseSession(database_url, "other")) as other,
    ):
        assert one.take("right")
        assert not other.take("right")
        assert other.take("another right")
        one.close()
        assert eventually(lambda: other.take("right"))
