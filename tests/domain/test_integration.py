"""What an integration decides, and how it stands."""

from __future__ import annotations

from domain import integration
from domain.integration import (
    ClearIntegration,
    ConfigureIntegration,
    IntegrationCleared,
    IntegrationConfigured,
    IntegrationTested,
    Preview,
    RecordIntegrationTest,
    Sealed,
)
from tests.spec import START, given

SEALED = Sealed("ciphertext", "digest")
PREVIEW: Preview = {"webhook_url": "https://hooks.slack.com/****"}
CONFIGURE = ConfigureIntegration(integration="slack", preview=PREVIEW, sealed=SEALED)
CONFIGURED = IntegrationConfigured(integration="slack", preview=PREVIEW, sealed=SEALED)
WORKED = RecordIntegrationTest(integration="slack", digest="digest", succeeded=True)
FAILED = RecordIntegrationTest(
    integration="slack", digest="digest", succeeded=False, reason="the server answered 404"
)


def test_a_configuration_is_kept() -> None:
    given(integration.decider).when(CONFIGURE).then(CONFIGURED)


def test_the_same_configuration_sealed_again_changes_nothing() -> None:
    again = ConfigureIntegration(
        integration="slack", preview=PREVIEW, sealed=Sealed("another ciphertext", "digest")
    )
    given(integration.decider, CONFIGURED).when(again).then_nothing()


def test_clearing_needs_saying_once() -> None:
    clear = ClearIntegration(integration="slack")
    given(integration.decider, CONFIGURED).when(clear).then(IntegrationCleared(integration="slack"))
    given(integration.decider, CONFIGURED).when(clear, clear).then_kinds(IntegrationCleared)


def test_a_test_carries_what_it_tried() -> None:
    given(integration.decider, CONFIGURED).when(FAILED).then(
        IntegrationTested(
            integration="slack",
            succeeded=False,
            reason="the server answered 404",
            preview=PREVIEW,
            sealed=SEALED,
        )
    )


def test_a_test_of_another_configuration_is_not_kept() -> None:
    other = RecordIntegrationTest(integration="slack", digest="other", succeeded=True)
    given(integration.decider, CONFIGURED).when(other).then_refused("conflict")
    given(integration.decider).when(WORKED).then_refused("conflict")


def test_the_status_follows_the_last_test() -> None:
    def status(*commands: object) -> str:
        events = given(integration.decider).when(*commands).events  # type: ignore[arg-type]
        return str(given(integration.decider, *events).state.status)

    assert status() == "not_configured"
    assert status(CONFIGURE) == "configured"
    assert status(CONFIGURE, WORKED) == "connected"
    assert status(CONFIGURE, WORKED, FAILED) == "failing"
    assert status(CONFIGURE, ClearIntegration(integration="slack")) == "not_configured"


def test_a_new_configuration_is_untested() -> None:
    other = ConfigureIntegration(
        integration="slack", preview=PREVIEW, sealed=Sealed("ciphertext", "other")
    )
    events = given(integration.decider).when(CONFIGURE, WORKED, other).events
    state = given(integration.decider, *events).state
    assert (state.status, state.tested_at) == ("configured", None)


def test_the_time_of_a_test_is_when_it_was_recorded() -> None:
    tested = given(integration.decider, CONFIGURED).when(WORKED).events
    assert given(integration.decider, CONFIGURED, *tested).state.tested_at > START
