"""JSON text before it is decoded: what must not enter the log, and values kept to the last digit.

What PostgreSQL or a strict JSON reader could not take back out (NUL characters, half surrogate
pairs, bottomless nesting) is refused at the door, by looks at the bytes that cost nothing where
there is nothing to find.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from decimal import Decimal
from itertools import accumulate

import msgspec

from api.failures import BadRequest

MAX_DEPTH = 100

_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_BRACKETS = b"{}[]"
_NOT_BRACKETS = bytes(set(range(256)) - set(_BRACKETS))
_STEP = {ord("{"): 1, ord("["): 1, ord("}"): -1, ord("]"): -1}

_SUSPECT = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
_ESCAPE = re.compile(rb"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)

_NUL = rb"\u0000"

NUL = "must not contain NUL characters"
LONE_SURROGATE = "must not contain half of a surrogate pair"

_encode = msgspec.json.Encoder(decimal_format="number").encode
_decode = msgspec.json.Decoder().decode

_EXACT_DIGITS = 18


def check_text(body: bytes) -> None:
    """Raises BadRequest where a body is empty, is not UTF-8 or nests deeper than 100."""
    check_encoding(body)
    check_depth(body)


def check_encoding(body: bytes) -> None:
    """Raises BadRequest where a body is empty or is not UTF-8."""
    if not body or body.isspace():
        raise BadRequest("the body is empty; it must be a JSON object")
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise BadRequest(f"the body is not valid UTF-8 (byte {error.start})") from None


def check_depth(body: bytes) -> None:
    """Raises BadRequest where JSON text nests deeper than 100."""
    if body.count(b"{") + body.count(b"[") > MAX_DEPTH and _depth(body) > MAX_DEPTH:
        raise BadRequest(f"the body is nested deeper than {MAX_DEPTH} levels")


def _depth(body: bytes) -> int:
    brackets = _STRING.sub(b"", body).translate(None, _NOT_BRACKETS)
    return max(accumulate(map(_STEP.__getitem__, brackets)), default=0)


def bad_escape(text: bytes) -> str | None:
    """What is wrong with an escape in JSON text (NUL, half a surrogate pair); None if nothing."""
    if b"\\u" not in text or not _SUSPECT.search(text):
        return None
    return next((problem for _, problem in _offences(text)), None)


def fields_with_bad_escapes(text: bytes) -> list[str]:
    """The fields of a JSON object that hold such an escape; none where the text is no object."""
    try:
        fields = msgspec.json.decode(decodable(text), type=dict[str, msgspec.Raw])
    except msgspec.DecodeError:
        return []
    return [name for name, raw in fields.items() if bad_escape(bytes(raw))]


def decodable(text: bytes) -> bytes:
    """The text with a NUL, an escape that the decoder takes, in place of each such escape."""
    marked = bytearray(text)
    for start, _ in _offences(text):
        marked[start : start + len(_NUL)] = _NUL
    return bytes(marked)


def _offences(text: bytes) -> Iterator[tuple[int, str]]:
    """Where an escape is that must not be, and what is wrong with it."""
    high: re.Match[bytes] | None = None
    for match in _ESCAPE.finditer(text):
        unit = int(match[1], 16) if match[1] else -1
        if 0xDC00 <= unit <= 0xDFFF and high is not None and high.end() == match.start():
            high = None
            continue
        if high is not None:
            yield high.start(), LONE_SURROGATE
        high = match if 0xD800 <= unit <= 0xDBFF else None
        if unit == 0:
            yield match.start(), NUL
        elif 0xDC00 <= unit <= 0xDFFF:
            yield match.start(), LONE_SURROGATE
    if high is not None:
        yield high.start(), LONE_SURROGATE


def rewritten(
    raw: bytes | msgspec.Raw, change: Callable[[object], tuple[object, int]]
) -> tuple[msgspec.Raw, int]:
    """A JSON value after `change`, without white space, and the number of changes.

    What `change` has seen is what comes out: a value whose text says more than the decoded value
    does (a key twice, 1.10, 1e999) is decoded and written again with every digit of its numbers.
    Raises ValueError for a number beyond any range.
    """
    compact = bytes(raw)
    value: object = None
    written = None
    with suppress(msgspec.ValidationError):
        value = _decode(compact)
        written = _encode(value)
    if written != compact:
        compact = msgspec.json.format(compact, indent=-1)
    faithful = written == compact
    if not faithful:
        value = _exact(compact)
    changed, count = change(value)
    if faithful and not count:
        return msgspec.Raw(compact), 0
    return msgspec.Raw(_encode(changed)), count


def why_malformed(error: msgspec.DecodeError) -> str:
    """What the decoder says of a text that is no JSON."""
    return (
        str(error)
        .removeprefix("JSON is malformed: ")
        .replace("Input data was truncated", "it ends too early")
    )


def _exact(text: bytes) -> object:
    try:
        return json.loads(text, parse_float=Decimal, parse_int=_integer)
    except ArithmeticError:
        raise ValueError("a number is out of range") from None


def _integer(digits: str) -> int | Decimal:
    return int(digits) if len(digits) <= _EXACT_DIGITS else Decimal(digits)
