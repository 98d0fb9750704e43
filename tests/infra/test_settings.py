from ipaddress import ip_network
from pathlib import Path

import pytest
from fsspec.registry import known_implementations

from infra.settings import SETTINGS, Settings, SettingsError, describe, load_settings, mask_url

DATABASE = "postgres://errata:hunter2@db:5432/errata?sslmode=require"


def problem_of(**environ: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(environ)
    return str(caught.value)


def row_of(settings: Settings, name: str) -> tuple[str, str]:
    row = next(row for row in describe(settings) if row.name == name)
    return row.value, row.source


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("database_url", None),
        ("redis_url", None),
        ("host", "127.0.0.1"),
        ("port", 8080),
        ("environment", "development"),
        ("data_dir", Path(".errata")),
        ("archive", ".errata/archive"),
        ("retention_days", 90),
        ("rate_limits", False),
        ("rate_limit_reports", 1_000),
        ("rate_limit_analytics", 100),
        ("rate_limit_general", 500),
        ("cors_origins", ("*",)),
        ("allow_private_targets", False),
        ("scrub_keys", ()),
        ("log_level", "info"),
        ("log_format", "auto"),
        ("commit_queue", 10_000),
        ("commit_batch", 1_000),
        ("partition_events", 5_000_000),
        ("trusted_proxies", ()),
    ],
)
def test_every_setting_has_its_default(field: str, expected: object) -> None:
    assert getattr(load_settings({}), field) == expected


def test_there_are_one_or_two_workers_by_default() -> None:
    assert load_settings({}).api_workers in (1, 2)


@pytest.mark.parametrize(
    ("name", "text", "field", "expected"),
    [
        ("PORT", "9000", "port", 9000),
        ("PARTITION_EVENTS", "1_000_000", "partition_events", 1_000_000),
        ("ENVIRONMENT", "Production", "environment", "production"),
        ("RATE_LIMITS", "on", "rate_limits", True),
        ("RATE_LIMITS", "0", "rate_limits", False),
        ("CORS_ORIGINS", "https://a.io/, http://b.io:81", "cors_origins", ("https://a.io", "http://b.io:81")),
        ("SCRUB_KEYS", "pin, iban,,pin", "scrub_keys", ("pin", "iban")),
        ("PUBLIC_URL", "https://e.io/errata/", "public_url", "https://e.io/errata"),
        ("TRUSTED_PROXIES", "10.0.0.0/8", "trusted_proxies", (ip_network("10.0.0.0/8"),)),
        ("ERRATA_ARCHIVE", "/srv/old", "archive", "/srv/old"),
        ("API_WORKERS", "4", "api_workers", 4),
    ],
)  # fmt: skip
def test_the_environment_sets(name: str, text: str, field: str, expected: object) -> None:
    assert getattr(load_settings({name: text}), field) == expected


def test_the_archive_stands_in_the_data_folder() -> None:
    assert load_settings({"ERRATA_DATA_DIR": "/srv/data"}).archive == "/srv/data/archive"


