"""`errata verify`: is what the API answers what the log says?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from errata.commands.common import (
    REFUSED,
    data_dir_option,
    json_option,
    print_json,
    print_table,
    say,
    services,
)

if TYPE_CHECKING:
    from errata.verification import Tell
    from projections.findings import Finding, Verdict
    from projections.projection import ReadModel


@click.command()
@click.argument("read_models", nargs=-1, metavar="[READ MODEL]...")
@data_dir_option
@json_option
def verify(read_models: tuple[str, ...], data_dir: Path | None, as_json: bool) -> int:
    """Fold the log afresh and compare with what is live: all read models, or those named.

    Workers go on meanwhile, and nothing that is live is written to. Says which keys and fields
    differ, what was found and expected and, of what belongs to one error (key, rule, ...), the
    position of the event since which it has been wrong. `errata rebuild` mends it.

    Exit code 1 when anything differs.

    \b
    Examples:
      errata verify
      errata verify stats codes
      errata verify --json | jq '.[] | select(.equal | not)'
    """
    from errata.folding import Source
    from errata.verification import verify as verified
    from infra.redis import connect

    models = _named(read_models)
    with services(data_dir) as settings, _progress(as_json) as tell:
        source = Source(settings.database_url_or_fail(), settings.archive)
        with connect(settings.redis_url_or_fail()) as client:
            verdicts = list(verified(source, client, models, tell))
    if as_json:
        print_json([_as_json(verdict) for verdict in verdicts])
    else:
        _print(verdicts)
    return 0 if all(verdict.equal for verdict in verdicts) else REFUSED


def _named(names: Sequence[str]) -> Sequence[ReadModel]:
    from projections.registry import ALL_READ_MODELS

    known = {model.name: model for model in ALL_READ_MODELS}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise click.UsageError(f"no read model {unknown[0]!r}; there are {', '.join(known)}")
    return [known[name] for name in dict.fromkeys(names)] if names else ALL_READ_MODELS


@contextmanager
def _progress(quiet: bool) -> Iterator[Tell]:
    """A bar on the terminal, for people who wait."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    from errata.verification import Stage

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    hidden = quiet or not console.is_terminal
    with Progress(
        *columns, TimeRemainingColumn(), console=console, transient=True, disable=hidden
    ) as bar:
        task = bar.add_task("folding the log")

        def tell(stage: Stage) -> None:
            what = f"comparing {stage.comparing}" if stage.comparing else "folding the log"
            bar.update(task, description=what, completed=stage.position, total=stage.target)

        yield tell


def _as_json(verdict: Verdict) -> dict[str, object]:
    import msgspec

    return msgspec.structs.asdict(verdict) | {"equal": verdict.equal}


def _print(verdicts: Sequence[Verdict]) -> None:
    rows = [
        (
            f"{one.read_model}.v{one.version}",
            f"{one.position:,}",
            f"{one.keys:,}",
            "equal" if one.equal else _differing(one),
        )
        for one in verdicts
    ]
    print_table(("Read model", "Position", "Keys", "Compared with the log"), rows)
    wrong = [one for one in verdicts if not one.equal]
    for one in wrong:
        click.echo(f"\n{one.read_model}:")
        for finding in one.findings:
            click.echo(f"  {_line(finding)}")
        if one.different > len(one.findings):
            click.echo("  ...")
    if wrong:
        names = " ".join(one.read_model for one in wrong)
        say(f"\nNot what the log says. `errata rebuild {names}` builds it again.")


def _differing(verdict: Verdict) -> str:
    least = "" if verdict.complete else "at least "
    return f"{least}{verdict.different:,} different"


def _line(finding: Finding) -> str:
    where = finding.key if finding.field is None else f"{finding.key}  {finding.field}"
    if finding.found is None:
        what = f"is missing, expected {finding.expected}"
    elif finding.expected is None:
        what = f"is {finding.found}, and should not be there"
    else:
        what = f"is {finding.found}, expected {finding.expected}"
    return f"{where}  {what}{_since(finding)}"


def _since(finding: Finding) -> str:
    if finding.since is not None:
        return f"; wrong since position {finding.since:,}"
    if finding.last_event is not None:
        return f"; its last event is at position {finding.last_event:,}"
    return ""
