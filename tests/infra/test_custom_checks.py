"""Custom checks against real servers on this machine."""

from __future__ import annotations

import http.server
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import pytest

from domain.check_settings import CheckSettings
from infra.clock import utc_now
from infra.custom_checks import CheckRunner, problem_of


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/slow":
            time.sleep(3)
        body = b"Welcome to the shop"
        self.send_response({"/gone": 410, "/moved": 302}.get(self.path, 200))
        self.send_header("Location", "/")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        return


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@contextmanager
def noise(words: bytes) -> Iterator[int]:
    """A port whose only answer is not HTTP."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def talk() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(words)

        threading.Thread(target=talk, daemon=True).start()
        yield server.getsockname()[1]


def check(target: str, **fields: object) -> CheckSettings:
    return CheckSettings(name="test", target=target, **fields)  # type: ignore[arg-type]


def test_a_url_that_answers_as_expected_is_well(site: str) -> None:
    assert problem_of(check(site, body_text="to the shop"), True) is None


def test_another_status_is_a_problem(site: str) -> None:
    assert problem_of(check(f"{site}/gone"), True) == "it answered 410, not 200"
    assert problem_of(check(f"{site}/gone", expected_status=410), True) is None


def test_a_redirect_is_an_answer_and_not_followed(site: str) -> None:
    assert problem_of(check(f"{site}/moved"), True) == "it answered 302, not 200"


def test_a_missing_text_is_a_problem(site: str) -> None:
    problem = problem_of(check(site, body_text="Closed"), True)
    assert problem == "its answer does not hold the expected text"


def test_an_open_port_is_well_and_a_closed_one_is_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        target = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        assert problem_of(check(target, expected_status=None), True) is None
    assert problem_of(check(target, expected_status=None), True) == "connection refused"


def test_what_is_no_http_is_a_problem() -> None:
    with noise(b"220 mail ready\r\n") as port:
        problem = problem_of(check(f"http://127.0.0.1:{port}/"), True)
        assert problem == "it does not speak HTTP as it should"


async def test_a_private_target_is_not_looked_at_and_so_unknown(site: str) -> None:
    runner = CheckRunner(utc_now, allow_private=False)
    name = site.replace("127.0.0.1", "localhost")
    for target in (site, site.replace("http:", "tcp:"), name):
        look = await runner.look(UUID(int=1), check(target))
        assert look.status == "unknown"
        assert look.milliseconds is None
        assert look.reason is not None
        assert "loopback" in look.reason
        assert "ALLOW_PRIVATE_TARGETS" in look.reason
    runner.close()


async def test_a_slow_target_is_given_up_in_time(site: str) -> None:
    runner = CheckRunner(utc_now, allow_private=True)
    look = await runner.look(UUID(int=1), check(f"{site}/slow", timeout=1))
    runner.close()
    assert look.status == "unhealthy"
    assert look.reason == "no answer within 1 s"
    assert look.milliseconds is not None
    assert 900 < look.milliseconds < 2_500