@pytest.mark.parametrize("link", ["", "simplecache::"])
def test_an_archive_whose_package_is_missing_is_refused(
    link: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = {"class": "no_such_package.FileSystem", "err": "Install it"}
    monkeypatch.setitem(known_implementations, "cloud", store)
    assert problem_of(ERRATA_ARCHIVE=f"{link}cloud://bucket/errata") == (
        f"ERRATA_ARCHIVE={link}cloud://bucket/errata: "
        "expected the package no_such_package, which is not installed"
    )


def test_an_archive_in_what_nobody_knows_is_refused() -> None:
    assert problem_of(ERRATA_ARCHIVE="foo://x/y").startswith("ERRATA_ARCHIVE=foo://x/y: expected")


def test_an_archive_of_a_known_kind_is_taken_as_it_is() -> None:
    assert load_settings({"ERRATA_ARCHIVE": "memory://errata"}).archive == "memory://errata"


def test_links_lead_to_this_machine_where_nothing_else_is_said() -> None:
    assert load_settings({"PORT": "9000"}).public_url == "http://localhost:9000"


def test_an_empty_variable_is_not_set() -> None:
    assert load_settings({"PORT": " ", "DATABASE_URL": ""}).sources["port"] == "default"


def test_the_command_line_comes_before_the_environment() -> None:
    assert load_settings({"PORT": "9000"}, port=9001).port == 9001


def test_an_override_of_none_changes_nothing() -> None:
    assert load_settings({"PORT": "9000"}, port=None).port == 9000


def test_an_override_may_be_false() -> None:
    assert load_settings({"RATE_LIMITS": "on"}, rate_limits=False).rate_limits is False


def test_an_override_is_checked_too() -> None:
    with pytest.raises(SettingsError, match="PORT=0"):
        load_settings({}, port=0)


def test_an_unknown_override_is_a_mistake_of_the_program() -> None:
    with pytest.raises(TypeError, match="prot"):
        load_settings({}, prot=1)


@pytest.mark.parametrize(
    ("environ", "overrides", "source"),
    [({}, {}, "default"), ({"PORT": "1"}, {}, "environment"), ({}, {"port": 1}, "command line")],
)
def test_a_value_knows_its_source(
    environ: dict[str, str], overrides: dict[str, int], source: str
) -> None:
    assert load_settings(environ, **overrides).sources["port"] == source


@pytest.mark.parametrize(
    "url",
    [
        DATABASE,
        "postgresql://db/errata",
        "postgresql:///errata?host=/run/postgresql",
        "postgresql://u:p@a:5432,b:5433/errata",
        "postgres://u:p@[::1]:5432/errata",
    ],
)
def test_postgres_urls_are_taken_as_they_are(url: str) -> None:
    assert load_settings({"DATABASE_URL": url}).database_url == url


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost:6379/0",
        "rediss://:pw@cache:6380",
        "unix:///run/redis.sock",
        "redis+cluster://u:p@a:7000,b:7001",
    ],
)
def test_redis_urls_are_taken_as_they_are(url: str) -> None:
    assert load_settings({"REDIS_URL": url}).redis_url == url


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("PORT", "abc", "a whole number from 1 to 65535"),
        ("PORT", "70000", "a whole number from 1 to 65535"),
        ("PORT", "-1", "a whole number"),
        ("PORT", "٨٠٨٠", "a whole number"),
        ("RETENTION_DAYS", "9" * 5000, "a whole number"),
        ("ENVIRONMENT", "prod", "one of development, test, staging, production"),
        ("RATE_LIMITS", "maybe", "on or off"),
        ("LOG_LEVEL", "loud", "one of debug, info, warning, error"),
        ("CORS_ORIGINS", "example.com", "* or origins"),
        ("CORS_ORIGINS", "*,https://a.io", "* or origins"),
        ("CORS_ORIGINS", "https://a.io/path", "* or origins"),
        ("TRUSTED_PROXIES", "proxy", "addresses or networks"),
        ("PUBLIC_URL", "errata.example.com", "an address such as https://"),
        ("PUBLIC_URL", "ftp://errata.example.com", "an address such as https://"),
        ("PUBLIC_URL", "https://ann:pw@errata.example.com", "an address such as https://"),
        ("HOST", "http://x", "an address or a host name"),
        ("DATABASE_URL", "mysql://h/db", "postgres://user:password@host:5432/database"),
        ("DATABASE_URL", "postgres://h:port/db", "postgres://user:password@host:5432/database"),
        ("DATABASE_URL", "postgres://h/db?sslmode=maybe", "sslmode to be one of disable"),
        ("REDIS_URL", "http://h", "redis://"),
        ("REDIS_URL", "redis://", "redis://"),
        ("REDIS_URL", "unix://", "redis://"),
    ],
)
def test_a_bad_value_says_what_is_expected(name: str, text: str, expected: str) -> None:
    problem = problem_of(**{name: text})
    assert problem.startswith(f"{name}=")
    assert f"expected {expected}" in problem


def test_all_problems_come_at_once() -> None:
    assert len(problem_of(PORT="x", LOG_LEVEL="y", RATE_LIMITS="z").splitlines()) == 3


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:hunter2@h/db",
        "postgres://u:hunter2@h:port/db",
        "postgres://u:hun/ter2@h/db",
        "postgres://u:hunter2 hunter2@h:x/db",
        "host=db password=hunter2",
        "u:hunter2@h",
    ],
)
def test_a_refused_url_shows_no_password(url: str) -> None:
    problem = problem_of(DATABASE_URL=url)
    assert "ter2" not in problem


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("postgres://u:p@h/db", "postgres://u:****@h/db"),
        ("postgres://u:p@ss/w@h/db", "postgres://u:****@h/db"),
        ("redis://:p@h:6379", "redis://:****@h:6379"),
        ("postgres://h/db?user=u&password=p", "postgres://h/db?user=u&password=****"),
        ("postgres://h:5432/db?sslmode=require", "postgres://h:5432/db?sslmode=require"),
        ("unix:///run/redis.sock", "unix:///run/redis.sock"),
    ],
)
def test_masking_hides_passwords_only(url: str, masked: str) -> None:
    assert mask_url(url) == masked


def test_settings_are_described_with_masked_values_and_sources() -> None:
    settings = load_settings({"DATABASE_URL": DATABASE})
    shown = "postgres://errata:****@db:5432/errata?sslmode=require"
    assert row_of(settings, "DATABASE_URL") == (shown, "environment")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("REDIS_URL", "embedded"),
        ("RATE_LIMITS", "off"),
        ("CORS_ORIGINS", "*"),
        ("PORT", "8080"),
        ("TRUSTED_PROXIES", "none"),
    ],
)
def test_defaults_are_described_as_they_are_written(name: str, shown: str) -> None:
    assert row_of(load_settings({}), name) == (shown, "default")


def test_every_setting_is_described_with_help() -> None:
    rows = describe(load_settings({}))
    assert [row.name for row in rows if row.help] == [setting.name for setting in SETTINGS]


def test_every_field_has_a_setting() -> None:
    fields = set(Settings.__struct_fields__) - {"sources"}
    assert fields == {setting.field for setting in SETTINGS}


def test_printed_settings_show_no_password() -> None:
    assert "hunter2" not in repr(load_settings({"DATABASE_URL": DATABASE}))


def test_only_production_is_production() -> None:
    assert [
        load_settings({"ENVIRONMENT": name}).production for name in ("production", "staging")
    ] == [True, False]


def test_compose_passes_every_setting_that_the_image_does_not_set_itself() -> None:
    compose = (Path(__file__).parents[2] / "docker-compose.yml").read_text()
    for setting in SETTINGS:
        if setting.name not in ("HOST", "PORT", "ERRATA_DATA_DIR"):
            assert f"\n    {setting.name}:" in compose, setting.name
