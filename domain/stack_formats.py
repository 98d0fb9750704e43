"""How each language prints one frame of a stack trace, and which frames are not the application's.

A reader takes one line and gives its frame, or None where the line is no frame of its language.
Readers use finds, splits and end-anchored expressions, so that each takes time linear in the line
whatever the line holds.
"""

import re
from collections.abc import Callable
from typing import Final

import msgspec


class Frame(msgspec.Struct, frozen=True):
    """One call: where it was, and whether the application or a library made it."""

    file: str | None
    function: str | None
    module: str | None
    line: int | None
    column: int | None
    in_app: bool
    raw: str


class Format(msgspec.Struct, frozen=True):
    """What there is to know about the stack traces of one language."""

    language: str
    markers: tuple[str, ...]
    """A trace of this language holds at least one of them: a cheap way to rule it out."""
    read: Callable[[str], Frame | None]
    outermost_first: bool = False
    continued: re.Pattern[str] | None = None
    """Matches before the second line of a frame that takes two; a tab joins them."""


# A number with more digits is no line of a file, and Python refuses to read very long ones.
_LOCATION: Final = re.compile(r":(\d{1,9})(?::(\d{1,9}))?$")


def _is_library(pattern: re.Pattern[str], text: str | None) -> bool:
    return text is not None and pattern.search(text.replace("\\", "/")) is not None


def _split_location(text: str) -> tuple[str, int | None, int | None]:
    """``file:line:column`` in its three parts; the numbers are None where they are missing."""
    found = _LOCATION.search(text[-24:])
    if not found:
        return text, None, None
    file = text[: len(text) - len(found.group())]
    return file, int(found[1]), int(found[2]) if found[2] else None


# ---- JavaScript

_JS_LIBRARY: Final = re.compile(
    r"(?:^|/)node_modules/|^node:|^internal/|native|^<anonymous>$|extension://"
    r"|webpack/(?:bootstrap|runtime)|/(?:vendors?|polyfills?)[\w.~-]*\.m?js|^index \d+$"
)
# "index 0" is Promise.all's way to say which promise.
_JS_PLACELESS: Final = re.compile(r"(?:<anonymous>|native|\[native code\]|index \d+)$")
_JS_SCRIPT: Final = re.compile(r"\.(?:[cm]?[jt]sx?|vue|svelte)(?::\d{1,9}){1,2}$")
_JS_NOISE: Final = re.compile(r"^(?:async\*?|new|global code|module code|eval code)\s*")


def _js_frame(function: str, location: str, raw: str) -> Frame | None:
    file, line, column = _split_location(location.removeprefix("address at "))
    if line is None and not _JS_PLACELESS.match(file):
        return None
    name = _JS_NOISE.sub("", function.partition(" [as ")[0].strip())
    app = not _JS_LIBRARY.search(file)
    return Frame(file, name or None, None, line, column, app, raw)


def _read_v8(text: str) -> Frame | None:
    """``at fn (file:1:2)``, ``at async file:1:2``, and Hermes' ``at fn (address at file:1:2)``."""
    body = text[3:].removeprefix("async ")
    if not body.endswith(")"):
        return _js_frame("", body, text)
    function, opened, location = body[:-1].partition(" (")
    if not opened:
        # Written by hand or by a formatter: no space before the place, which must then be a script.
        function, opened, location = body[:-1].partition("(")
        if not _JS_SCRIPT.search(location):
            return None
    if location.startswith("eval at "):
        location = location.partition(")")[0].rpartition("(")[2]
    return _js_frame(function, location, text)


def read_javascript(line: str) -> Frame | None:
    """A frame of V8, Hermes, Firefox (``fn@file:1:2``) or Safari (``fn@[native code]``)."""
    # Node opens a brace behind the last frame where the error has properties or a cause.
    text = line.strip().removesuffix(" {")
    if text.startswith("at "):
        return _read_v8(text)
    function, at, location = text.partition("@")
    if not at or " " in function.replace(" code", "", 1):
        return None
    return _js_frame(function, location.partition(" line ")[0] + _eval_end(location), text)


def _eval_end(location: str) -> str:
    """Firefox prints ``file line 3 > eval:1:1``: the file's own line is the one in the middle."""
    line = location.partition(" line ")[2].partition(" > ")[0]
    return f":{line}" if line.isdecimal() else ""


# ---- Python

_PYTHON_FRAME: Final = re.compile(r'[\s|]*File "([^"]+)", line (\d{1,9})(?:, in (.+))?')
_PYTHON_LIBRARY: Final = re.compile(
    r"/(?:site|dist)-packages/|/lib/python\d|/Lib/(?!.*/Lib/)|^<frozen |/python\d[\w.]*/lib/"
)


