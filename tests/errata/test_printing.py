"""What commands print for people, on terminals of 80 columns too."""

from __future__ import annotations

from uuid import UUID

import msgspec
import pytest

from errata.commands import common, past
from errata.commands import rebuild as rebuilding
from infra.clock import utc_now
from projections.differences import ChangedErrors, Differences
from projections.rebuilds import Part, Rebuild
from projections.registry import READ_MODELS
from projections.versions import Standing

SOME_ID = "0d9f3c1e-6a0b-4d0e-8f5a-3f1f7c2b9a10"
PARTS = tuple(Part(name=model.name, from_version=1, to_version=1001) for model in READ_MODELS)
FAILED = Rebuild(
    id=UUID(SOME_ID),
    kind="rebuild",
    state="failed",
    read_models=PARTS,
    requested_by=f"key:{SOME_ID}",
    requested_at=utc_now(),
    reason="event 7 cannot be folded",
)


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of 80 columns."""
    monkeypatch.setattr(common, "terminal_width", lambda: 80)


def test_a_table_with_ids_that_is_too_wide_becomes_blocks(
    narrow: None, capsys: pytest.CaptureFixture[str]
) -> None:
    common.print_table(
        ("Change", "Error", "App", "Message"), [("new", SOME_ID, "shop", "long words " * 9)]
    )
    first, *rest = capsys.readouterr().out.splitlines()
    assert first == f"new  {SOME_ID}"
    assert rest[0].startswith("    App: shop, Message: long words")
    assert len(rest) == 2
    assert all(len(line) <= 80 for line in rest)


def test_a_table_that_fits_stays_one(narrow: None, capsys: pytest.CaptureFixture[str]) -> None:
    common.print_table(("Id", "App"), [(SOME_ID, "shop")])
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [["Id", "App"], [SOME_ID, "shop"]]


def test_rebuilds_are_listed_with_whole_ids_and_why_they_failed(
    narrow: None, capsys: pytest.CaptureFixture[str]
) -> None:
    standing = Standing({model.name: 1 for model in READ_MODELS}, {})
    rebuilding._print_known(standing, [FAILED], as_json=False)
    lines = capsys.readouterr().out.splitlines()
    told = lines[lines.index(SOME_ID) + 1 :]
    assert " ".join(map(str.strip, told)).endswith(
        f"By: key:{SOME_ID}, Read models: all, Reason: event 7 cannot be folded"
    )


@pytest.mark.parametrize(
    ("differences", "said"),
    [(0, "0 keys differ"), (1, "1 key differs"), (1234, "1,234 keys differ")],
)
def test_how_many_keys_differ_is_said(
    differences: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    part = msgspec.structs.replace(PARTS[0], differences=differences)
    rebuilding._print(msgspec.structs.replace(FAILED, read_models=(part,)))
    assert capsys.readouterr().out.splitlines()[1].endswith(said)


def test_errors_that_a_difference_leaves_out_are_counted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    none = ChangedErrors(count=0, errors=[])
    found = Differences(
        **dict.fromkeys(past._CHANGES, none) | {"new": ChangedErrors(count=19, errors=[])},
        errors=19,
        resolved_errors=0,
        occurrences=19,
    )
    past._show_differences(found, 10)
    assert capsys.readouterr().out.splitlines()[-1] == "new: and 19 more"
