"""From minified code back to TypeScript: real compilers, a real error, over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.api.ingest_tools import KEY, batch, event
from tests.compiled import (
    PLACES,
    Compiled,
    Place,
    expected,
    install_tools,
    with_esbuild,
    with_typescript_and_terser,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.api.conftest import Api

VERSION = "2.1.0"


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source and the tools."""
    folder = tmp_path_factory.mktemp("workshop")
    install_tools(folder)
    return folder


async def send(api: Api, compiled: Compiled) -> str:
    """Ingest the error; its id."""
    one = event(code=..., stackTrace=compiled.trace, appVersion=VERSION)
    answer = await api.post("/api/v1/ingest", json=batch(one), headers=KEY)
    assert answer.status_code == 200, answer.text
    return str(one["id"])


async def upload(api: Api, compiled: Compiled) -> None:
    body = {
        "appVersion": VERSION,
        "fileName": compiled.bundle,
        "sourceMap": compiled.source_map,
    }
    answer = await api.post("/api/v1/sourcemaps/upload", json=body, headers=KEY)
    assert answer.status_code == 200, answer.text


async def frames(api: Api, event_id: str) -> list[dict[str, Any]]:
    """The frames of an event, as the dashboard is shown them."""
    head = {"X-Min-Position": str(await api.container.store.head())}
    path = f"/dashboard/api/errors/{event_id}?appId=test-app"
    answer = await api.get(path, headers=head)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["error"]["parsedStack"]["frames"])


def originals(frames: list[dict[str, Any]]) -> list[Place]:
    """What came from shop.ts."""
    names = ("originalFunctionName", "originalLineNumber", "originalColumnNumber")
    found = [one for one in frames if str(one["originalFileName"]).endswith("shop.ts")]
    assert all(one["resolved"] for one in found)
    return [(one[names[0]], one[names[1]], one[names[2]]) for one in found]


async def test_a_map_that_comes_late_tells_file_line_and_function(api: Api, workshop: Path) -> None:
    compiled = with_esbuild(workshop)
    event_id = await send(api, compiled)
    before = await frames(api, event_id)
    assert before
    assert not any(one["resolved"] for one in before)
    await upload(api, compiled)
    after = await frames(api, event_id)
    assert originals(after)[: len(PLACES)] == [expected(*place) for place in PLACES]
    shown = ("functionName", "fileName", "lineNumber", "columnNumber", "inApp", "raw")
    assert [[one[name] for name in shown] for one in after] == [
        [one[name] for name in shown] for one in before
    ]


async def test_a_map_without_sources_tells_functions_by_their_callers(
    api: Api, workshop: Path
) -> None:
    compiled = with_typescript_and_terser(workshop)
    event_id = await send(api, compiled)
    await upload(api, compiled)
    called = [(function and function.removeprefix("Cart."), *rest) for function, *rest in PLACES]
    found = originals(await frames(api, event_id))
    assert found[: len(called)] == [expected(*place) for place in called]


async def test_the_first_api_shows_the_same_frames(api: Api, workshop: Path) -> None:
    compiled = with_esbuild(workshop)
    event_id = await send(api, compiled)
    await upload(api, compiled)
    head = {"X-Min-Position": str(await api.container.store.head())}
    errors = (await api.get("/api/errors?app=test-app", headers=head)).json()["data"]["errors"]
    path = f"/api/errors/{errors[0]['id']}/occurrences"
    (one,) = (await api.get(path, headers=head)).json()["data"]["occurrences"]
    assert one["parsed_stack"]["frames"] == await frames(api, event_id)
