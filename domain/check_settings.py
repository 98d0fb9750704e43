"""What a custom check says, and what somebody may ask it to say.

A target is a URL (http or https), which has to answer with a status and perhaps a text, or an
address (tcp://host:port), which has to accept a connection.
"""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

import msgspec
from msgspec import UNSET, UnsetType

from domain.failures import Invalid
from domain.wish import Policy, broken, given, short_text

TARGET_FORMS = "http://host/path, https://host/path or tcp://host:port"
MAX_TARGET = 2_000
MAX_BODY_TEXT = 1_000
LEAST_INTERVAL, MOST_INTERVAL = 15, 3_600
LEAST_TIMEOUT, MOST_TIMEOUT = 1, 30
DEFAULT_STATUS = 200

Number = int | float


class CheckSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a check does. `interval` and `timeout` are in seconds; `expected_status` is None for
    an address, `body_text` None for any body."""

    name: str
    target: str
    interval: int = 60
    timeout: int = 5
    expected_status: int | None = DEFAULT_STATUS
    body_text: str | None = None
    enabled: bool = True

    @property
    def is_address(self) -> bool:
        """Whether the target is an address, and no URL."""
        return is_address(self.target)


class CheckWish(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody asks a check to be. UNSET is left as it is, or filled in."""

    name: str | UnsetType = UNSET
    target: str | UnsetType = UNSET
    interval: Number | UnsetType = UNSET
    timeout: Number | UnsetType = UNSET
    expected_status: Number | UnsetType | None = UNSET
    body_text: str | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET


def merged(wish: CheckWish, before: CheckSettings) -> CheckWish:
    """The wish on top of what the check does. What only a URL has goes with the URL."""
    fields = msgspec.structs.asdict(before)
    if isinstance(wish.target, str) and is_address(wish.target) != before.is_address:
        del fields["expected_status"], fields["body_text"]
    return CheckWish(**fields | given(wish))


def settled(wish: CheckWish) -> CheckSettings:
    """The settings that a wish amounts to. Raises Invalid."""
    for flaw in [*missing(wish), *flaws(wish)]:
        raise flaw
    fields = given(wish)
    fields |= {name: int(fields[name]) for name in ("interval", "timeout") if name in fields}
    status = fields.get("expected_status")
    if is_address(fields["target"]):
        fields["expected_status"] = None
    else:
        fields["expected_status"] = DEFAULT_STATUS if status is None else int(status)
    return CheckSettings(**fields)


def missing(wish: CheckWish) -> list[Invalid]:
    """What a check needs and the wish leaves out."""
    needed = [field for field in ("name", "target") if getattr(wish, field) is UNSET]
    return [Invalid(field, "is required") for field in needed]


def flaws(wish: CheckWish) -> list[Invalid]:
    """Every rule that the values of a wish break."""
    return broken(_POLICIES, wish)


def is_address(target: str) -> bool:
    """Whether a target is an address (tcp://host:port), and no URL."""
    return target.lower().startswith("tcp://")


def _target(wish: CheckWish) -> Invalid | None:
    if isinstance(wish.target, UnsetType):
        return None
    text = wish.target
    parts = _split(text)
    if parts is None or len(text) > MAX_TARGET:
        return Invalid("target", f"must be {TARGET_FORMS}, at most {MAX_TARGET} characters")
    if "@" in parts.netloc:
        return Invalid("target", "must not hold a user or a password: everybody can read it")
    return None


def _split(text: str) -> SplitResult | None:
    """The parts of a target; None where it is none."""
    if not text.isascii() or not text.isprintable() or " " in text:
        return None
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return None
    if not parts.hostname or port == 0:
        return None
    if parts.scheme == "tcp":
        nothing_else = not (parts.path.strip("/") or parts.query or parts.fragment)
        return parts if port and nothing_else else None
    return parts if parts.scheme in ("http", "https") else None


def _interval(wish: CheckWish) -> Invalid | None:
    value = wish.interval
    if isinstance(value, UnsetType):
        return None
    if LEAST_INTERVAL <= value <= MOST_INTERVAL and value == int(value):
        return None
    return Invalid("interval", f"must be {LEAST_INTERVAL} to {MOST_INTERVAL} whole seconds")


def _timeout(wish: CheckWish) -> Invalid | None:
    value = wish.timeout
    if isinstance(value, UnsetType):
        return None
    if LEAST_TIMEOUT <= value <= MOST_TIMEOUT and value == int(value):
        return None
    return Invalid("timeout", f"must be {LEAST_TIMEOUT} to {MOST_TIMEOUT} whole seconds")


def _expected_status(wish: CheckWish) -> Invalid | None:
    value = wish.expected_status
    if value is None or isinstance(value, UnsetType):
        return None
    if isinstance(wish.target, str) and is_address(wish.target):
        return Invalid("expected_status", "is for http and https: an address answers none")
    if 100 <= value <= 599 and value == int(value):
        return None
    return Invalid("expected_status", "must be a status from 100 to 599")


def _body_text(wish: CheckWish) -> Invalid | None:
    text = wish.body_text
    if text is None or isinstance(text, UnsetType):
        return None
    if isinstance(wish.target, str) and is_address(wish.target):
        return Invalid("body_text", "is for http and https: an address answers none")
    if 1 <= len(text) <= MAX_BODY_TEXT:
        return None
    return Invalid("body_text", f"must have 1 to {MAX_BODY_TEXT} characters")


_POLICIES: tuple[Policy[CheckWish], ...] = (
    lambda wish: short_text("name", wish.name),
    _target,
    _interval,
    _timeout,
    _expected_status,
    _body_text,
)