def read_python(line: str) -> Frame | None:
    """``File "x.py", line 3, in f``; a SyntaxError's frame has no function."""
    found = _PYTHON_FRAME.match(line)
    if not found:
        return None
    file = found[1]
    app = not _is_library(_PYTHON_LIBRARY, file)
    return Frame(file, found[3], None, int(found[2]), None, app, line.strip())


# ---- Java, Kotlin

_JAVA_SOURCE: Final = re.compile(r"[\w$-]+\.[A-Za-z]+(?::(\d{1,9}))?")
_JAVA_NO_SOURCE: Final = ("Native Method", "Unknown Source", "<generated>", "SourceFile")
_JAVA_HIDDEN_CLASS: Final = re.compile(r"/0x[0-9a-f]+|/\d+(?=\.)")
_JAVA_LIBRARY: Final = re.compile(
    r"(?:javax?|jakarta|jdk|sun|com\.sun|kotlinx?|scala|groovy|clojure|androidx?|dalvik"
    r"|com\.android|com\.google\.(?:common|android|inject)|com\.fasterxml|com\.zaxxer|libcore"
    r"|org\.(?:springframework|apache|hibernate|junit|eclipse|jboss|codehaus|mockito|slf4j|gradle)"
    r"|io\.(?:netty|micrometer|reactivex|vertx|undertow)|reactor|rx|okhttp3|retrofit2|akka"
    r"|ch\.qos|feign)\."
)


def read_java(line: str) -> Frame | None:
    """``at app//com.acme.Shop.buy(Shop.java:12)``, class loader and module names left out."""
    text = line.strip()
    if not text.startswith("at "):
        return None
    name, opened, rest = text[3:].partition("(")
    source = rest.partition(")")[0]
    found = _JAVA_SOURCE.fullmatch(source)
    if not opened or not (found or source in _JAVA_NO_SOURCE):
        return None
    name = _JAVA_HIDDEN_CLASS.sub("", name).rpartition("/")[2]
    module, _, function = name.rpartition(".")
    number = int(found[1]) if found and found[1] else None
    file = source.partition(":")[0] if found else None
    app = not _JAVA_LIBRARY.match(module)
    return Frame(file, function, module or None, number, None, app, text)


# ---- .NET

_DOTNET_LIBRARY: Final = re.compile(
    r"(?:System|Microsoft|Windows|Mono|MS|Newtonsoft|Serilog|Npgsql|Xunit|NUnit)\."
)
_DOTNET_COMPILED: Final = re.compile(r"<(\w*)>[a-z]__\w*(?:\.MoveNext$)?")
_DOTNET_CLOSURE: Final = re.compile(r"\.<>c(?:__DisplayClass\w*)?$")
_DOTNET_GENERIC: Final = re.compile(r"`\d+|\[[^\[\]]*\]")


def read_dotnet(line: str) -> Frame | None:
    """``at Shop.Cart.Buy(Int32 n) in C:\\Cart.cs:line 12``; state machines as the method's name."""
    text = line.strip()
    if not text.startswith("at "):
        return None
    name, opened, _ = text[3:].partition("(")
    name = _DOTNET_GENERIC.sub("", name.rstrip())
    if not opened or " " in name:
        return None
    module, _, function = name.rpartition(".")
    if function == "MoveNext":
        module, _, function = module.rpartition(".")
    function = _DOTNET_COMPILED.sub(r"\1", function)
    module = _DOTNET_CLOSURE.sub("", module)
    file, _, number = text.rpartition(" in ")[2].partition(":line ")
    known = number.isdecimal() and len(number) < 10
    app = not _DOTNET_LIBRARY.match(module + ".")
    return Frame(
        file if known else None, function, module, int(number) if known else None, None, app, text
    )


# ---- Go

_GO_FRAME: Final = re.compile(
    r"(?:created by )?([\w./%@~\u00b7-]+(?:\(\*[\w.\[\]]+\)[\w.\u00b7-]*)?(?:\[[^\]]*\][\w.]*)?)"
    r"(?:\(.*\)| in goroutine \d+)?\t([^\t]*\.(?:go|s)):(\d{1,9})(?: \+0x[0-9a-f]+)?$"
)
_GO_LIBRARY: Final = re.compile(
    r"/go(?:[\d.@][\w.-]*|lang)?/(?:[\d.]+/)?(?:x64/|libexec/)?src/(?![\w-]+\.[a-z])"
    r"|/pkg/mod/|(?:^|/)vendor/|@v\d|^(?:runtime|net|reflect|testing|sync|syscall|internal|bufio"
    r"|bytes|context|crypto|database|encoding|errors|fmt|io|log|os|sort|strconv|strings|time)/",
    re.IGNORECASE,
)


