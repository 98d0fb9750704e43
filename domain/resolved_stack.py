"""The stack of an occurrence as the second API shows it: frames, each with its original place.

    {"frames": [...], "raw": "...", "parser": "browser"}

A frame has functionName, fileName, lineNumber, columnNumber, inApp and raw. Beside them stand
`resolved`, and originalFileName, originalLineNumber, originalColumnNumber and
originalFunctionName, which are null where no source map tells. Lines and columns count from 1.
"""

from __future__ import annotations

from typing import Any

import msgspec

from domain.occurrence import NULL, Occurrence
from domain.stack_trace import parse_stack_trace

UNKNOWN = "unknown"

_decode = msgspec.json.Decoder().decode


class Stack(msgspec.Struct, frozen=True):
    """What is known of one occurrence's stack: the frames as the client read them (JSON), and
    the text that the runtime printed."""

    app: str
    app_version: str | None
    parsed: msgspec.Raw = NULL
    trace: str | None = None


class Original(msgspec.Struct, frozen=True):
    """Where a frame was before the code was compiled; `function` is None where nobody knows, and
    in a function that has no name. Line and column count from 1."""

    file: str
    line: int
    column: int
    function: str | None


def stack_of(app: str, occurrence: Occurrence) -> Stack:
    """The stack of an application's occurrence."""
    return Stack(app, occurrence.release, occurrence.parsed_stack, occurrence.stack_trace)


def parsed(stack: Stack) -> dict[str, Any] | None:
    """The frames as the client read them, or as we read its text; None where there are none, or
    no format that we know. Frames that we have read say that the client's parser is unknown."""
    sent = _decode(stack.parsed)
    if isinstance(sent, dict) and isinstance(sent.get("frames"), list):
        sent["frames"] = [frame for frame in sent["frames"] if isinstance(frame, dict)]
        return sent
    told = parse_stack_trace(stack.trace) if stack.trace else None
    if told is None or told.language == UNKNOWN:
        return None
    frames = [
        {
            "functionName": frame.function,
            "fileName": frame.file,
            "lineNumber": frame.line,
            "columnNumber": frame.column,
            "inApp": frame.in_app,
            "raw": frame.raw,
        }
        for frame in told.frames
    ]
    return {"frames": frames, "raw": stack.trace, "parser": UNKNOWN}


def set_original(frame: dict[str, Any], original: Original | None) -> None:
    """Write the original place into a frame."""
    frame["resolved"] = original is not None
    frame["originalFileName"] = original and original.file
    frame["originalLineNumber"] = original and original.line
    frame["originalColumnNumber"] = original and original.column
    frame["originalFunctionName"] = original and original.function
