"""Ids that follow from names."""

from uuid import uuid5

from hypothesis import given
from hypothesis import strategies as st

from domain.message import ERRATA, derived_id


@given(st.lists(st.text(st.characters(codec="utf-8")), max_size=4))
def test_a_derived_id_is_the_version_5_uuid_of_its_names(names: list[str]) -> None:
    expected = uuid5(ERRATA, "".join(f"{len(name)}:{name}" for name in names))
    found = derived_id(*names)
    assert (found, hash(found), found.version) == (expected, hash(expected), 5)
