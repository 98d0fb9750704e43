"""Secrets leave a report before it becomes an event: what is in the log stays there for ever.

Two questions are asked everywhere: is this key the name of a secret (`_Keys`), and does this text
show one (the rules). Where both answers are possible secrecy wins; the exceptions are few, named,
and there because they spoil ordinary stack traces.

Speed: every rule has a marker, a few bytes without which it cannot match. A text is squashed once
(lower case, no separators, every digit 0) and a rule runs only if its marker is in the result.
Every expression is linear in the text: runs are possessive and start at their first character
only, everything else has a fixed bound.
"""

import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from enum import Enum, auto
from functools import lru_cache
from urllib.parse import unquote_plus

from domain.secret_values import (
    FILTERED,
    filter_bearers,
    filter_cards,
    filter_jwts,
    filter_private_keys,
    filter_url_passwords,
    pair_value,
)

__all__ = ["FILTERED", "SECRET_KEYS", "Scrubber"]

SECRET_KEYS = (
    "password",
    "passwd",
    "secret",
    "token",
    "authorization",
    "cookie",
    "api_key",
    "apikey",
    "private_key",
    "credit_card",
    "cvv",
    "ssn",
)

_SEPARATORS = b" _-.+"
_SQUASH = bytes.maketrans(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZ123456789", b"abcdefghijklmnopqrstuvwxyz000000000"
)
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_NOT_LETTERS = re.compile(r"[\W_]+")
# A key this short is part of too many words (className holds "ssn"): it must be a word of its own.
_SHORT = 4
# Names of failures and of other things: InvalidTokenError, tokenizer, secretary.
_FAILURES = frozenset({"error", "errors", "exception", "warning", "failure"})
_OTHER_WORDS = re.compile(r"tokeniz|secretar(?:y|ial)|passwordless")
# With one of these words a number or a truth value is a measure (token_count, has_password).
_MEASURES = frozenset(
    "used usage count total num max min limit remaining length size age ttl expires expired expiry"
    " enabled disabled required valid invalid present missing is has use uses tokens cookies"
    " secrets passwords".split()
)
# Each rule with its marker, in the order that counts a secret found by two of them once.
_Rules = tuple[tuple[str, Callable[[str], tuple[str, int]]], ...]
_BEFORE_PAIRS: _Rules = (
    ("privatekey", filter_private_keys),
    ("0" * 13, filter_cards),
    ("@", filter_url_passwords),
)
_AFTER_PAIRS: _Rules = (("bearer", filter_bearers), ("eyj", filter_jwts))
# All of ASCII that no marker holds. One letter between parts keeps their markers apart as well.
_NO_MARKER = bytes(c for c in range(128) if not (chr(c).isalnum() or chr(c) == "@"))
_BETWEEN = "z"
# A text below this length and without these characters matches no rule.
_SHORTEST = 13
_CACHED_KEYS = 4096
_CACHED_LENGTH = 128
# Filtering can join the text around it into the shape of another secret; two passes are normal.
_PASSES = 4
# Which clean texts are remembered, by length, and how many: 4 MB at worst.
_LONG, _LONGEST_KEPT, _KEPT = 200, 8_192, 512
_CARD_INTEGERS = (10**12, 10**19)
_PARAMETER_KEY = r"(?P<key>[\w.%+\[\]-]++)="
_PARAMETER = re.compile(_PARAMETER_KEY + r"(?P<value>[^&;#\s\"]++)")
_FORM_FIELD = re.compile(_PARAMETER_KEY + r"(?P<value>[^&\s\"]++)")


class _Kind(Enum):
    """What a key says about its value; under a measure numbers and truth values are open."""

    OPEN = auto()
    MEASURE = auto()
    SECRET = auto()


def _squash(text: str) -> str:
    """`text` in lower case with digits as 0 and without separators, to look for markers in.

    Bytes translate fastest, text is searched fastest; characters beyond ASCII become others, but
    the same ones in texts and in markers.
    """
    if not text.isascii():
        text = text.lower()
    return text.encode("utf-8", "replace").translate(_SQUASH, _SEPARATORS).decode("latin-1")


def _letters(key: str) -> str:
    """`key` in lower case without separators: X-API-Key and xApiKey are both xapikey."""
    return _NOT_LETTERS.sub("", key.lower())


