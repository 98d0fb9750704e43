"""Read the text of a stack trace, in whichever of eight languages it was printed.

Where a trace tells of several exceptions, one is taken: the last one raised in Python, which
prints it last, and the root cause in Java, Kotlin, .NET and PHP, whose wrappers say little about
what went wrong. Its frames come innermost first, whichever way round the language prints them.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

import msgspec

from domain.stack_formats import FORMATS, Format, Frame

__all__ = ["Frame", "StackTrace", "parse_stack_trace"]

MAX_LINES: Final = 2_000
MAX_LINE_CHARS: Final = 2_000


# Lines repeat from report to report. Together they bound the memory to about 5 MB.
_REMEMBERED_LINES: Final = 4_096
_REMEMBERED_CHARS: Final = 256


class StackTrace(msgspec.Struct, frozen=True):
    """What a trace tells: the error's type and message where it names them, and the calls."""

    language: str
    type: str | None
    value: str | None
    frames: tuple[Frame, ...]


# What programs print in front of "Type: message".
_LEAD: Final = re.compile(
    r"\[?(?:PHP )?(?:Fatal error: +)?(?:Uncaught (?:\(in promise\) )?)?"
    r"(?:Unhandled [Ee]xception[.:] )?"
    r'(?:Exception in thread "[^"]*" )?(?:Caused by: )?'
)
_HEADLINE: Final = re.compile(r"([A-Za-z_$][\w.$\\]*(?:::\w+)*)(?:(?:: ?| \()(.*))?")
_ERROR_NAME: Final = re.compile(r"[A-Z]|.*[.\\:]|.*(?:[Ee]rror|[Ee]xception)$")
_GO_HEADLINE: Final = re.compile(r"(panic|fatal error): (?:(runtime error): )?(.*)")
_RUBY_HEADLINE: Final = re.compile(r"[^`']*:in [`'][^`']*': (.*) \(([\w:]+)\)$")
_PHP_PLACE: Final = re.compile(r" in \S+(?::| on line )\d+$")
_RUST_PANIC: Final = re.compile(r"thread '[^']*'[^']*panicked at (?:'(.*)', )?")
_JAVA_COMMON: Final = re.compile(r"\s*\.\.\. (\d{1,5}) (?:more|common frames omitted)")
_JS_CAUSE: Final = re.compile(r"\s*(?:\[cause\]|Caused by): ")
Read = list[tuple[int, Frame]]
"""The frames found, each with the number of its line."""
Told = tuple[str | None, str | None, list[Frame]]
"""Type, message and frames of the one exception taken, frames in the order printed."""


def parse_stack_trace(text: str) -> StackTrace:
    """The trace in ``text``; language "unknown" and one frame a line where no format fits.

    Looks at ``MAX_LINES`` lines, from both ends because a language may print the innermost call
    first or last, and at ``MAX_LINE_CHARS`` characters of each. Never raises.
    """
    plain = _lines(text)
    best: tuple[Format, list[str], Read] | None = None
    for known in FORMATS:
        if _may_be(known, text):
            lines = _lines(known.continued.sub("\t", text)) if known.continued else plain
            found = _read(known, lines)
            if found and (best is None or len(found) > len(best[2])):
                best = known, lines, found
            if 2 * len(found) > len(lines):
                break
    if best is None:
        return _unknown(plain)
    known, lines, found = best
    type_, value, frames = _TELLERS[known.language](lines, found)
    if known.outermost_first:
        frames = frames[::-1]
    return StackTrace(known.language, type_, value, tuple(frames))


def _may_be(known: Format, text: str) -> bool:
    for marker in known.markers:  # noqa: SIM110 - any() takes three times as long here
        if marker in text:
            return True
    return False


def split_headline(line: str) -> tuple[str | None, str | None]:
    """Error type and message of a line like ``TypeError: x is undefined``; else (None, None)."""
    line = line[:MAX_LINE_CHARS].strip()
    line = line[_match_end(_LEAD, line) :]
    found = _HEADLINE.fullmatch(line)
    if not found or not _ERROR_NAME.match(found[1]):
        return None, None
    if found[2] is None and not found[1].endswith(("Error", "Exception")):
        return None, None
    return found[1], found[2]


def _match_end(pattern: re.Pattern[str], text: str) -> int:
    found = pattern.match(text)
    return found.end() if found else 0


