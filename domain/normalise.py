"""Turn a message into the sentence it was printed from: what varies becomes a placeholder.

Two reports belong together when one line of source printed them. We do not see that line, only
its results, so everything that looks like a value (a number, an address, a path, a quoted string
...) is replaced by the kind of value it is, and the words stay.

The order of work, and why it is this one:

1. Quoted strings go first: they are the only values that hold spaces and any punctuation.
2. The rest is cut into words at white space, brackets, commas and equals signs. A word is one
   known notation from end to end, or is taken apart. Words repeat far more than messages do, so
   what became of them is remembered.
3. Phrases of several words (lists, units, dates in words, user names) are found last, by the
   placeholders in them, which makes the search for them cheap.

All rules are stateless, take time linear in the message, and know notations, never the
vocabulary of one system. A number, a size, a duration, a clock time and a bare hex number all
become ``<num>``: which of them a value looks like is often chance ("0", "12ms", "<1 sec").
"""

import re
from functools import lru_cache
from typing import Final

MAX_MESSAGE_CHARS: Final = 8_192
"""Characters looked at. Messages that agree this far come from one line of source."""

# Together they bound the memory for remembered words: about 1 MB as a rule, 10 MB at worst.
_REMEMBERED_WORDS: Final = 8_192
_REMEMBERED_CHARS: Final = 128

# A request line is the one quoted string whose first word is part of what happened.
_QUOTED: Final = re.compile(
    r"""
      "(?:(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|TRACE|CONNECT)[ ])?[^"]*+"
    | (?<![\w'])'[^']*+'(?!\w)
    | `[^`']*+[`']
    | \u201c[^\u201c\u201d]*+\u201d
    | \u00ab[^\u00ab\u00bb]*+\u00bb
    """,
    re.VERBOSE,
)
_QUOTES: Final = ('"', "'", "`", "\u201c", "\u00ab")

# Before the cut into words, because a query holds equals signs.
_URL: Final = re.compile(r"""(?<![\w+.-])[A-Za-z][A-Za-z0-9+.-]*+://[^\s"'<>()\[\]{},;|]*+""")

# "=" belongs to the value behind it, "<" to a number ("<1 sec").
_WORD: Final = re.compile(r"""(?:=|<(?=\d))?[^\s,;(){}\[\]<>"'=|]++""")

# A word is matched from end to end, so no alternative is tried more than once.
_NOTATION: Final = re.compile(
    r"""
      (?P<date>  \d{4}[-/.]\d\d?[-/.]\d\d?(?:[T_][\d:.]+)?(?:Z|[+-]\d\d:?\d\d)?
               | \d\d?[-/.]\d\d?[-/.]\d{4})
    | (?P<ip>    (?:[\w.-]*+/)?\d{1,3}(?:\.\d{1,3}){3}(?:[:/]\d+)?
               | (?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}
               | (?=[A-Fa-f:]*+\d)(?:[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{1,4})*)?
                 ::(?:[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{1,4})*)?(?::\d+(?:\.\d+){3})?(?:%\w+)?)
    | (?P<num>   [<>~+-]?\d++(?:[.:/x*-]\d++)*+(?:[eE][+-]?\d+)?
                 (?:%|[KMGTPkm]i?[Bb]?|B|[Bb]ytes?|[num\u00b5\u03bc]?s|secs?|min|h|d)?
               | 0[xX][0-9A-Fa-f]+
               | (?=[A-Fa-f]*+\d)[0-9A-Fa-f]{6,}
               | [A-Fa-f]{8,}
               | \*{3,})
    | (?P<uuid>  [0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})
    | (?P<mac>   [0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5,})
    | (?P<email> [\w.+%-]++@[\w-]++(?:\.[\w-]++)+)
    | (?P<host>  (?:[a-z0-9-]++\.)+(?:com|net|org|edu|gov|mil|local|localdomain|internal
                 |(?:com|net|org|edu|gov|co|ac)\.[a-z]{2})(?::\d+)?)
    | (?P<path>  [A-Za-z]:[\\/].* | (?:~|\.\.?)?/.+ | \\\\.+
               | [\w.-]++(?:\\[^\\]*+)++
               | [\w-]*+\.[\w.:-]*+/.+
               | [\w-]++(?:/[^/]++){2,}+/?)
    | (?P<id>    [A-Za-z]\w*_-?[A-Z]?\d[\w.~-]*
               | [\w.-]++(?:~[\w.-]*+){2,}+)
    """,
    re.VERBOSE | re.DOTALL,
)
_END_MARKS: Final = ".:!?"
_PARTS: Final = re.compile(r"([:@/#~]+)")
_MIXED: Final = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]*+\d[A-Za-z0-9]*+")
_DIGITS: Final = re.compile(r"\d+")
# From here on a word of the letters A to F is more likely a hex number than English.
_HEX_WORD_CHARS: Final = 8
_HEX_LETTERS: Final = re.compile(r"[A-Fa-f]{8,}")