def read_go(line: str) -> Frame | None:
    """``main.f(0x1)`` and, after a tab, ``/app/main.go:12 +0x1d``: both lines joined."""
    found = _GO_FRAME.match(line)
    if not found:
        return None
    package, slash, rest = found[1].rpartition("/")
    last, _, function = rest.partition(".")
    module = package + slash + last
    library = module in ("runtime", "panic") or _is_library(_GO_LIBRARY, found[2])
    name = function or module
    return Frame(found[2], name, module, int(found[3]), None, not library, line)


# ---- Ruby

_RUBY_FRAME: Final = re.compile(
    r"\s*(?:\d+: )?(?:from )?([^\s:][^:]*(?::[^:\d][^:]*)?):(\d{1,9}):in [`']([^`']*)'"
)
_RUBY_LIBRARY: Final = re.compile(
    r"/gems/|/ruby/\d|/lib/ruby/|^<internal:|/vendor/bundle/|/rubies/|/bin/(?:bundle|rake|rails)$"
)


def read_ruby(line: str) -> Frame | None:
    """``from app/user.rb:3:in 'User#save'``, before Ruby 3.4 with a backtick and no class."""
    found = _RUBY_FRAME.match(line)
    if not found:
        return None
    app = not _is_library(_RUBY_LIBRARY, found[1])
    return Frame(found[1], found[3], None, int(found[2]), None, app, line.strip())


# ---- PHP

_PHP_FRAME: Final = re.compile(r"\s*#\d+ (?:\[internal function\]|([^()]+)\((\d{1,9})\)): (.+)")
_PHP_LIBRARY: Final = re.compile(r"(?:^|/)vendor/|^phar://")


def read_php(line: str) -> Frame | None:
    """``#0 /app/a.php(12): Shop->buy(1)``: the line that called, and what it called."""
    found = _PHP_FRAME.match(line)
    if not found:
        return None
    function = found[3] if found[3].startswith("{") else found[3].partition("(")[0]
    app = found[1] is not None and not _is_library(_PHP_LIBRARY, found[1])
    number = int(found[2]) if found[2] else None
    return Frame(found[1], function, None, number, None, app, line.strip())


# ---- Rust

_RUST_FRAME: Final = re.compile(r"\s*\d{1,5}:\s+(?:0x[0-9a-f]+ - )?([^\t]+)(?:\tat ([^\t]+))?$")
_RUST_LIBRARY: Final = re.compile(
    r"^(?:<?&?(?:mut )?(?:dyn )?(?:std|core|alloc|backtrace|tokio|futures\w*|test)::|_*rust_|_start"
    r"|__libc|_?main$|__scrt|BaseThread|RtlUser|clone|start_thread|<unknown>|invoke_main)"
)
_RUST_LIBRARY_FILE: Final = re.compile(r"/rustc/|/\.cargo/|/rustlib/|/library/(?:std|core|alloc)/")
_RUST_HASH: Final = re.compile(r"::h[0-9a-f]{16}$")


def read_rust(line: str) -> Frame | None:
    """``2: shop::buy::h0123456789abcdef`` and, after a tab, ``at src/shop.rs:4:5``: joined."""
    found = _RUST_FRAME.match(line)
    if not found:
        return None
    name = _RUST_HASH.sub("", found[1].strip())
    file, number, column = _split_location(found[2]) if found[2] else (None, None, None)
    library = _RUST_LIBRARY.match(name) is not None or _is_library(_RUST_LIBRARY_FILE, file)
    return Frame(file, name, None, number, column, not library, line.strip())


# Of two that read equally many lines of a trace, the first is taken.
FORMATS: Final = (
    Format("python", ('File "',), read_python, outermost_first=True),
    Format(
        "java",
        (".java", ".kt", ".scala", ".groovy", "(Native Method)", "(Unknown Source)", "(SourceFile"),
        read_java,
    ),
    Format("javascript", ("at ", "@"), read_javascript),
    Format("dotnet", ("at ",), read_dotnet),
    Format("go", (".go:",), read_go, continued=re.compile(r"\n\t(?=[^\t\n]*\.(?:go|s):\d)")),
    Format("ruby", (":in `", ":in '"), read_ruby),
    Format("php", ("#0 ",), read_php),
    Format("rust", ("0: ", "1: "), read_rust, continued=re.compile(r"\n[ \t]++(?=at )")),
)
