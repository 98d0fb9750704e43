"""How integrations are configured: what is accepted, what is refused, what is shown."""

from __future__ import annotations

from typing import Any

import pytest

from domain.integration_config import AppriseConfig, EmailConfig, read_config
from domain.vocabulary import Channel

SLACK = {"webhook_url": "https://hooks.slack.com/services/T0/B0/secret", "channel": "#alerts"}
MAIL: dict[str, Any] = {
    "smtp_server": "smtp.example.com",
    "from_email": "alerts@example.com",
    "to": ["team@example.com"],
}


def fields_wrong(channel: Channel, config: dict[str, Any]) -> list[str]:
    read = read_config(channel, config)
    return [one.field for one in read] if isinstance(read, list) else []


def preview(channel: Channel, config: dict[str, Any]) -> dict[str, Any]:
    read = read_config(channel, config)
    assert not isinstance(read, list), read
    return dict(read.preview)


@pytest.mark.parametrize(
    ("channel", "config", "shown"),
    [
        ("slack", SLACK, {"webhook_url": "https://hooks.slack.com/****", "channel": "#alerts"}),
        (
            "slack",
            {"webhook_url": "http://chat.example.com/hooks/x"},
            {"webhook_url": "http://chat.example.com/****"},
        ),
        (
            "webhook",
            {"url": "http://example.com:81/a/token?key=1", "secret": "hush"},
            {"url": "http://example.com:81/****", "secret": "****"},
        ),
        ("sms", {"apprise_url": "twilio://sid:token@123/456"}, {"apprise_url": "twilio://****"}),
        ("slack", {"apprise_url": "slack://a/b/c"}, {"apprise_url": "slack://****"}),
        ("email", MAIL, {**MAIL, "tls": "starttls"}),
        (
            "email",
            {**MAIL, "smtp_server": "smtp.example.com:2525", "username": "u", "password": "p"},
            {
                **MAIL,
                "smtp_server": "smtp.example.com:2525",
                "tls": "starttls",
                "username": "u",
                "password": "****",
            },
        ),
    ],
)
def test_secrets_are_masked(channel: Channel, config: Any, shown: Any) -> None:
    assert preview(channel, config) == shown


@pytest.mark.parametrize(
    ("channel", "config", "wrong"),
    [
        ("slack", {}, ["webhook_url"]),
        ("slack", {"webhook_url": "http://hooks.slack.com/x"}, ["webhook_url"]),
        ("slack", {"webhook_url": "http://hooks.slack.com:80/x"}, ["webhook_url"]),
        ("slack", {"webhook_url": "https://u:p@hooks.slack.com/x"}, ["webhook_url"]),
        ("slack", {"webhook_url": "https://hooks.slack.com/****"}, ["webhook_url"]),
        ("slack", {"webhook_url": 7, "channel": ""}, ["webhook_url", "channel"]),
        ("webhook", {"url": "file:///etc/passwd"}, ["url"]),
        ("webhook", {"url": "https://example.com/a b"}, ["url"]),
        ("webhook", {"url": "https://example.com:99999/"}, ["url"]),
        ("webhook", {"url": "https://[::1"}, ["url"]),
        ("webhook", {"url": "https://example.com/\r\nX: y"}, ["url"]),
        ("sms", {}, ["apprise_url"]),
        ("sms", {"apprise_url": "no url"}, ["apprise_url"]),
        ("email", {}, ["smtp_server", "from_email", "to"]),
        ("email", {**MAIL, "smtp_server": "smtp.example.com:0"}, ["smtp_server"]),
        ("email", {**MAIL, "smtp_server": "a/b"}, ["smtp_server"]),
        ("email", {**MAIL, "to": ["a@b.de", "nobody", 3]}, ["to[1]", "to[2]"]),
        ("email", {**MAIL, "from_email": "a@b.de\nBcc: x@y.de"}, ["from_email"]),
        ("email", {**MAIL, "tls": "maybe"}, ["tls"]),
        ("email", {**MAIL, "username": "u"}, ["password"]),
        ("email", {**MAIL, "username": "u", "password": "p", "tls": "none"}, ["tls"]),
    ],
)
def test_what_is_wrong_is_named(channel: Channel, config: Any, wrong: list[str]) -> None:
    assert fields_wrong(channel, config) == wrong


def test_unknown_fields_are_refused_by_name() -> None:
    """Whoever gives one relies on it: mail must not go to another port than it names."""
    assert read_config("slack", {**SLACK, "color": "red"}) == [
        ("color", "is unknown: there are webhook_url, channel")
    ]
    assert read_config("email", {**MAIL, "smtp_port": 2525}) == [
        ("smtp_port", "is unknown: write smtp_server as host:port")
    ]
    assert fields_wrong("slack", {**SLACK, "color": None}) == []
    assert fields_wrong("slack", {**SLACK, "apprise_url": "json://x"}) == ["webhook_url", "channel"]


@pytest.mark.parametrize(("tls", "port"), [("starttls", 587), ("tls", 465), ("none", 25)])
def test_the_port_follows_from_the_encryption(tls: str, port: int) -> None:
    read = read_config("email", {**MAIL, "tls": tls})
    assert isinstance(read, EmailConfig)
    assert read.port == port


def test_one_recipient_needs_no_list() -> None:
    read = read_config("email", {**MAIL, "to": "team@example.com"})
    assert isinstance(read, EmailConfig)
    assert read.to == ["team@example.com"]


def test_any_integration_may_be_an_apprise_url() -> None:
    for channel in ("slack", "email", "webhook", "sms"):
        read = read_config(channel, {"apprise_url": "json://example.com"})  # type: ignore[arg-type]
        assert isinstance(read, AppriseConfig)
