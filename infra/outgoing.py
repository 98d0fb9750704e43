"""Connections to places that somebody else named, such as webhooks: never into our own network.

A name is resolved once, every address is looked at, and the connection goes to an address that was
looked at: a name that answers differently a moment later changes nothing. Redirects are not
followed.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import sys
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any
from urllib.parse import urlsplit

_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address
_LEAVING = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
_ANSWER_BYTES = 65_536


class Refused(OSError):
    """The target lies where we do not connect to; `reason` says so, for people."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def refusal(address: str) -> str | None:
    """Why an IP address is not connected to; None for a public one."""
    ip = ip_address(address.partition("%")[0])
    inner = _embedded(ip)
    if inner is not None:
        return refusal(str(inner))
    kinds = (
        ("an unspecified", ip.is_unspecified),
        ("a loopback", ip.is_loopback),
        ("a link-local", ip.is_link_local),
        ("a multicast", ip.is_multicast),
        ("a reserved", ip.is_reserved),
        ("a private", not ip.is_global),
    )
    kind = next((name for name, holds in kinds if holds), None)
    return kind and f"{address} is {kind} address; ALLOW_PRIVATE_TARGETS=on permits those"


def _embedded(ip: IPv4Address | IPv6Address) -> IPv4Address | None:
    """The IPv4 address that an IPv6 one leads to."""
    if isinstance(ip, IPv4Address):
        return None
    if ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFF_FFFF)
    return ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)


def resolve(host: str, port: int, *, allow_private: bool) -> list[tuple[Any, ...]]:
    """The addresses of a host, each as (family, address for connect). Blocks.

    Raises Refused where any of them is not public, unless those are allowed; OSError where the
    name has none."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:  # a name that DNS could not even be asked for
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known") from None
    for _, _, _, _, address in found:
        reason = None if allow_private else refusal(str(address[0]))
        if reason is not None:
            raise Refused(reason if host == address[0] else f"{host}: {reason}")
    return [(family, address) for family, _, _, _, address in found]


def connect(host: str, port: int, *, seconds: float, allow_private: bool) -> socket.socket:
    """A TCP connection to a host, with `seconds` for each step. Blocks.

    Raises Refused, and OSError where no address answers."""
    failed: OSError = OSError(f"{host} has no address")
    for family, address in resolve(host, port, allow_private=allow_private):
        connection = socket.socket(family, socket.SOCK_STREAM)
        try:
            connection.settimeout(seconds)
            connection.connect(address)
        except OSError as error:
            connection.close()
            failed = error
        else:
            return connection
    raise failed


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    seconds: float,
    allow_private: bool,
) -> int:
    """Send a body to an http(s) URL; the status of the answer. Blocks. Raises as `exchange`."""
    return exchange("POST", url, body, headers, seconds=seconds, allow_private=allow_private)[0]


def exchange(
    method: str,
    url: str,
    body: bytes | None,
    headers: Mapping[str, str],
    *,
    seconds: float,
    allow_private: bool,
) -> tuple[int, bytes]:
    """One request to an http(s) URL: the status of the answer, and the first 64 KiB of its body.
    Blocks, with `seconds` for each step.

    Raises Refused, OSError (ssl.SSLError and TimeoutError among them), HTTPException, and
    ValueError for what is no such URL."""
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    host = parts.hostname or ""
    port = parts.port or (443 if secure else 80)
    connection = http.client.HTTPConnection(host, port, timeout=seconds)
    sock = connect(host, port, seconds=seconds, allow_private=allow_private)
    try:
        if secure:
            sock = ssl.create_default_context().wrap_socket(sock, server_hostname=host)
        connection.sock = sock
        target = parts._replace(scheme="", netloc="", fragment="", path=parts.path or "/")
        named = {"Host": parts.netloc.rpartition("@")[2], "Connection": "close"}
        connection.request(method, target.geturl(), body, {**named, **headers})
        response = connection.getresponse()
        return response.status, response.read(_ANSWER_BYTES)
    finally:
        connection.close()
        sock.close()


def only_public_from_here_on() -> list[str]:
    """Make every connection of this process fail with Refused unless it goes to a public address,
    whatever library opens it. There is no way back: for processes that do nothing else.

    Returns the reasons of all refusals, as libraries tend to hide them; it grows."""
    reasons: list[str] = []

    def look(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in _LEAVING:
            return
        try:
            reason = refusal(arguments[1][0])
        except (ValueError, TypeError, AttributeError):
            reason = "only IP addresses are connected to"
        if reason is not None:
            reasons.append(reason)
            raise Refused(reason)

    sys.addaudithook(look)
    return reasons