def _mixed(match: re.Match[str]) -> str:
    """Letters and digits in one run: a hex number, a random identifier, or a numbered name."""
    run = match.group()
    known = _NOTATION.fullmatch(run)
    if known:
        return f"<{known.lastgroup}>"
    numbered = _DIGITS.sub("<num>", run)
    return "<id>" if len(run) >= 8 and numbered.count("<") > 1 else numbered


def _value_or_word(text: str) -> str:
    known = _NOTATION.fullmatch(text)
    return f"<{known.lastgroup}>" if known else _MIXED.sub(_mixed, text)


def _assigned(value: str) -> str:
    # A value of letters only (true, open, ENOENT) is one of a few, and says what happened.
    if value.isalpha() and not _HEX_LETTERS.fullmatch(value):
        return f"={value}"
    return "=<val>"


def _rewrite(word: str) -> str:
    # Two colons at the end are part of an IPv6 address.
    core = word if word.endswith("::") else word.rstrip(_END_MARKS)
    end = word[len(core) :]
    if core[:1] == "=":
        return (_assigned(core[1:]) if len(core) > 1 else "=") + end
    known = _NOTATION.fullmatch(core)
    if known:
        return f"<{known.lastgroup}>{end}"
    parts = _PARTS.split(core)
    return "".join(map(_value_or_word, parts)) + end


_remembered = lru_cache(maxsize=_REMEMBERED_WORDS)(_rewrite)


def forget() -> None:
    """Forget the remembered words, for measuring; no result depends on them."""
    _remembered.cache_clear()


def _word(match: re.Match[str]) -> str:
    word = match.group()
    if word.isalpha() and len(word) < _HEX_WORD_CHARS:
        return word
    if word.isdecimal():
        return "<num>"
    return _remembered(word) if len(word) <= _REMEMBERED_CHARS else _rewrite(word)


def _quoted(match: re.Match[str]) -> str:
    return f'"{match[1]} <path>"' if match[1] else "<str>"


_UNIT: Final = re.compile(
    r"<num> (?:[KMGTP]i?[Bb]|[Bb]ytes?|B|[num]?s|secs?|"
    r"(?:(?:nano|micro|milli)?second|minute|min|hour|day)s?)(?![\w(])"
)
_LIST: Final = re.compile(r"(<[a-z]+>)(?:[ ,;|.:]+\1)+")
_MONTHS: Final = frozenset("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split())
# Starts with a letter of few, not with the optional day before it: that is quick to search for.
_WORDED_DATE: Final = re.compile(
    r"\b(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) <num>(?: [A-Z]{3,4} <num>)?"
)
_DAY_BEFORE_DATE: Final = re.compile(r"(?:\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? |<num> ){1,2}<date>")
# An address may be followed by its names, "()" where it has none.
_ADDRESS_NAME: Final = re.compile(r"<ip>(?: \([^ ()]*\))++")
_USER_NAME: Final = re.compile(r"\b((?:for|by|of|as|invalid|unknown) user) [\w.$-]+")
_USER_FROM: Final = re.compile(r"\b(for|user) [\w.$-]+ from <ip>")


def _phrases(text: str) -> str:
    if "<num>" in text:
        text = _UNIT.sub("<num>", text)
    if "<ip>" in text:
        text = _ADDRESS_NAME.sub("<ip>", text)
        text = _USER_FROM.sub(r"\1 <name> from <ip>", text)
    text = _LIST.sub(r"\1", text)
    if not _MONTHS.isdisjoint(text.split()):
        text = _DAY_BEFORE_DATE.sub("<date>", _WORDED_DATE.sub("<date>", text))
    return text


def normalise(message: str) -> str:
    """The message with its values replaced by placeholders and its white space by single spaces.

    Only the first ``MAX_MESSAGE_CHARS`` characters are looked at. Never raises.
    """
    text = message[:MAX_MESSAGE_CHARS]
    if any(quote in text for quote in _QUOTES):
        text = _QUOTED.sub(_quoted, text)
    if "://" in text:
        text = _URL.sub("<url>", text)
    if " =" in text:
        text = text.replace(" = ", "=").replace(" =", "=")
    text = " ".join(_WORD.sub(_word, text).split())
    if "<" in text:
        text = _phrases(text)
    if " user " in text:
        text = _USER_NAME.sub(r"\1 <name>", text)
    return text
