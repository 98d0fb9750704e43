"""The requests we send: each a pure function of a running number.

There are 500 errors of one kind of shop. Their messages name a part and a deed, and hold numbers
that never repeat; their stack traces have ten frames; a body has about 1 KB.
"""

from __future__ import annotations

from functools import lru_cache

import msgspec

from domain.error_group import group_id
from domain.vocabulary import Level

API_KEY = b"test-api-key"
GROUPS = 500
LEVELS: tuple[Level, ...] = ("error", "error", "error", "warning", "warning", "info", "debug")
SOURCES = ("frontend", "backend", "api", "worker", "cron", "mobile")
PLATFORMS = ("ios", "android", "web")
BATCH = 100
"""Events in a request of /api/v1/ingest."""
ENVIRONMENTS = ("production", "production", "production", "staging", "development")

PARTS = tuple(
    """account basket billing catalogue checkout coupon customer delivery discount gateway
    inventory invoice ledger mailer newsletter order payment price product refund review search
    shipment voucher warehouse""".split()
)
_DEEDS = tuple(
    """accept archive cancel charge close confirm convert copy deliver export fetch import merge
    notify open print receive render reserve update""".split()
)
_FRAMES = "connect query execute retry load validate apply dispatch handle main".split()
_FIRST_NUMBER = 100_000_000
"""Numbers have nine digits, so that all bodies of a group are of one length."""

KNOWN_WORDS = 5_000
"""Different words of one kind among very many errors; as many of the other as COMMON_WORDS."""
COMMON_WORDS = 2_000


def report_body(number: int) -> bytes:
    """The JSON of report `number`, which is of group `number % GROUPS`."""
    return _body_template(number % GROUPS) % ((_FIRST_NUMBER + number,) * 3)


def report_request(number: int) -> bytes:
    """The whole POST /api/errors for that report."""
    return _request_template(number % GROUPS) % ((_FIRST_NUMBER + number,) * 3)


def batch_body(number: int) -> bytes:
    """The JSON of batch `number` of the second document: BATCH events, each with an id of its own,
    a code and a stack trace."""
    first = number * BATCH
    values = [
        value
        for event in range(first, first + BATCH)
        for value in (event, _FIRST_NUMBER + event, _FIRST_NUMBER + event)
    ]
    return _batch_template(first % GROUPS) % tuple(values)


def batch_request(number: int) -> bytes:
    """The whole POST /api/v1/ingest for that batch."""
    body = batch_body(number)
    head = (
        b"POST /api/v1/ingest HTTP/1.1\r\nHost: localhost\r\nX-API-Key: " + API_KEY + b"\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    )
    return head + body


def get_request(path: str) -> bytes:
    """A GET."""
    head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nX-API-Key: ".encode()
    return head + API_KEY + b"\r\n\r\n"


def group_request(number: int, groups: int) -> bytes:
    """GET one of the errors of `group_command`, another one each time."""
    fingerprint = f"{_scattered(number, groups):032x}"
    return get_request(f"/api/errors/{group_id('default', fingerprint)}")


def list_request(number: int) -> bytes:
    """GET the newest 50."""
    return get_request("/api/errors")


def filtered_request(number: int) -> bytes:
    """GET the newest 50 under three filters, of each source in turn."""
    source = SOURCES[number % len(SOURCES)]
    return get_request(f"/api/errors?level=error&environment=production&source={source}")


def stats_request(number: int) -> bytes:
    """GET the numbers of all errors."""
    return get_request("/api/stats")


def trends_request(number: int) -> bytes:
    """GET a month by day and a week by hour in turn."""
    period, bucket = (("month", "day"), ("week", "hour"))[number % 2]
    return get_request(f"/api/analytics/trends?period={period}&group_by={bucket}")


def deep_request(number: int, groups: int) -> bytes:
    """GET 50 from somewhere in the list, by count."""
    return get_request(f"/api/errors?sort=count&offset={_scattered(number, groups)}")


def search_request(number: int, groups: int) -> bytes:
    """GET the errors that hold a word which 1 in 5,000 holds."""
    return get_request(
        f"/api/errors?search={word('step', _scattered(number, groups), KNOWN_WORDS)}"
    )


def common_search_request(number: int) -> bytes:
    """GET the errors that hold a word which 1 in 250 holds."""
    return get_request(f"/api/errors?search={word('word', number, COMMON_WORDS)}")


def _scattered(number: int, groups: int) -> int:
    """Neighbours in time shall not be neighbours in Redis."""
    return number * 7_919 % groups


def word(kind: str, number: int, words: int) -> str:
    """One of so many words. Letters only, as words with digits are not searched for."""
    number %= words
    letters = ""
    for _ in range(3):
        number, letter = divmod(number, 20)
        letters += "bcdfghjklmnpqrstvwxz"[letter]
    return f"{kind}_{letters}"


@lru_cache(maxsize=GROUPS)
def _request_template(group: int) -> bytes:
    body = _body_template(group)
    length = len(body % ((_FIRST_NUMBER,) * 3))
    head = (
        b"POST /api/errors HTTP/1.1\r\nHost: localhost\r\nX-API-Key: " + API_KEY + b"\r\n"
        b"Content-Type: application/json\r\nContent-Length: " + str(length).encode() + b"\r\n\r\n"
    )
    return head + body


@lru_cache(maxsize=GROUPS)
def _body_template(group: int) -> bytes:
    part, deed = PARTS[group % len(PARTS)], _DEEDS[group // len(PARTS)]
    body = {
        "level": LEVELS[group % len(LEVELS)],
        "message": f"Could not {deed} the {part} of customer %d after 3 attempts: timeout",
        "source": SOURCES[group % len(SOURCES)],
        "environment": ENVIRONMENTS[group % len(ENVIRONMENTS)],
        "stack_trace": trace(part),
        "context": {"user_id": "%d", "request_id": "req-%d", "cart": ["a", "b"], "retries": 3},
        "url": f"https://shop.example.com/{part}/{deed}",
        "user_agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
        "ip_address": "192.0.2.7",
    }
    return msgspec.json.encode(body)


@lru_cache(maxsize=GROUPS)
def _batch_template(first: int) -> bytes:
    events = [_event(group % GROUPS) for group in range(first, first + BATCH)]
    return msgspec.json.encode({"events": events})


def _event(group: int) -> dict[str, object]:
    part, deed = PARTS[group % len(PARTS)], _DEEDS[group // len(PARTS)]
    return {
        "id": "00000000-0000-4000-8000-%012x",
        "code": f"{part}/{deed}-failed",
        "message": f"Could not {deed} the {part} of customer %d after 3 attempts: timeout",
        "stackTrace": trace(part),
        "appId": "default",
        "appVersion": "1.0.0",
        "platform": PLATFORMS[group % len(PLATFORMS)],
        "platformVersion": "17.0",
        "userId": f"user-{group}",
        "timestamp": "2026-01-15T10:30:00.000Z",
        "metadata": {"endpoint": f"/{part}/{deed}", "request_id": "req-%d", "statusCode": 500},
        "tags": {"severity": LEVELS[group % len(LEVELS)], "region": "eu"},
    }


@lru_cache(maxsize=len(PARTS))
def trace(part: str) -> str:
    """A stack trace of ten frames."""
    frames = (
        f"    at {part.capitalize()}.{name} (/srv/shop/src/{part}/{name}.js:{40 + line}:12)"
        for line, name in enumerate(_FRAMES)
    )
    return "\n".join(("TimeoutError: timeout", *frames))
