"""What secrets look like in text: one small rule for each shape, pure and linear in the text.

A rule takes a text and returns it without that kind of secret, with the number of replacements.
What is already `[Filtered]` is not counted again.
"""

import re

FILTERED = "[Filtered]"

_PEM_NAME = r"[A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----"
_PRIVATE_KEY = re.compile(
    rf"-----BEGIN {_PEM_NAME}(?!\[Filtered\](?:[-\"']|\Z))(?:"
    rf"(?:[^-]|-(?!----))*+-----END {_PEM_NAME}"
    # Cut off before its end: the body cannot hold a quote, so the text after one is spared.
    r"|(?:[^-\"']|-(?!----))++)"
)

# The lookbehinds stand after the first digit so that the search can skip to digits quickly.
_CARD = re.compile(
    r"[2-6](?<![0-9A-Za-z].)(?<![0-9][.-].)"
    r"(?:[0-9]{12,18}"
    r"|[0-9]{3}([ +-])[0-9]{4}\1[0-9]{4}\1[0-9]{4}(?:\1[0-9]{3})?"
    r"|[0-9]{3}([ +-])[0-9]{6}\2[0-9]{4,5})"
    r"(?![0-9A-Za-z])(?!\.[0-9])"
)
# Lengths in use by first digit (ISO/IEC 7812 issuers): most ids and all time stamps fall outside.
_CARD_LENGTHS = {
    "2": (16,),
    "3": (14, 15, 16),
    "4": (13, 16, 19),
    "5": (16, 17, 18, 19),
    "6": (16, 17, 18, 19),
}

# A colon in the authority that is no port starts a password. Passwords with a raw slash make the
# URL invalid, which is what gets it into an error report: they are looked for as well.
_URL_PASSWORD = re.compile(
    r"(://[^\s/:@?#]*+:)(?![0-9]++(?:[/?#\s]|$))"
    r"([^\s/?#\"'<>]+(?=@)|[^\s@\"'<>]{1,100}(?=@))"
)

_BEARER = re.compile(
    r"(?<![A-Za-z])(bearer[ \t]++)"
    # Sentences about bearer tokens, and the parameters of a WWW-Authenticate header.
    r"(?!(?:tokens?|auth|authentication|authorization|scheme|headers?|credentials?|realm|error"
    r"|scope|is|was|are|not|and|or|of|for|in|from|must|missing|required|format)(?![\w~+/-]))"
    r"[\w.~+/-]++=*+",
    re.IGNORECASE,
)
_JWT = re.compile(r"(?<![\w-])eyJ[\w-]++\.eyJ[\w-]++\.[\w-]*+")

_QUOTED = re.compile(r"(?P<mark>\\{0,7}[\"'`])(?P<content>.*?)(?<!\\)(?P=mark)")
_OPENING = re.compile(r"\\{0,7}[\"'`]")
_LINE = re.compile(r"[^\r\n]*+")
_REST_OF_LINE = {quote: re.compile(rf"[^\r\n{quote}]*+") for quote in "\"'"}
_FIELD = re.compile(r"[^\r\n,&}\]\"']*+")
_BARE = re.compile(
    r"(?:(?:bearer|basic|digest|token|apikey)[ \t]++)?[^\s,;&<>()\[\]{}\"'`\\]++", re.IGNORECASE
)
_NESTING = re.compile(r"\"(?:[^\"\\]|\\.)*+\"?|[\[\]{}]", re.DOTALL)
_IDENTIFIER = re.compile(r"[A-Za-z_][\w.]*+")
_NUMBER = re.compile(r"-?[0-9]++(?:\.[0-9]++)?")
# What stands after a key where there is no secret: nothing, or a type in a line of source code.
_PLAIN_WORDS = frozenset(
    "none null nil undefined str string bytes int number any object optional".split()
)
_TRUTH = frozenset({"true", "false"})


def filter_private_keys(text: str) -> tuple[str, int]:
    """Private key blocks (PEM, OpenSSH, PGP), also with escaped line ends or cut off."""
    return _PRIVATE_KEY.subn(FILTERED, text)


def filter_cards(text: str) -> tuple[str, int]:
    """Card numbers, plain or in the groups printed on cards, that pass the Luhn check."""
    found = 0

    def clean(match: re.Match[str]) -> str:
        nonlocal found
        digits = re.sub(r"[ +-]", "", match[0])
        if len(digits) not in _CARD_LENGTHS[digits[0]] or not passes_luhn(digits):
            return match[0]
        found += 1
        return FILTERED

    return _CARD.sub(clean, text), found