class _Keys:
    """Which keys name secrets: the listed ones, alone or inside a longer name."""

    def __init__(self, keys: Iterable[str]) -> None:
        names = list(dict.fromkeys(letters for key in keys if (letters := _letters(key))))
        squashed = {_squash(name) for name in names}
        # "passwd" needs no search of its own beside a marker that it contains.
        self.markers = tuple(
            sorted(m for m in squashed if not any(n in m for n in squashed if n != m))
        )
        self._short = frozenset(name for name in names if len(name) <= _SHORT)
        self._long = tuple(name for name in names if len(name) > _SHORT)
        self._cached = lru_cache(_CACHED_KEYS)(self._classify)

    def kind(self, key: str) -> _Kind:
        """Whether `key` names a secret; remembered for keys of ordinary length."""
        return self._cached(key) if len(key) <= _CACHED_LENGTH else self._classify(key)

    def _classify(self, key: str) -> _Kind:
        words = [word.lower() for word in _WORDS.findall(key)]
        if not self._names_secret(key, words) or (words and words[-1] in _FAILURES):
            return _Kind.OPEN
        return _Kind.SECRET if _MEASURES.isdisjoint(words) else _Kind.MEASURE

    def _names_secret(self, key: str, words: list[str]) -> bool:
        letters = _letters(_OTHER_WORDS.sub("", key.lower()))
        if any(name in letters for name in self._long):
            return True
        segments = _NOT_LETTERS.split(key.lower())
        return letters in self._short or not self._short.isdisjoint([*words, *segments])


def _pair_pattern(keys: Iterable[str]) -> re.Pattern[str]:
    """Find `key=`, `"key":`, `key =>` in text; the value is found by its own rules.

    A dot is not part of a key, so that `tokenizer.py:45` and `TokenService.java:45` name no
    secret; only the first word of a listed key may stand apart ("API key:", "api.key=").
    """
    first_words = {words[0] for key in keys if len(words := key.lower().split("_")) > 1}
    apart = "|".join(sorted(map(re.escape, first_words)))
    return re.compile(
        # `Foo::Token: text` is a class of Ruby, "unexpected token: x" is every parser's complaint.
        r"(?<![\w-])(?<!::)(?<!unexpected )"
        rf"(?P<key>(?:(?:{apart})[ .])?[\w-]++)"
        r"(?P<quote>(?:\\{0,7}[\"'`])?)\]?"
        r"[ \t]*+(?P<sign>=>|=(?![=~])|:(?!:|//))[ \t]*+",
        re.IGNORECASE,
    )


