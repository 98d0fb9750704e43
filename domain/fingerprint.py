"""Which reports are one error: the fingerprint of a report, and the reasons for it.

The fingerprint is versioned, because a better rule gives other fingerprints: what was grouped by
version 1 stays where it is for ever. Version 1 hashes, in this order: the version, the error type
where one is known, the normalised message, and the stack pattern.
"""

import hashlib
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

import msgspec

from domain.normalise import normalise
from domain.stack_trace import StackTrace, parse_stack_trace, split_headline

GROUPING_VERSION: Final = 1
MAX_PATTERN_FRAMES: Final = 30
MAX_WORDS: Final = 64
DEFAULT_PART: Final = "{{default}}"
"""In a client's own fingerprint, spaces ignored: the parts that Errata would have used."""

# Names repeat from report to report. At worst, all 2,000 characters long, they take 20 MB.
_REMEMBERED_NAMES: Final = 2_048
# So do whole stack traces, and messages once their values are gone: at worst 20 MB as well.
_REMEMBERED_REPORTS: Final = 512
_REMEMBERED_TRACE: Final = 8_192


Chosen = tuple[tuple[str, str], ...]
"""Parts to hash, each with the sentence that says why."""


class Grouping(msgspec.Struct, frozen=True):
    """A report's fingerprint, what it was made of, and why."""

    version: int
    fingerprint: str
    parts: tuple[str, ...]
    reasons: tuple[str, ...]
    type: str | None
    words: tuple[str, ...]


def group_report(
    message: str,
    stack_trace: str | None,
    override: str | list[str] | tuple[str, ...] | None = None,
    code: str | None = None,
) -> Grouping:
    """The group a report belongs to. Pure, never raises, linear in the size of the report.

    ``override`` is the client's own fingerprint; it replaces ours, and ``{{ default }}`` in it
    stands for ours. A report with a ``code`` is grouped by it alone: whoever names their errors
    has said which are one. It costs little, as its words are left to `search_words`, for whoever
    finds out that the group is new.
    """
    if stack_trace is not None and not stack_trace.strip():
        stack_trace = None
    short = len(stack_trace or "") <= _REMEMBERED_TRACE
    trace, _ = _traced_once(stack_trace)
    type_ = _error_type(message, trace)
    given = _as_tuple(override)
    if code and not given:
        return _coded(code, type_)
    text = normalise(message)
    # What varies between reports of one error is gone from the text: they share this answer.
    short = short and len(text) <= _REMEMBERED_TRACE
    grouped = _grouped if short else _grouped.__wrapped__
    return grouped(type_, text, stack_trace, given, code or "")


def search_words(
    type_: str | None, message: str, stack_trace: str | None, code: str | None
) -> tuple[str, ...]:
    """The words a search finds an error by, from one of its reports."""
    if stack_trace is not None and not stack_trace.strip():
        stack_trace = None
    trace, _ = _traced_once(stack_trace)
    text = normalise(message)
    return _words(type_, f"{text} {code}" if code else text, trace)


@lru_cache(maxsize=_REMEMBERED_REPORTS)
def _traced(stack_trace: str | None) -> tuple[StackTrace | None, tuple[str, ...]]:
    if stack_trace is None:
        return None, ()
    trace = parse_stack_trace(stack_trace)
    return trace, _stack_pattern(trace)


def _traced_once(
    stack_trace: str | None,
) -> tuple[StackTrace | None, tuple[str, ...]]:
    """The same, remembered for those of ordinary length."""
    short = len(stack_trace or "") <= _REMEMBERED_TRACE
    return (_traced if short else _traced.__wrapped__)(stack_trace)


@lru_cache(maxsize=_REMEMBERED_REPORTS)
def _coded(code: str, type_: str | None) -> Grouping:
    """The group of a code. Its message is in no part, so its words are left for later."""
    return _grouping(type_, _code_parts(code), ())


@lru_cache(maxsize=_REMEMBERED_REPORTS)
def _grouped(
    type_: str | None, text: str, stack_trace: str | None, given: tuple[str, ...], code: str
) -> Grouping:
    trace, pattern = _traced_once(stack_trace)
    chosen = _code_parts(code) if code else _own_parts(type_, text, trace, pattern)
    if given:
        chosen = _replaced(given, chosen)
    return _grouping(type_, chosen, _words(type_, f"{text} {code}" if code else text, trace))


