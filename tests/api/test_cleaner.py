"""Secrets that one look at all parts of a report could miss."""

import msgspec
import pytest

from api.cleaner import Cleaner
from domain.scrubbing import Scrubber

scrubber = Scrubber()


def cleaner(*texts: str, json: bytes = b"null") -> Cleaner:
    return Cleaner(scrubber, texts, [msgspec.Raw(json)])


@pytest.mark.parametrize(
    "written",
    [
        rb'{"pass\u0077ord":"hunter2"}',
        rb'{"pass\nword":"hunter2"}',
        b'{"password":"hunter2"}',
        b'{"a":[{"apiKey":"hunter2"}]}',
    ],
)
def test_a_secret_leaves_json_however_its_key_is_written(written: bytes) -> None:
    clean = cleaner("order failed", json=written)
    assert b"hunter2" not in bytes(clean.json("context", msgspec.Raw(written)))
    assert clean.count == 1


def test_a_secret_leaves_a_url_that_encodes_its_name() -> None:
    url = "https://example.com/?%70assword=hunter2"
    clean = cleaner("order failed", url)
    assert clean.url(url) == "https://example.com/?%70assword=[Filtered]"
    assert clean.count == 1


def test_a_secret_leaves_tags_and_texts() -> None:
    tags = {"token": "hunter2"}
    clean = cleaner("password=hunter2", *tags, *tags.values())
    assert clean.tags(tags) == {"token": "[Filtered]"}
    assert clean.text("password=hunter2") == "password=[Filtered]"
    assert clean.count == 2


def test_a_secret_leaves_a_stack_trace_beside_innocent_parts() -> None:
    assert cleaner("order failed").stack_trace("x\npassword=hunter2") == "x\npassword=[Filtered]"


def test_what_holds_no_secret_stays_as_it_is() -> None:
    written = msgspec.Raw(b'{"cart": ["a", 1.10]}')
    clean = Cleaner(scrubber, ["order failed", "eu"], [written])
    assert clean.text("order failed") == "order failed"
    assert clean.tags({"region": "eu"}) == {"region": "eu"}
    assert bytes(clean.json("context", written)) == b'{"cart":["a",1.10]}'
    assert clean.count == 0
