"""Fault 17, quick form: requests made up from the OpenAPI document, against a real instance.

What the document allows is answered as it says; what it forbids is refused; nothing is a 500.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode, checks

from tests.e2e.instance import Instance

if TYPE_CHECKING:
    from collections.abc import Iterator

checks.load_all_checks()
CHECKS = [
    checks.not_a_server_error,
    *checks.CHECKS.get_by_names(
        [
            "status_code_conformance",
            "content_type_conformance",
            "response_headers_conformance",
            "response_schema_conformance",
            "negative_data_rejection",
            "positive_data_acceptance",
        ]
    ),
]
EXAMPLES = 12
PATHS = r"^/api/errors|^/health/live|^/health/ready|^/$|^/docs"
RAW_REQUESTS = 300


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    running = Instance(tmp_path_factory.mktemp("fuzz") / "data").wait()
    yield running
    running.stop()


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_the_api_answers_as_its_document_says(instance: Instance, mode: GenerationMode) -> None:
    config = schemathesis.Config.from_dict({"generation": {"allow-x00": False}})
    url = f"http://127.0.0.1:{instance.port}/docs/openapi.json"
    schema = schemathesis.openapi.from_url(url, config=config).include(path_regex=PATHS)
    tried = 0
    for result in schema.get_all_operations():
        operation = result.ok()

        @seed(17)
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: schemathesis.Case) -> None:
            # A position that the log has not reached is 503, as it must be.
            case.headers.pop("X-Min-Position", None)
            if mode is GenerationMode.POSITIVE:
                _without_names_of_things(case)
            case.call_and_validate(headers={"X-API-Key": "test-api-key"}, checks=CHECKS)

        try:
            ask()
        except Unsatisfiable:
            continue  # an operation without parameters cannot be called wrongly
        tried += 1
    assert tried >= 8


def _without_names_of_things(case: schemathesis.Case) -> None:
    """A document can give the form of an application's id or a cursor, not which there are; nor
    can it say that `since` lies before `until`."""
    for name in ("app", "cursor", "since"):
        if isinstance(case.query, dict):
            case.query.pop(name, None)
        if isinstance(case.body, dict):
            case.body.pop(name, None)


def test_random_bytes_crash_nothing(instance: Instance) -> None:
    chance = random.Random(17)
    methods = ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE")
    pieces = ("api", "errors", "bulk", "%00", "%ff", "..", "a" * 300, "resolve", "550e8400", "")
    for _ in range(RAW_REQUESTS):
        path = "/".join(chance.choices(pieces, k=chance.randint(1, 4)))
        query = "".join(chance.choices("abc=&%01+;[]", k=chance.randint(0, 20)))
        answer = instance.client.request(
            chance.choice(methods),
            f"http://127.0.0.1:{instance.port}/{path}?{query}",
            content=chance.randbytes(chance.randint(0, 400)),
            headers={"Content-Type": "application/json"},
        )
        assert answer.status_code < 500, (answer.request.url, answer.text)
    assert instance.healthy()


def test_a_body_without_a_length_is_read_up_to_the_limit(instance: Instance) -> None:
    def chunks(count: int) -> Iterator[bytes]:
        yield b'{"source":"s","message":"'
        for _ in range(count):
            yield b"x" * 65_536
        yield b'"}'

    headers = {"Content-Type": "application/json"}
    taken = instance.client.post("/api/errors", content=chunks(15), headers=headers)
    refused = instance.client.post("/api/errors", content=chunks(17), headers=headers)
    assert (taken.status_code, refused.status_code) == (201, 413)
    assert refused.json()["code"] == "too_large"
