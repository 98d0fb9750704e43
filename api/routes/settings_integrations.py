"""/api/settings/integrations: where messages go, and whether they arrive."""

from __future__ import annotations

import asyncio

import msgspec
from litestar import get, post, put
from msgspec import UnsetType

from api.answers import Answer, Problem, encode_json, success
from api.call import Call
from api.failures import BadRequest
from api.form import Form
from api.reading import caught_up, up_to_date
from api.routes.settings_integrations_described import (
    CONFIGURE_INTEGRATION,
    GET_INTEGRATION,
    LIST_INTEGRATIONS,
    TEST_INTEGRATION,
)
from api.settings_schemas import IntegrationBody, IntegrationListBody
from domain.failures import Conflict
from domain.integration import (
    ClearIntegration,
    ConfigureIntegration,
    Integration,
    RecordIntegrationTest,
    channel,
)
from domain.integration_config import Config, read_config
from domain.notification import Message
from domain.vocabulary import Channel

INTEGRATIONS = "integrations"

TEST_MESSAGE = Message(
    kind="test",
    title="Errata: test message",
    text="This is a test of your notification settings. Nothing is wrong.",
)

_config = msgspec.json.Decoder(Config).decode


@get("/settings/integrations", opt={"operation": LIST_INTEGRATIONS})
async def list_integrations(request: Call) -> Answer:
    """All there are, with their secrets masked."""
    request.auth.require_all_apps()
    await up_to_date(request, INTEGRATIONS)
    found = await request.container.integrations.all()
    if not any(one.sealed for one in found.values()):
        await caught_up(request, INTEGRATIONS)
        found = await request.container.integrations.all()
    body = IntegrationListBody([_shown(name, one) for name, one in found.items()])
    return success(encode_json(body))


@get("/settings/integrations/{integration:str}", opt={"operation": GET_INTEGRATION})
async def get_integration(request: Call) -> Answer:
    """One of them, configured or not, with its secrets masked."""
    request.auth.require_all_apps()
    name = _name(request)
    await up_to_date(request, INTEGRATIONS)
    found = await request.container.integrations.one(name)
    if not found.sealed:
        await caught_up(request, INTEGRATIONS)
        found = await request.container.integrations.one(name)
    return success(encode_json(_shown(name, found)))


@put("/settings/integrations/{integration:str}", opt={"operation": CONFIGURE_INTEGRATION})
async def configure_integration(request: Call) -> Answer:
    """Another configuration in place of the one before; null for none."""
    request.auth.require_all_apps()
    name = _name(request)
    config = _read(name, Form(await request.json_body()))
    command: ClearIntegration | ConfigureIntegration = ClearIntegration(integration=name)
    if config is not None:
        # The key of the box may have to be read from disk.
        sealed = await asyncio.to_thread(request.container.secrets.seal, encode_json(config))
        command = ConfigureIntegration(integration=name, preview=config.preview, sealed=sealed)
    committed = await request.container.store.execute(command, request.context)
    return success(encode_json(_shown(name, committed.state)), position=committed.position)


@post(
    "/settings/integrations/{integration:str}/test",
    status_code=200,
    opt={"operation": TEST_INTEGRATION},
)
async def test_integration(request: Call) -> Answer:
    """Really send a message, and remember what became of it."""
    request.auth.require_all_apps()
    name = _name(request)
    await caught_up(request, INTEGRATIONS)
    sealed = (await request.container.integrations.one(name)).sealed
    if sealed is None:
        raise Conflict(f"{name} is not configured: PUT /api/settings/integrations/{name} first")
    config = _config(await asyncio.to_thread(request.container.secrets.open, sealed))
    outcome = await request.container.notifier.send(config, TEST_MESSAGE)
    command = RecordIntegrationTest(
        integration=name,
        digest=sealed.digest,
        succeeded=outcome.succeeded,
        reason=outcome.reason,
    )
    committed = await request.container.store.execute(command, request.context)
    return success(encode_json(_shown(name, committed.state)), position=committed.position)


def _name(request: Call) -> Channel:
    return channel(str(request.scope["path_params"]["integration"]))


def _read(name: Channel, form: Form) -> Config | None:
    """The configuration in a body; None to take it away. Raises BadRequest with all problems."""
    given = form.object_or_null("config")
    if isinstance(given, UnsetType):
        form.check()
        raise BadRequest.field("config", "is required; null takes the configuration away")
    if given is None:
        return None
    read = read_config(name, given)
    if isinstance(read, list):
        raise BadRequest.of([Problem(f"config.{one.field}", one.problem) for one in read])
    return read


def _shown(name: Channel, integration: Integration) -> IntegrationBody:
    return IntegrationBody(
        name=name,
        status=integration.status,
        config=integration.preview,
        last_test=integration.tested_at,
        reason=integration.reason,
    )
