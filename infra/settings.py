"""Every setting of Errata: its name, default, meaning, and where its value came from.

Reading is one pure function of the environment it is given; nothing is read at import.
"""

import os
import re
from collections.abc import Callable, Mapping
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from domain.scrubbing import FILTERED, Scrubber
from infra import setting_values as values

Source = Literal["default", "environment", "command line"]

_URL_PASSWORD = re.compile(r"(://[^:/@?#]*:).*@", re.DOTALL)
_MASK = "****"
_SHOWN = 80


class SettingsError(ValueError):
    """Values that cannot be used: all of them, one line each, secrets masked."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class Row(NamedTuple):
    """One line of `errata settings`."""

    name: str
    value: str
    source: Source
    help: str


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of one process; `SETTINGS` says what each means."""

    database_url: str | None
    redis_url: str | None
    host: str
    port: int
    environment: str
    data_dir: Path
    archive: str
    retention_days: int
    rate_limits: bool
    rate_limit_reports: int
    rate_limit_analytics: int
    rate_limit_general: int
    cors_origins: tuple[str, ...]
    public_url: str
    allow_private_targets: bool
    scrub_keys: tuple[str, ...]
    log_level: str
    log_format: str
    api_workers: int
    commit_queue: int
    commit_batch: int
    partition_events: int
    snapshot_events: int
    rebuild_keep_seconds: int
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...]
    secret_key: str | None
    sources: Mapping[str, Source]
    """Where the value of each field came from."""

    @property
    def production(self) -> bool:
        """Whether the well-known test keys are refused."""
        return self.environment == "production"

    def database_url_or_fail(self) -> str:
        """Where PostgreSQL is. Raises SettingsError while that is open: without DATABASE_URL
        somebody has to start the embedded one first."""
        if self.database_url is None:
            raise SettingsError(["DATABASE_URL is not set and no embedded PostgreSQL is running"])
        return self.database_url

    def redis_url_or_fail(self) -> str:
        """Where Redis is. Raises SettingsError like database_url_or_fail."""
        if self.redis_url is None:
            raise SettingsError(["REDIS_URL is not set and no embedded Redis is running"])
        return self.redis_url

    def __repr__(self) -> str:
        # Settings end up in logs and tracebacks; the URLs hold passwords.
        return f"Settings({', '.join(f'{row.name}={row.value}' for row in describe(self))})"


class Setting(NamedTuple):
    """One setting: the variable `name` fills the field `field`."""

    name: str
    field: str
    default: str
    """As it would be written in the environment; empty where `default_text` says more."""
    parse: Callable[[str], Any]
    help: str
    secret: bool = False
    default_text: str = ""


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "DATABASE_URL",
        "database_url",
        "",
        values.database_url,
        "PostgreSQL, as postgres:// or postgresql://; ?sslmode= is passed on",
        secret=True,
        default_text="embedded",
    ),
    Setting(
        "REDIS_URL",
        "redis_url",
        "",
        values.redis_url,
        "Redis, as redis://, rediss://, unix:// or redis+cluster://",
        secret=True,
        default_text="embedded",
    ),
    Setting(
        "HOST",
        "host",
        "127.0.0.1",
        values.host,
        "address to listen on; 0.0.0.0 for all, as in the container image",
    ),
    Setting("PORT", "port", "8080", values.number(1, 65_535), "TCP port of the API"),
    Setting(
        "ENVIRONMENT",
        "environment",
        "development",
        values.choice("development", "test", "staging", "production"),
        "production refuses the test keys; every other one accepts them",
    ),
    Setting(
        "ERRATA_DATA_DIR",
        "data_dir",
        ".errata",
        Path,
        "folder of the embedded PostgreSQL and Redis",
    ),
    Setting(
        "ERRATA_ARCHIVE",
        "archive",
        "",
        values.place,
        "folder or fsspec URL for archived partitions of the event log",
        default_text="archive in ERRATA_DATA_DIR",
    ),
    Setting(
        "RETENTION_DAYS",
        "retention_days",
        "90",
        values.number(1, 36_500),
        "days after which events leave the log for the archive",
    ),
    Setting("RATE_LIMITS", "rate_limits", "off", values.switch, "limit the requests of each key"),
    Setting(
        "RATE_LIMIT_REPORTS",
        "rate_limit_reports",
        "1000",
        values.number(1, 1_000_000),
        "reports a minute from each key",
    ),
    Setting(
        "RATE_LIMIT_ANALYTICS",
        "rate_limit_analytics",
        "100",
        values.number(1, 1_000_000),
        "questions a minute from each key for statistics, trends and monitoring",
    ),
    Setting(
        "RATE_LIMIT_GENERAL",
        "rate_limit_general",
        "500",
        values.number(1, 1_000_000),
        "other requests a minute from each key",
    ),
    Setting(
        "CORS_ORIGINS",
        "cors_origins",
        "*",
        values.origins,
        "origins whose pages may call the API, with commas between; * for any",
    ),
    Setting(
        "PUBLIC_URL",
        "public_url",
        "",
        values.web_address,
        "where people reach Errata, for the links in messages",
        default_text="http://localhost with PORT",
    ),
    Setting(
        "ALLOW_PRIVATE_TARGETS",
        "allow_private_targets",
        "off",
        values.switch,
        "let webhooks and checks reach private and loopback addresses",
    ),
    Setting(
        "SCRUB_KEYS",
        "scrub_keys",
        "",
        values.names,
        "more keys whose values are filtered, with commas between",
    ),
    Setting(
        "LOG_LEVEL",
        "log_level",
        "info",
        values.choice("debug", "info", "warning", "error"),
        "least severe messages that are logged",
    ),
    Setting(
        "LOG_FORMAT",
        "log_format",
        "auto",
        values.choice("auto", "json", "console"),
        "auto is console on a terminal and json elsewhere",
    ),
    Setting(
        "API_WORKERS",
        "api_workers",
        "",
        values.number(1, 64),
        "processes that answer requests",
        default_text="number of CPUs, at most 2",
    ),
    Setting(
        "COMMIT_QUEUE",
        "commit_queue",
        "10000",
        values.number(1, 10_000_000),
        "reports that may wait for the committer; beyond it the answer is 503",
    ),
    Setting(
        "COMMIT_BATCH",
        "commit_batch",
        "1000",
        values.number(1, 100_000),
        "most commands in one transaction",
    ),
    Setting(
        "PARTITION_EVENTS",
        "partition_events",
        "5000000",
        values.number(1_000, 1_000_000_000),
        "events in one partition of the log",
    ),
    Setting(
        "REBUILD_KEEP_SECONDS",
        "rebuild_keep_seconds",
        "3600",
        values.number(10, 31_536_000),
        "seconds for which what a rebuild replaced is kept, to go back to it",
    ),
    Setting(
        "SNAPSHOT_EVENTS",
        "snapshot_events",
        "250000",
        values.number(0, 1_000_000_000),
        "events between two snapshots of the read models; 0 for none",
    ),
    Setting(
        "TRUSTED_PROXIES",
        "trusted_proxies",
        "",
        values.networks,
        "addresses or networks whose X-Forwarded-For is believed, with commas between",
        default_text="none",
    ),
    Setting(
        "ERRATA_SECRET_KEY",
        "secret_key",
        "",
        values.secret_key,
        "seals what integrations must keep secret; the same on every host",
        secret=True,
        default_text="secret.key in ERRATA_DATA_DIR",
    ),
)


