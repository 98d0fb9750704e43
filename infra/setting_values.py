"""How settings are written: each function reads one kind of text.

All raise ValueError saying what is expected, to be read after "expected".
"""

from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_network
from urllib.parse import parse_qs, urlsplit

_SWITCH = {
    **dict.fromkeys(("on", "true", "yes", "1"), True),
    **dict.fromkeys(("off", "false", "no", "0"), False),
}
# https://www.postgresql.org/docs/current/libpq-ssl.html
_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_REDIS_SCHEMES = ("redis", "rediss", "unix", "redis+cluster")


def as_text(value: object) -> str:
    """`value` as it is written in the environment."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, (tuple, list)):
        return ",".join(map(str, value))
    return str(value).strip()


def number(least: int, most: int) -> Callable[[str], int]:
    """A whole number from `least` to `most`."""

    def parse(text: str) -> int:
        digits = text.replace("_", "")
        # Twelve digits are beyond every limit here, and int() of a long text is slow.
        if digits.isascii() and digits.isdecimal() and len(digits) <= 12:
            value = int(digits)
            if least <= value <= most:
                return value
        raise ValueError(f"a whole number from {least} to {most}")

    return parse


def switch(text: str) -> bool:
    """`on` or `off`, or what else people write for them."""
    try:
        return _SWITCH[text.lower()]
    except KeyError:
        raise ValueError("on or off") from None


def choice(*allowed: str) -> Callable[[str], str]:
    """One of the words `allowed`, in any case."""

    def parse(text: str) -> str:
        if text.lower() not in allowed:
            raise ValueError(f"one of {', '.join(allowed)}")
        return text.lower()

    return parse


def host(text: str) -> str:
    """An address or a name to listen on."""
    if any(character.isspace() or character in "/@" for character in text):
        raise ValueError("an address or a host name, such as 127.0.0.1")
    return text


def place(text: str) -> str:
    """A folder, or a URL of one that the packages installed here can open; nothing is opened yet.
    Passwords do not belong there: fsspec has files for them."""
    if "://" not in text:
        return text
    if urlsplit(text).password is not None:
        raise ValueError("a folder, or a URL such as s3://bucket/folder without a password in it")
    from fsspec import get_filesystem_class

    for link in text.split("::"):  # fsspec chains URLs so
        try:
            get_filesystem_class(link.partition("://")[0])
        except ImportError as error:
            missing = getattr(error.__cause__, "name", None) or error
            raise ValueError(f"the package {missing}, which is not installed") from None
        except ValueError:
            raise ValueError("a folder, or a URL such as s3://bucket/folder") from None
    return text


def names(text: str) -> tuple[str, ...]:
    """Names with commas between, each once."""
    return tuple(dict.fromkeys(name for part in text.split(",") if (name := part.strip())))


def origins(text: str) -> tuple[str, ...]:
    """`*`, or origins with commas between, without a slash at the end."""
    found = tuple(origin.rstrip("/") for origin in names(text))
    if found == ("*",) or (found and all(map(_is_origin, found))):
        return found
    raise ValueError("* or origins such as https://app.example.com, with commas between")


def web_address(text: str) -> str:
    """The address of a web server, perhaps with a path, without a slash at the end."""
    address = text.rstrip("/")
    origin = "/".join(address.split("/", 3)[:3])
    if not _is_origin(origin) or not address.startswith(("http://", "https://")) or "?" in address:
        raise ValueError("an address such as https://errata.example.com")
    return address


def networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """IP addresses or networks with commas between."""
    try:
        return tuple(ip_network(name, strict=False) for name in names(text))
    except ValueError:
        raise ValueError("addresses or networks such as 10.0.0.0/8, with commas between") from None


def secret_key(text: str) -> str:
    """A key that nobody can guess, unchanged."""
    if len(text) < 32 or len(set(text)) < 8:
        raise ValueError("at least 32 random characters, such as from: openssl rand -hex 32")
    return text


def database_url(text: str) -> str:
    """A PostgreSQL URL, unchanged: psycopg takes both schemes and every parameter."""
    expected = "postgres://user:password@host:5432/database or postgresql://..."
    try:
        url = urlsplit(text)
        modes = parse_qs(url.query).get("sslmode", ["prefer"])
    except ValueError:
        raise ValueError(expected) from None
    if url.scheme not in ("postgres", "postgresql") or not _has_ports(url.netloc):
        raise ValueError(expected)
    if modes[-1] not in _SSL_MODES:
        raise ValueError(f"sslmode to be one of {', '.join(_SSL_MODES)}")
    return text


def redis_url(text: str) -> str:
    """A Redis URL, unchanged; several hosts with commas between for a cluster."""
    expected = "redis://, rediss:// or redis+cluster:// with host and port, or unix:///path"
    try:
        url = urlsplit(text)
    except ValueError:
        raise ValueError(expected) from None
    place = url.path if url.scheme == "unix" else url.netloc
    if url.scheme not in _REDIS_SCHEMES or not place or not _has_ports(url.netloc):
        raise ValueError(expected)
    return text


def _has_ports(netloc: str) -> bool:
    """Whether every host of a list has a valid port or none: both servers allow several hosts."""
    for place in netloc.rpartition("@")[2].split(","):
        port = place.rpartition("]")[2].rpartition(":")[2] if ":" in place else ""
        if place.endswith("]") or not port:
            continue
        if not (port.isascii() and port.isdecimal() and 0 < int(port[:6]) < 65_536):
            return False
    return True


def _is_origin(text: str) -> bool:
    try:
        url = urlsplit(text)
        return bool(url.hostname) and f"{url.scheme}://{url.netloc}" == text and "@" not in text
    except ValueError:
        return False
