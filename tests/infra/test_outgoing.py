"""Connections that somebody else asks for stay out of our own network."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from infra import outgoing
from infra.outgoing import Refused, connect, post, refusal, resolve
from tests.infra.receivers import http_receiver


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("127.0.0.1", "loopback"),
        ("127.9.9.9", "loopback"),
        ("::1", "loopback"),
        ("0.0.0.0", "unspecified"),
        ("::", "unspecified"),
        ("10.1.2.3", "private"),
        ("172.16.0.1", "private"),
        ("192.168.1.1", "private"),
        ("100.64.0.1", "private"),
        ("fd00::1", "private"),
        ("169.254.169.254", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("224.0.0.1", "multicast"),
        ("ff02::1", "multicast"),
        ("255.255.255.255", "reserved"),
        ("::ffff:127.0.0.1", "loopback"),
        ("::ffff:10.0.0.1", "private"),
        ("64:ff9b::a9fe:a9fe", "link-local"),
        ("2002:7f00:1::", "loopback"),
    ],
)
def test_addresses_of_our_own_are_refused(address: str, kind: str) -> None:
    assert f"{kind} address" in str(refusal(address))


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "64:ff9b::808:808"]
)
def test_public_addresses_are_not(address: str) -> None:
    assert refusal(address) is None


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::1]"])
def test_a_loopback_is_refused_however_it_is_written(host: str) -> None:
    with pytest.raises(Refused, match="loopback"):
        resolve(host.strip("[]"), 80, allow_private=False)


def test_what_is_no_host_name_is_unknown() -> None:
    with pytest.raises(OSError, match="not known"):
        resolve(f"{'a' * 64}.example", 80, allow_private=False)


def test_one_private_address_among_public_ones_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    def answers(host: str, port: int, **_: object) -> list[object]:
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in ("1.1.1.1", "10.0.0.1")
        ]

    monkeypatch.setattr(outgoing.socket, "getaddrinfo", answers)
    with pytest.raises(Refused, match=r"example\.com: 10\.0\.0\.1 is a private"):
        resolve("example.com", 80, allow_private=False)


def test_the_connection_goes_to_the_address_that_was_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = socket.getaddrinfo
    asked: list[object] = []

    def answers(host: str, port: int, **options: int) -> object:
        asked.append(host)
        return real("127.0.0.1", port, **options)  # type: ignore[arg-type]

    with http_receiver() as receiver:
        monkeypatch.setattr(outgoing.socket, "getaddrinfo", answers)
        sock = connect("rebinding.test", receiver.port, seconds=2, allow_private=True)
        assert sock.getpeername() == ("127.0.0.1", receiver.port)
        sock.close()
    assert asked == ["rebinding.test"]


def test_a_post_arrives_with_its_host_and_path() -> None:
    with http_receiver() as receiver:
        url = f"http://localhost:{receiver.port}/a/b?c=d#e"
        status = post(url, b"body", {"X-Test": "1"}, seconds=2, allow_private=True)
        (one,) = receiver.received
    assert (status, one.path, one.body) == (200, "/a/b?c=d", b"body")
    assert (one.headers["Host"], one.headers["X-Test"]) == (f"localhost:{receiver.port}", "1")


def test_a_redirect_is_not_followed() -> None:
    with http_receiver() as target, http_receiver() as receiver:
        receiver.status, receiver.location = 307, f"http://127.0.0.1:{target.port}/"
        url = f"http://127.0.0.1:{receiver.port}/"
        assert post(url, b"", {}, seconds=2, allow_private=True) == 307
        assert target.received == []


def test_a_process_can_shut_itself_off_whatever_library_connects() -> None:
    with http_receiver() as receiver:
        program = f"""
import urllib.request
from infra.outgoing import only_public_from_here_on
reasons = only_public_from_here_on()
try:
    urllib.request.urlopen("http://127.0.0.1:{receiver.port}/")
except OSError as error:
    print(reasons[0])
"""
        said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        assert "loopback" in said.stdout, said.stderr
        assert receiver.received == []