def load_settings(environ: Mapping[str, str] | None = None, **overrides: object) -> Settings:
    """The settings in `environ` (default: the process environment), overridden by field name.

    An empty variable counts as not set, as compose files pass it; so does an override of None.
    Raises SettingsError with every unusable value at once, TypeError for an unknown override.
    """
    environ = os.environ if environ is None else environ
    unknown = overrides.keys() - {setting.field for setting in SETTINGS}
    if unknown:
        raise TypeError(f"no such setting: {', '.join(sorted(unknown))}")
    fields: dict[str, Any] = {}
    sources: dict[str, Source] = {}
    problems: list[str] = []
    for setting in SETTINGS:
        text, sources[setting.field] = _given(setting, environ, overrides)
        try:
            fields[setting.field] = setting.parse(text) if text else _unset(setting, fields)
        except ValueError as error:
            problems.append(f"{setting.name}={_shown(setting, text)}: expected {error}")
    if problems:
        raise SettingsError(problems)
    return Settings(**fields, sources=sources)


def describe(settings: Settings) -> list[Row]:
    """Every setting with its value as text (passwords masked), its source and its meaning."""
    return [
        Row(
            setting.name,
            _written(setting, getattr(settings, setting.field)),
            settings.sources[setting.field],
            setting.help,
        )
        for setting in SETTINGS
    ]


def mask_url(url: str) -> str:
    """`url` with `****` for its password and for secret parameters.

    Between the first colon after `://` and the last `@` everything is hidden, so that passwords
    with reserved characters that nobody encoded stay hidden too.
    """
    masked = _URL_PASSWORD.sub(rf"\g<1>{_MASK}@", url)
    return Scrubber().url(masked)[0].replace(FILTERED, _MASK)


def _given(
    setting: Setting, environ: Mapping[str, str], overrides: Mapping[str, object]
) -> tuple[str, Source]:
    """The text that decides, and where it stands: command line before environment."""
    override = overrides.get(setting.field)
    if override is not None:
        return values.as_text(override), "command line"
    text = environ.get(setting.name, "").strip()
    return (text, "environment") if text else (setting.default, "default")


def _unset(setting: Setting, fields: Mapping[str, Any]) -> object:
    """The value of a setting that has no default text."""
    match setting.field:
        case "archive":
            return str(fields["data_dir"] / "archive")
        case "public_url":
            return f"http://localhost:{fields.get('port')}"  # none where PORT is no number
        case "api_workers":
            return min(2, os.cpu_count() or 1)
        case "database_url" | "redis_url" | "secret_key":
            return None
        case "scrub_keys" | "trusted_proxies":
            return ()
        case _:
            raise ValueError("a value")


def _shown(setting: Setting, text: str) -> str:
    """A refused value, as far as it may be seen: without `://` its password cannot be found."""
    if not setting.secret:
        return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
    return _masked(text)


def _written(setting: Setting, value: object) -> str:
    if value is None or value == ():
        return setting.default_text
    text = values.as_text(value)
    return _masked(text) if setting.secret else text


def _masked(text: str) -> str:
    return mask_url(text) if "://" in text else _MASK