def passes_luhn(digits: str) -> bool:
    """Whether the last digit is the check digit of the others (ISO/IEC 7812-1, annex B)."""
    plain = sum(map(int, digits[-1::-2]))
    doubled = sum(sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (plain + doubled) % 10 == 0


def filter_url_passwords(text: str) -> tuple[str, int]:
    """The password in `scheme://user:password@host`; user and host stay."""
    found = 0

    def clean(match: re.Match[str]) -> str:
        nonlocal found
        if match[2] == FILTERED:
            return match[0]
        found += 1
        return match[1] + FILTERED

    return _URL_PASSWORD.sub(clean, text), found


def filter_bearers(text: str) -> tuple[str, int]:
    """The credential after the word Bearer (RFC 6750, section 2.1)."""
    return _BEARER.subn(rf"\g<1>{FILTERED}", text)


def filter_jwts(text: str) -> tuple[str, int]:
    """JSON web tokens (RFC 7519) anywhere: they are credentials by themselves."""
    return _JWT.subn(FILTERED, text)


def pair_value(text: str, key: re.Match[str], *, measures: bool) -> tuple[int, int, str] | None:
    """Where the secret value after a secret `key` (with its groups key, quote, sign) stands.

    Returns start, end and the quotation mark that has to be put around the replacement to keep
    JSON text valid; None where there is no secret. With `measures` numbers and truth values stay.
    """
    start = key.end()
    if text.startswith(FILTERED, start):
        return None
    if _OPENING.match(text, start):
        return _quoted_value(text, start)
    if text[start : start + 1] in ("[", "{"):
        end = _nesting_end(text, start)
        # An empty list or object is no secret.
        return None if not text[start + 1 : end - 1].strip() else (start, end, key["quote"])
    if key["key"].lower().endswith(("cookie", "authorization")) and not key["quote"]:
        return _header_value(text, key)
    return _bare_value(text, key, measures=measures)


def _quoted_value(text: str, start: int) -> tuple[int, int, str] | None:
    quoted = _QUOTED.match(text, start)
    if quoted is None:
        # Cut off, or an apostrophe: without its end the line is as far as it can reach.
        opening = _OPENING.match(text, start)
        assert opening is not None
        return _unless_empty(text, opening.end(), _end(_LINE, text, start))
    return _unless_empty(text, quoted.start("content"), quoted.end("content"))


def _header_value(text: str, key: re.Match[str]) -> tuple[int, int, str] | None:
    """Cookies and credentials hold spaces: to the end of the line, or of the quotes around."""
    start = key.end()
    if key["sign"] != ":":
        return _unless_empty(text, start, _end(_FIELD, text, start))
    before = text[key.start() - 1 : key.start()]
    return _unless_empty(text, start, _end(_REST_OF_LINE.get(before, _LINE), text, start))


def _bare_value(text: str, key: re.Match[str], *, measures: bool) -> tuple[int, int, str] | None:
    start = key.end()
    end = _end(_BARE, text, start)
    value = text[start:end]
    lowered = value.lower()
    if lowered in _PLAIN_WORDS:
        return None
    if measures and (lowered in _TRUTH or _NUMBER.fullmatch(value)):
        return None
    if _is_source_code(text, key, end) or _is_path_position(text, key, value):
        return None
    return _unless_empty(text, start, end, key["quote"])


def _is_source_code(text: str, key: re.Match[str], end: int) -> bool:
    """`token = read(x)`, `password=self.password`: code in a stack trace, not a value."""
    start = key.end()
    if not _IDENTIFIER.fullmatch(text, start, end):
        return False
    return text.startswith("(", end) or text[start:end].rpartition(".")[2] == key["key"]


def _is_path_position(text: str, key: re.Match[str], value: str) -> bool:
    """`/internal/token:95:5`: line and column of a file without an extension."""
    before = text[key.start() - 1 : key.start()]
    return before in ("/", "\\") and key["sign"] == ":" and value[:1].isdecimal()


def _nesting_end(text: str, start: int) -> int:
    """The end of the list or object that starts at `start`; of the text where it stays open."""
    depth = 0
    for match in _NESTING.finditer(text, start):
        if match[0] in ("[", "{"):
            depth += 1
        elif match[0] in ("]", "}"):
            depth -= 1
            if depth == 0:
                return match.end()
    return len(text)


def _end(pattern: re.Pattern[str], text: str, start: int) -> int:
    match = pattern.match(text, start)
    return match.end() if match else start


def _unless_empty(text: str, start: int, end: int, quote: str = "") -> tuple[int, int, str] | None:
    value = text[start:end].strip()
    return None if not value or value.startswith(FILTERED) else (start, end, quote)
