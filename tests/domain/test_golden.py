"""The bytes of every event ever written stay here, one file for each name and version, and must
decode for ever."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from domain.catalog import EVENTS, event_version

FILES = sorted((Path(__file__).parent / "golden").glob("*.json"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_bytes_that_were_written_once_still_decode(path: Path) -> None:
    name, version, _ = path.name.split(".")
    if version != f"v{event_version(name)}":
        pytest.skip("an older version: its upcaster's test decodes it")
    written = path.read_bytes().rstrip(b"\n")
    event = msgspec.json.decode(written, type=EVENTS[name])
    assert msgspec.json.decode(msgspec.json.encode(event)) == msgspec.json.decode(written)
