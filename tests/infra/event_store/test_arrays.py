"""Arrays that are put together by hand arrive as they were meant."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import psycopg
import pytest

from infra.event_store import arrays
from infra.event_store.arrays import byte_strings, int4s, int8s, texts, uuids

IDS = [UUID(int=0), UUID(int=2**128 - 1), UUID("6f1d0c5e-6b0a-5a0e-9a55-4c2a0e77a7a1")]
CASES: list[tuple[str, Any, list[Any]]] = [
    ("uuid[]", uuids, IDS),
    ("bytea[]", byte_strings, [b"", b"\x00\\x\xff", b'{"a":"b"}']),
    ("text[]", texts, ["", "größe", '{"a", NULL}', "error_group"]),
    ("int[]", int4s, [0, 1, -(2**31), 2**31 - 1]),
    ("bigint[]", int8s, [0, 1, -(2**63), 2**63 - 1]),
]


@pytest.mark.parametrize("of", ["all", "one", "none"])
@pytest.mark.parametrize(("name", "make", "values"), CASES, ids=[case[0] for case in CASES])
def test_an_array_arrives_with_every_value(
    database_url: str, name: str, make: Any, values: list[Any], of: str
) -> None:
    wanted = {"all": values, "one": values[1:2], "none": []}[of]
    with psycopg.connect(database_url, autocommit=True) as connection:
        arrays.register(connection)
        statement = f"SELECT %s::{name}, pg_typeof(%s)::text"
        row = connection.execute(statement.encode(), (make(wanted), make(wanted))).fetchone()
    assert row == (wanted, {"int[]": "integer[]"}.get(name, name))