class Scrubber:
    """Replaces secrets by `[Filtered]`, under the listed keys and wherever they show themselves.

    Build one per process: it compiles its expressions and remembers the keys it has seen. It is
    pure, idempotent (scrubbed data is left as it is, with count 0) and never raises on JSON data
    nested up to 100 levels.
    """

    def __init__(self, extra_keys: Iterable[str] = ()) -> None:
        """`extra_keys` count like the listed ones: in any case, with any separators."""
        names = [*SECRET_KEYS, *extra_keys]
        self._keys = _Keys(names)
        self._pair = _pair_pattern(names)
        rules = (marker for marker, _ in _BEFORE_PAIRS + _AFTER_PAIRS)
        self._markers = tuple(dict.fromkeys([*rules, *self._keys.markers]))
        self._clean: set[str] = set()

    def suspects(self, *parts: str) -> bool:
        """Whether there may be a secret in any of these texts, keys and pieces of JSON: far cheaper
        than to look for it one by one.

        False is certain for what holds no escapes (JSON's, or a URL's): each rule has its marker,
        and so has each key that names a secret, whatever stands between its letters.
        """
        text = _BETWEEN.join(parts)
        if not text.isascii():
            return True
        bare = text.encode().translate(_SQUASH, _NO_MARKER).decode("latin-1")
        for marker in self._markers:  # noqa: SIM110 - a generator takes twice as long
            if marker in bare:
                return True
        return False

    def text(self, text: str) -> tuple[str, int]:
        """Free text, such as a message or a stack trace, without its secrets, and their number.

        Found are private key blocks, card numbers that pass Luhn, passwords in URLs, bearer
        tokens, JSON web tokens, and the values of `key=value`, `"key": "value"`, `Key: value`
        and form fields under secret keys. An unquoted value ends at white space or one of
        `,;&<>()[]{}"'`, those of Authorization and Cookie headers at the end of the line.
        """
        if len(text) < _SHORTEST and not (" " in text or ":" in text or "=" in text):
            return text, 0
        if text in self._clean:
            return text, 0
        whole = text
        text, found = self._pass(text)
        if not found and _LONG <= len(whole) <= _LONGEST_KEPT:
            self._remember(whole)
        total = found
        for _ in range(_PASSES - 1):
            if not found:
                break
            text, found = self._pass(text)
            total += found
        return text, total

    def _remember(self, text: str) -> None:
        """Keep a text in which nothing was found: stack traces come again and again."""
        if len(self._clean) >= _KEPT:
            self._clean.clear()
        self._clean.add(text)

    def url(self, url: str) -> tuple[str, int]:
        """A URL without its password and its secret parameters (query and fragment).

        Names of parameters are percent-decoded first. A value that hides a secret in its encoded
        text, such as a redirect with a token, is filtered whole.
        """
        if "=" not in url:
            return self.text(url)
        total = 0
        for _ in range(_PASSES):
            url, in_parameters = self._parameters(_PARAMETER, url)
            url, in_text = self.text(url)
            total += in_parameters + in_text
            if not in_text:
                break
        return url, total

    def value(self, value: object) -> tuple[object, int]:
        """A JSON tree without its secrets, and their number.

        A value under a secret key is replaced whole, whatever its type; None and empty values
        stay. Strings elsewhere are scrubbed as text, and integers that are card numbers are
        replaced. Where nothing was found the same object is returned; nothing is changed in place.
        """
        kind = type(value)
        if kind is str:
            return self.text(value)  # type: ignore[arg-type]
        if kind is dict:
            return self._dict(value)  # type: ignore[arg-type]
        if kind is list:
            return self._list(value)  # type: ignore[arg-type]
        if kind is int and _CARD_INTEGERS[0] <= value < _CARD_INTEGERS[1]:  # type: ignore[operator]
            found = filter_cards(str(value))[1]
            return (FILTERED, 1) if found else (value, 0)
        return value, 0

    def _dict(self, node: dict[object, object]) -> tuple[object, int]:
        kind_of = self._keys.kind
        changed: dict[object, object] = {}
        total = 0
        for key, item in node.items():
            kind = kind_of(key) if isinstance(key, str) else _Kind.OPEN
            if kind is not _Kind.OPEN and _is_secret(kind, item):
                clean, found = FILTERED, 1
            else:
                clean, found = self.value(item)  # type: ignore[assignment]
            if found:
                changed[key] = clean
                total += found
        return ({**node, **changed}, total) if total else (node, 0)

    def _list(self, node: list[object]) -> tuple[object, int]:
        changed: dict[int, object] = {}
        total = 0
        for index, item in enumerate(node):
            clean, found = self.value(item)
            if found:
                changed[index] = clean
                total += found
        if not total:
            return node, 0
        return [changed.get(index, item) for index, item in enumerate(node)], total

    def _pass(self, text: str) -> tuple[str, int]:
        """Every rule once whose marker is in the text."""
        squashed = _squash(text)
        total = 0
        for marker, rule in _BEFORE_PAIRS:
            if marker in squashed:
                text, found = rule(text)
                total += found
        if ":" in text or "=" in text:
            for marker in self._keys.markers:
                if marker in squashed:
                    text, found = self._named(text)
                    total += found
                    break
        for marker, rule in _AFTER_PAIRS:
            if marker in squashed:
                text, found = rule(text)
                total += found
        return text, total

    def _named(self, text: str) -> tuple[str, int]:
        """Values under secret keys in text; a form body first, whose values end at `&` only."""
        found = 0
        if " " not in text and text.isprintable() and _FORM_FIELD.match(text):
            text, found = self._parameters(_FORM_FIELD, text)
        text, more = self._pairs(text)
        return text, found + more

    def _pairs(self, text: str) -> tuple[str, int]:
        pieces: list[str] = []
        done = found = 0
        for match in self._pair.finditer(text):
            if match.start() < done:
                continue
            kind = self._keys.kind(match["key"])
            if kind is _Kind.OPEN:
                continue
            span = pair_value(text, match, measures=kind is _Kind.MEASURE)
            if span is None:
                continue
            start, end, quote = span
            pieces += (text[done:start], quote, FILTERED, quote)
            done = end
            found += 1
        pieces.append(text[done:])
        return ("".join(pieces), found) if found else (text, 0)

    def _parameters(self, pattern: re.Pattern[str], text: str) -> tuple[str, int]:
        """Replace the values of secret parameters, and values that hide a secret by encoding."""
        found = 0

        def clean(match: re.Match[str]) -> str:
            nonlocal found
            value = match["value"]
            if value.startswith(FILTERED) or not self._is_secret_parameter(match["key"], value):
                return match[0]
            found += 1
            return f"{match['key']}={FILTERED}"

        text = pattern.sub(clean, text)
        return text, found

    def _is_secret_parameter(self, key: str, value: str) -> bool:
        kind = self._keys.kind(unquote_plus(key) if "%" in key else key)
        if kind is not _Kind.OPEN and not (kind is _Kind.MEASURE and _is_measure(value)):
            return True
        return "%" in value and self.text(unquote_plus(value))[1] > 0


def _is_measure(text: str) -> bool:
    """Whether `text` is written like a number or a truth value."""
    return text.lower() in {"true", "false"} or text.replace(".", "", 1).isdecimal()


def _is_secret(kind: _Kind, item: object) -> bool:
    """Whether `item`, under a key of `kind`, is to be replaced: empty and scrubbed values stay."""
    if item is None or item in ("", FILTERED) or item == [] or item == {}:
        return False
    return kind is _Kind.SECRET or not isinstance(item, (bool, int, float, Decimal))