def _lines(text: str) -> list[str]:
    lines = text.split("\n")
    if len(lines) > MAX_LINES:
        lines = lines[: MAX_LINES // 2] + lines[-MAX_LINES // 2 :]
    return [line[:MAX_LINE_CHARS].rstrip() for line in lines]


def _read(known: Format, lines: list[str]) -> Read:
    read = known.read
    found: Read = []
    for at, line in enumerate(lines):
        frame = _remembered(read, line) if len(line) <= _REMEMBERED_CHARS else read(line)
        if frame is not None:
            found.append((at, frame))
    return found


@lru_cache(maxsize=_REMEMBERED_LINES)
def _remembered(read: Callable[[str], Frame | None], line: str) -> Frame | None:
    return read(line)


def forget() -> None:
    """Forget the remembered lines, for measuring; no result depends on them."""
    _remembered.cache_clear()


def _unknown(lines: list[str]) -> StackTrace:
    texts = [line.strip() for line in lines]
    type_, value = split_headline(texts[0])
    frames = (Frame(None, None, None, None, None, True, line) for line in texts if line)
    return StackTrace("unknown", type_, value, tuple(frames))


def _headline_before(lines: list[str], found: Read) -> tuple[str | None, str | None]:
    for line in lines[: found[0][0]]:
        told = split_headline(line)
        if told[0]:
            return told
    return None, None


def _python(lines: list[str], found: Read) -> Told:
    """The last traceback, and the line that ends it; of an exception group, the group's own."""
    start = 0
    stop = len(lines)
    for at, line in enumerate(lines):
        if line.startswith("Traceback (") or "+ Exception Group Traceback (" in line:
            start, stop = at, len(lines)
        elif stop == len(lines) and line.lstrip().startswith("+-"):
            stop = at
    kept = [(at, frame) for at, frame in found if start <= at < stop] or found
    for line in lines[kept[-1][0] + 1 : stop]:
        bare = line.removeprefix("  | ")
        headline = _HEADLINE.fullmatch(bare)
        if headline:
            return headline[1], headline[2], [frame for _, frame in kept]
    return None, None, [frame for _, frame in kept]


def _java(lines: list[str], found: Read) -> Told:
    """The root cause; the calls it shares with what it caused ("... 3 more") are put back."""
    frames = dict(found)
    margin = _indent(lines[found[0][0]])
    headline = _headline_before(lines, found)
    enclosing: list[Frame] = []
    current: list[Frame] = []
    suppressed = False
    for at, line in enumerate(lines):
        text = line.lstrip()
        if text.startswith("Suppressed: "):
            suppressed = True
        elif text.startswith("Caused by: ") and not (suppressed and _indent(line) >= margin):
            headline, enclosing, current, suppressed = split_headline(line), current, [], False
        elif suppressed:
            continue
        elif at in frames:
            current.append(frames[at])
        elif common := _JAVA_COMMON.match(line):
            current += enclosing[max(0, len(enclosing) - int(common[1])) :]
    return *headline, current or [frame for _, frame in found]


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _javascript(lines: list[str], found: Read) -> Told:
    frames: list[Frame] = []
    at = found[0][0]
    for number, frame in found:
        if number > at + 1 and any(map(_JS_CAUSE.match, lines[at + 1 : number])):
            break
        frames.append(frame)
        at = number
    return *_headline_before(lines, found), frames


def _dotnet(lines: list[str], found: Read) -> Told:
    """All frames: .NET prints the innermost exception's first, and its headline last."""
    head = " ".join(lines[: found[0][0]])
    innermost = head.rpartition(" ---> ")[2].partition(" ---> ")[0]
    told = split_headline(innermost)
    return *(told if told[0] else _headline_before(lines, found)), [frame for _, frame in found]


def _go(lines: list[str], found: Read) -> Told:
    """The first goroutine, the one that panicked."""
    first = found[0][0]
    end = next((at for at in range(first, len(lines)) if not lines[at]), len(lines))
    frames = [frame for at, frame in found if at < end]
    for line in lines[:first]:
        told = _GO_HEADLINE.match(line)
        if told:
            return told[2] or told[1], told[3], frames
    return None, None, frames


def _ruby(lines: list[str], found: Read) -> Told:
    """The first exception printed; its causes follow, each with a headline of its own."""
    heads = [(at, told) for at, _ in found if (told := _RUBY_HEADLINE.match(lines[at]))]
    frames = [frame for _, frame in found]
    if not heads:
        return *_headline_before(lines, found), frames
    told = heads[0][1]
    if any(line.startswith("Traceback (") for line in lines[: found[0][0]]):
        return told[2], told[1], frames[::-1]
    end = heads[1][0] if len(heads) > 1 else len(lines)
    return told[2], told[1], [frame for at, frame in found if at < end]


def _php(lines: list[str], found: Read) -> Told:
    """The first exception printed, which is the root cause: numbers start again at the next."""
    restarts = (n for n, (_, frame) in enumerate(found) if n and frame.raw.startswith("#0 "))
    frames = [frame for _, frame in found[: next(restarts, len(found))]]
    type_, value = _headline_before(lines, found)
    return type_, value and _PHP_PLACE.sub("", value), frames


def _rust(lines: list[str], found: Read) -> Told:
    frames = [frame for _, frame in found]
    for at, line in enumerate(lines[: found[0][0]]):
        told = _RUST_PANIC.match(line)
        if told:
            return "panic", told[1] or lines[at + 1] or None, frames
    return None, None, frames


_TELLERS: Final[dict[str, Callable[[list[str], Read], Told]]] = {
    "python": _python,
    "java": _java,
    "javascript": _javascript,
    "dotnet": _dotnet,
    "go": _go,
    "ruby": _ruby,
    "php": _php,
    "rust": _rust,
}
