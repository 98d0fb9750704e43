"""Fault 17, quick form: requests made up from the OpenAPI document, against a real instance.

What the document allows is answered as it says; what it forbids is refused; nothing is a 500.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, assume, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode, checks
from schemathesis.core.result import Ok

from tests.e2e.instance import Instance
from tests.faults.rounds import rounds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemathesis.schemas import APIOperation

checks.load_all_checks()
CHECKS: list[Any] = [
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
EXAMPLES = rounds(full=200, quick=15)
RAW_REQUESTS = 300

UNSAID = {
    "app",
    "cursor",
    "since",
    "startTime",
    "endTime",
    "assigned_to",
    "expires_at",
    "count",
    "as_of",
    "at",
    "error_id",
    "from",
    "to",
    "group_by",
}
"""Fields whose good values no document can tell: which applications, pages and members there are,
what lies before `until`, in the last days, or in the future, that `count` excludes `until`, which
rules look at each error, and that `group_by` is no larger than `period`. They are left out of good
requests."""

SPOKEN: dict[str, Any] = {
    "appId": "test-app",
    "threshold": 5,
    "condition": "error_count > 5 in 5m",
    "time_window": "5m",
    "cooldown": "1h",
    "until": "2099-01-01T00:00:00Z",
    "target": "http://127.0.0.1:9/",
    "sourceMap": '{"version": 3, "sources": [], "names": [], "mappings": ""}',
    "config": None,
}
"""Fields with rules that no schema can tell: conditions, lengths of time, times to come, addresses,
maps, at most four decimal places; and `config` depends on the integration. Good requests say
this."""

THINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "error_id": ("errors", {"message": "fuzzed", "source": "fuzz"}),
    "rule_id": ("alerts/rules", {"name": "fuzzed", "condition": "error_count > 5 in 5m"}),
    "incident_id": ("alerts/incidents", {"title": "fuzzed"}),
    "check_id": ("monitoring/checks", {"name": "fuzzed", "target": "http://127.0.0.1:9"}),
    "key_id": ("settings/api-keys", {"name": "fuzzed"}),
    "member_id": ("settings/team/invite", {"role": "viewer"}),
}
"""Path parameter -> what makes a thing that it can name."""


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    running = Instance(tmp_path_factory.mktemp("fuzz") / "data").wait()
    yield running
    running.stop()


@pytest.mark.timeout(3_600)  # thousands of requests: a slow machine takes minutes
@pytest.mark.parametrize("mode", list(GenerationMode))
def test_the_api_answers_as_its_document_says(instance: Instance, mode: GenerationMode) -> None:
    config = schemathesis.Config.from_dict({"generation": {"allow-x00": False}})
    url = f"http://127.0.0.1:{instance.port}/docs/openapi.json"
    schema = schemathesis.openapi.from_url(url, config=config)
    untried = []
    for result in schema.get_all_operations():
        assert isinstance(result, Ok)
        operation = result.ok()
        try:
            ask(instance, operation, mode)
        except Unsatisfiable:
            untried.append(operation)
    # Only what takes nothing cannot be called wrongly.
    assert all(not [*one.iter_parameters(), *one.body] for one in untried)


def ask(
    instance: Instance, operation: APIOperation[Any, Any, Any, Any], mode: GenerationMode
) -> None:
    """Call one operation many times, rightly or wrongly. Raises Unsatisfiable where none can be."""
    good = mode is GenerationMode.POSITIVE
    existing = made_for(instance, operation.path) if good else {}

    @seed(17)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def once(case: schemathesis.Case[Any]) -> None:
        # A position that the log has not reached is 503, as it must be.
        case.headers.pop("X-Min-Position", None)
        # A header that is empty says as much as none.
        assume(case.headers.get("Content-Encoding", "gzip").strip())
        if good:
            make_possible(case, existing)
        case.call_and_validate(headers={"X-API-Key": "test-api-key"}, checks=CHECKS)

    once()


def made_for(instance: Instance, path: str) -> dict[str, str]:
    """A new thing of the kind that a path names; path parameter -> id."""
    made = {}
    for parameter, (collection, body) in THINGS.items():
        if f"{{{parameter}}}" in path:
            invited = {"email": f"{uuid4().hex}@example.com"} if "role" in body else {}
            answer = instance.client.post(f"/api/{collection}", json={**body, **invited})
            assert answer.status_code == 201, answer.text
            made[parameter] = answer.json()["data"]["id"]
    return made


def make_possible(case: schemathesis.Case[Any], existing: dict[str, str]) -> None:
    """What the form allows may still be impossible: see UNSAID and SPOKEN. Ids name something."""
    case.headers.pop("Content-Encoding", None)  # the body is not packed in truth
    if existing:
        case.path_parameters = {**case.path_parameters, **existing}
    for part in (case.query, case.body):
        _say_what_works(part)
    if case.operation.path.endswith("/preview") and isinstance(case.body, dict):
        # Either the id of a rule that is there, or a condition.
        case.body.pop("id", None)
        case.body["condition"] = SPOKEN["condition"]
    if case.operation.path.endswith("/rebuilds") and isinstance(case.body, dict):
        # Either names of read models, or all of them.
        case.body["all"] = not case.body.get("read_models")


def _say_what_works(part: object) -> None:
    if not isinstance(part, dict):
        return
    for name in UNSAID & set(part):
        del part[name]
    part.update({name: SPOKEN[name] for name in SPOKEN if part.get(name) is not None})
    for batch in ("events", "sourceMaps"):
        for one in part.get(batch) or ():
            _say_what_works(one)


def test_random_bytes_crash_nothing(instance: Instance) -> None:
    chance = random.Random(17)
    methods = ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE")
    pieces = (
        "api",
        "errors",
        "bulk",
        "alerts",
        "rules",
        "settings",
        "team",
        "monitoring",
        "%00",
        "%ff",
        "..",
        "a" * 300,
        "resolve",
        "550e8400",
        "",
    )
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