def _grouping(type_: str | None, chosen: Chosen, words: tuple[str, ...]) -> Grouping:
    parts = (f"version {GROUPING_VERSION}", *(part for part, _ in chosen))
    reasons = (f"Grouping version {GROUPING_VERSION}.", *(reason for _, reason in chosen if reason))
    return Grouping(
        version=GROUPING_VERSION,
        fingerprint=_digest(parts),
        parts=parts,
        reasons=reasons,
        type=type_,
        words=words,
    )


def _own_parts(
    type_: str | None, text: str, trace: StackTrace | None, pattern: tuple[str, ...]
) -> Chosen:
    """Version 1's parts. An unknown type is an empty part, so that each keeps its place."""
    type_reason = (
        f"The error's type is {type_}."
        if type_
        else "Neither the stack trace nor the message names an error type."
    )
    frames_reason = _pattern_reason(trace, pattern)
    return (
        (type_ or "", type_reason),
        (text, "The message, its variable values replaced by placeholders."),
        *((frame, frames_reason if at == 0 else "") for at, frame in enumerate(pattern)),
    )


def _code_parts(code: str) -> Chosen:
    return (("code", ""), (code, f"The report's code is {code[:100]!r}."))


def _pattern_reason(trace: StackTrace | None, pattern: tuple[str, ...]) -> str:
    calls = f"{len(pattern)} call{'s' if len(pattern) != 1 else ''}"
    if trace is None or trace.language == "unknown":
        return f"The stack trace's format is not known: {len(pattern)} of its lines, normalised."
    if any(frame.in_app for frame in trace.frames):
        return f"The application's own calls in the {trace.language} stack trace: {calls}."
    return f"The {trace.language} stack trace has no call of the application: {calls} of libraries."


def _as_tuple(override: str | Iterable[str] | None) -> tuple[str, ...]:
    if not override:
        return ()
    given = (override,) if isinstance(override, str) else tuple(override)
    return given if any(part.strip() for part in given) else ()


def _replaced(given: tuple[str, ...], own: Chosen) -> Chosen:
    return tuple(
        chosen
        for part in given
        for chosen in (
            own
            if part.replace(" ", "") == DEFAULT_PART
            else ((part, f"The report asked for {part[:100]!r} in its fingerprint."),)
        )
    )


def _digest(parts: Iterable[str]) -> str:
    """First 32 hex digits of SHA-256. The length before each part keeps ab,c and a,bc apart."""
    digest = hashlib.sha256()
    for part in parts:
        # Lone surrogates are legal in JSON and must not stop a report.
        encoded = part.encode("utf-8", "surrogatepass")
        digest.update(b"%d:%b" % (len(encoded), encoded))
    return digest.hexdigest()[:32]


_TYPE_NAME: Final = re.compile(r"[\w.$\\:]*(?:Error|Exception|Warning|Fault|Panic)$")


def _error_type(message: str, trace: StackTrace | None) -> str | None:
    if trace and trace.type:
        return trace.type
    named = split_headline(message.partition("\n")[0])[0]
    return named if named and _TYPE_NAME.match(named) else None


_UNKNOWN_LINES: Final = 100


def _stack_pattern(trace: StackTrace) -> tuple[str, ...]:
    """The innermost calls, application before library, recursion folded."""
    if trace.language == "unknown":
        return tuple(_folded(normalise(frame.raw) for frame in trace.frames[:_UNKNOWN_LINES]))
    own = [frame for frame in trace.frames if frame.in_app]
    ruby = trace.language == "ruby"
    return tuple(
        _folded(
            _call(frame.module, frame.file, frame.function, ruby) for frame in own or trace.frames
        )
    )


_LONGEST_CYCLE: Final = 10


def _folded(calls: Iterable[str]) -> list[str]:
    """At most 30 calls; what a cycle of up to ten calls adds by coming again is left out.

    The depth of a recursion depends on the input, and tells nothing about what went wrong.
    """
    folded: list[str] = []
    for call in calls:
        seen = call in folded
        folded.append(call)
        if seen:
            _fold_last(folded)
        # A cycle that is still open may yet be folded away.
        if len(folded) >= MAX_PATTERN_FRAMES + _LONGEST_CYCLE:
            break
    return folded[:MAX_PATTERN_FRAMES]


