"""What the scrubber does not suspect holds no secret: nobody looks at it again."""

import json

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from domain.scrubbing import FILTERED, SECRET_KEYS, Scrubber

scrubber = Scrubber(["iban", "session_id", "key2"])
PIECES = [
    *"pass word wd sec ret tok en cook ie author ization api key2 private cvv ssn s sn iz".split(),
    *"bearer eyJa.eyJb.c 4111 1111 0000000000 user session id iban less ary".split(),
    *"= : \" ' [ ] { } & ; , :// @ / x % ? # ( _ - . + |".split(),
    *(" ", "\n", "\t", "\x7f", "\u017f", "\u212a", "Bearer abc", FILTERED, *SECRET_KEYS),
]
cased = st.sampled_from([*PIECES, *map(str.upper, PIECES), *map(str.title, PIECES)])
texts = st.lists(cased, max_size=5).map("".join)
leaves = texts | st.integers(0, 10**20) | st.none() | st.booleans()
trees = st.dictionaries(texts, leaves | st.lists(leaves, max_size=2), max_size=2)


@settings(max_examples=200)
@given(st.lists(texts, min_size=1, max_size=3))
def test_no_secret_leaves_a_text_that_is_not_suspected(parts: list[str]) -> None:
    assume(not scrubber.suspects(*parts))
    assert [scrubber.text(part) for part in parts] == [(part, 0) for part in parts]
    assert scrubber.value(dict.fromkeys(parts, "x"))[1] == 0
    assert not any(scrubber.url(part)[1] for part in parts if "%" not in part)


@settings(max_examples=150)
@given(trees)
def test_no_secret_leaves_json_without_escapes_that_is_not_suspected(tree: object) -> None:
    written = json.dumps(tree, ensure_ascii=False)
    assume("\\" not in written and not scrubber.suspects(written))
    assert scrubber.value(tree) == (tree, 0)


@pytest.mark.parametrize(
    "text",
    [
        "password",
        "PASS_WORD=x",
        '{"pass:word": 1}',
        "x-api-key: y",
        "4111 1111 1111 1111",
        "4111111111111111",
        "https://u:p@example.com",
        "bearer abc",
        "my IBAN",
        "key2=x",
        "\u017fecret",
    ],
)
def test_what_may_hold_a_secret_is_suspected(text: str) -> None:
    assert scrubber.suspects("order failed", text)


def test_ordinary_reports_are_not_suspected() -> None:
    assert not scrubber.suspects("Could not pay order 42", "shop", '{"cart":["a",1.5]}', "", "")


def test_numbers_beside_each_other_are_not_taken_for_one() -> None:
    assert not scrubber.suspects("order 100000000", "100000000")