def _fold_last(calls: list[str]) -> None:
    """Drop the cycle that ends the list, where the same one stands right before it."""
    for length in range(1, min(_LONGEST_CYCLE, len(calls) // 2) + 1):
        if calls[-length:] == calls[-2 * length : -length]:
            del calls[-length:]
            return


@lru_cache(maxsize=_REMEMBERED_NAMES)
def _call(module: str | None, file: str | None, function: str | None, ruby: bool) -> str:
    place = _MODULE_NUMBER.sub("", module) if module else _base_name(file or "")
    return f"{place}:{_steady_function(function or '', ruby)}"


_HASHED_NAME: Final = re.compile(
    r"[.-](?:(?=[A-Za-z_]*\d)\w{6,64}|[a-f]{8,64}|v?\d+(?:\.\d+)+)(?=(?:\.[a-z]+)+$)|^\d+\.(?=chunk)"
)


def _base_name(file: str) -> str:
    """The file's name without folders, query, version and build hash: ``app.js``."""
    path = re.split(r"[?#]", file[:2_000], maxsplit=1)[0].replace("\\", "/").rstrip("/")
    name = path.rpartition("/")[2]
    return _HASHED_NAME.sub("", name) if "." in name else normalise(name)


_MODULE_NUMBER: Final = re.compile(r"\$\$.*|\$\d+\b|(?<=Accessor)\d+|(?<=Proxy)\d+")

_ANONYMOUS: Final = frozenset(
    ("", "<anonymous>", "anonymous", "(anonymous)", "Anonymous function", "(anonymous function)")
)
# Each numbers or wraps the same function differently from build to build or engine to engine.
_FUNCTION_RULES: Final = (
    # JavaScript: the object V8 found the function on, Firefox' marks for closures.
    (re.compile(r"^(?:Object|Module|Function|Array|Window|window|self|global|exports)\."), ""),
    (re.compile(r"(?:/?<)+$"), ""),
    # Java lambdas and accessors, .NET local functions.
    (re.compile(r"^lambda\$(\w+)\$\d+$"), r"lambda$\1"),
    (re.compile(r"\$\d+|\|\d+_\d+"), ""),
    # Go closures, method values and type parameters.
    (re.compile(r"(?:\.(?:func|gowrap|deferwrap)?\d+|-fm|\[\.\.\.\])+$"), ""),
    # Rust and PHP closures.
    (re.compile(r"(?:::\{\{closure\}\}|::\{closure#\d+\})+"), ""),
    (re.compile(r"\{closure:[^}]*\}"), "{closure}"),
    # Ruby blocks.
    (re.compile(r"^(?:(?:block(?: \(\d+ levels\))?|rescue|ensure) in )+"), ""),
)
_RUBY_CLASS: Final = re.compile(r"^[A-Z][\w:]*[#.]")


def _steady_function(function: str, ruby: bool) -> str:
    """The function's name without what a compiler, engine or language version adds to it."""
    name = function
    for pattern, replacement in _FUNCTION_RULES:
        name = pattern.sub(replacement, name)
    if ruby:
        name = _RUBY_CLASS.sub("", name)
    return "<anonymous>" if name in _ANONYMOUS else name


_PLACEHOLDER: Final = re.compile(r"<[a-z]+>")
_SEARCH_WORD: Final = re.compile(r"[^\W\d_][\w.]{0,62}\w")


def _words(type_: str | None, text: str, trace: StackTrace | None) -> tuple[str, ...]:
    """Words a search finds the error by; where there are too many, the message's come first."""
    found = dict(_search_words(text))
    if type_:
        found |= _search_words(type_)
    if trace and trace.language != "unknown":
        for frame in trace.frames[:MAX_PATTERN_FRAMES]:
            found |= _frame_words(frame.file or "", frame.function or "", frame.module or "")
    return tuple(sorted(list(found)[:MAX_WORDS]))


@lru_cache(maxsize=_REMEMBERED_NAMES)
def _frame_words(file: str, function: str, module: str) -> dict[str, None]:
    return _search_words(f"{_base_name(file)} {function} {module}")


def _search_words(source: str) -> dict[str, None]:
    """The words of a text, and the parts of those that hold points (``user.rb``)."""
    words: dict[str, None] = {}
    for word in _SEARCH_WORD.findall(_PLACEHOLDER.sub(" ", source).lower()):
        words[word] = None
        if "." in word:
            words.update((piece, None) for piece in word.split(".") if len(piece) > 1)
    return words


def forget() -> None:
    """Forget the remembered names, for measuring; no result depends on them."""
    for remembered in (_call, _frame_words, _traced, _coded, _grouped):
        remembered.cache_clear()
