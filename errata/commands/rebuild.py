"""`errata rebuild`: read models built anew from the log, while they are read."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any
from uuid import UUID

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
    from collections.abc import Callable

    from infra.settings import Settings
    from projections.rebuilds import Rebuild
    from projections.versions import Standing

INDEX = "occurrences"
"""The read model in PostgreSQL, which this process rebuilds itself."""

_SHOWN_KEYS = 10


@click.command()
@click.argument("read_models", nargs=-1, metavar="[READ MODEL]...")
@click.option("--all", "every", is_flag=True, help="All read models.")
@click.option("--expect-same", is_flag=True, help="Stop where the new differs from the live one.")
@click.option("--rollback", is_flag=True, help="Make live again what was live before.")
@click.option("--cancel", type=click.UUID, metavar="ID", help="Give up a rebuild.")
@click.option("--list", "list_all", is_flag=True, help="Show versions and the last rebuilds.")
@click.option("--no-wait", is_flag=True, help="Only ask; a worker does it, now or once one runs.")
@data_dir_option
@json_option
def rebuild(
    read_models: tuple[str, ...],
    every: bool,
    expect_same: bool,
    rollback: bool,
    cancel: UUID | None,
    list_all: bool,
    no_wait: bool,
    data_dir: Path | None,
    as_json: bool,
) -> int:
    """Build read models anew from the log, beside the live ones, which are read meanwhile.

    The new ones are compared with the live ones, and the keys that differ are named; then they take
    their place, all at once. What they replaced is kept for an hour (REBUILD_KEEP_SECONDS), for
    --rollback. The work is done by a worker; Ctrl-C ends the watching, --cancel the rebuild.

    The index of occurrences, in PostgreSQL, comes last. It is rebuilt by this command itself, which
    Ctrl-C gives up; it is neither compared nor kept, and not part of --no-wait or --rollback.

    Exit code 1 when it was cancelled, has failed, or differs and --expect-same was given.

    \b
    Examples:
      errata rebuild --all
      errata rebuild error_groups stats --expect-same
      errata rebuild occurrences
      errata rebuild --rollback
      errata rebuild --list
    """
    from errata.asking import ask_for_rebuild, ask_for_rollback, ask_to_cancel, known

    if rollback and expect_same:
        raise click.UsageError("--expect-same is not for --rollback: nothing is compared.")
    names = _named(read_models, every=every, wanted=not (rollback or cancel or list_all))
    without = {"--rollback": rollback, "--expect-same": expect_same, "--no-wait": no_wait}
    names, index = _index_apart(names, [option for option, given in without.items() if given])
    with services(data_dir) as settings:
        if list_all:
            _print_known(*known(settings), as_json=as_json)
            return 0
        if cancel is not None:
            asked = ask_to_cancel(settings, cancel)
            return _carried_out(settings, lambda: asked, wait=not no_wait, as_json=as_json)
        if index and not names:
            return _index_alone(settings, as_json=as_json)
        ask = partial(ask_for_rebuild, settings, names, expect_same=expect_same)
        if rollback:
            ask = partial(ask_for_rollback, settings, names)
        return _carried_out(settings, ask, wait=not no_wait, as_json=as_json, index=index)


def _named(names: Sequence[str], *, every: bool, wanted: bool) -> Sequence[str]:
    from projections.registry import READ_MODELS

    known = [*(model.name for model in READ_MODELS), INDEX]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise click.UsageError(f"no read model {unknown[0]!r}; there are {', '.join(known)}.")
    if wanted and bool(names) == every:
        raise click.UsageError("name read models, or say --all.")
    return known if every else list(dict.fromkeys(names))


def _index_apart(names: Sequence[str], without: Sequence[str]) -> tuple[Sequence[str], bool]:
    """The read models in Redis, and whether the index is wanted too. It is left out where one of
    the options `without` it is given, and may then not stand alone."""
    in_redis = [name for name in names if name != INDEX]
    wanted = len(in_redis) < len(names)
    if wanted and without:
        if not in_redis:
            raise click.UsageError(f"{without[0]} is not for {INDEX}.")
        say(f"{INDEX} is left out: {without[0]} is not for it.")
    return in_redis, wanted and not without


def _index_alone(settings: Settings, *, as_json: bool) -> int:
    done = _rebuild_index(settings, quiet=as_json)
    if as_json:
        print_json({INDEX: done})
    return 0


def _rebuild_index(settings: Settings, *, quiet: bool) -> dict[str, Any]:
    """Rebuild the index of occurrences here; returns what became of it, as JSON shows it."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    from errata.index_rebuilding import rebuild_index

    console = Console(stderr=True)
    columns = (TextColumn("{task.description:<24}"), BarColumn(), TaskProgressColumn())
    said, hidden = TextColumn("{task.fields[said]}"), quiet or not console.is_terminal
    with Progress(*columns, said, console=console, disable=hidden) as bar:
        task, began = bar.add_task(INDEX, said=""), monotonic()

        def tell(position: int, target: int) -> None:
            rate = position / (monotonic() - began)
            bar.update(task, completed=position, total=target, said=f"{rate:,.0f} events/s")

        done = rebuild_index(settings, tell)
    if not quiet:
        rate = done.position / max(done.seconds, 0.1)
        at = f"at position {done.position:,}"
        say(f"{INDEX}: done in {done.seconds:.1f} s {at}, {rate:,.0f} events/s")
    return done._asdict()


def _carried_out(
    settings: Settings,
    ask: Callable[[], Rebuild],
    *,
    wait: bool,
    as_json: bool,
    index: bool = False,
) -> int:
    """Ask, and follow the rebuild to its end, and then rebuild the index; returns the exit code."""
    from msgspec import structs

    from errata.asking import progress, somebody_at_work

    if not wait:
        asked = ask()
        if as_json:
            print_json(asked)
        else:
            say(f"Asked for: rebuild {asked.id}.")
        return 0
    with somebody_at_work(settings) as own:
        found = asked = ask()
        if not as_json:
            say(f"Rebuild {asked.id}{', by this process' if own else ''}")
        with _bars(asked, quiet=as_json) as show:
            for found in progress(settings, asked):
                show(found)
    if not as_json:
        _print(found)
    done = found.state == "done"
    also = {INDEX: _rebuild_index(settings, quiet=as_json)} if index and done else {}
    if as_json:
        print_json(structs.asdict(found) | also)
    return 0 if done else REFUSED


@contextmanager
def _bars(asked: Rebuild, *, quiet: bool) -> Iterator[Callable[[Rebuild], None]]:
    """A bar for each read model; without a terminal, a line for each state."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    console = Console(stderr=True)
    state = None

    def tell_state(found: Rebuild) -> None:
        nonlocal state
        if found.state != state and not quiet:
            say(f"{found.state}: {found.position:,} of {found.target:,} events")
        state = found.state

    if quiet or not console.is_terminal:
        yield tell_state
        return
    columns = (TextColumn("{task.description:<24}"), BarColumn(), TaskProgressColumn())
    with Progress(*columns, TextColumn("{task.fields[said]}"), console=console) as bars:
        tasks = {part.name: bars.add_task(part.name, said="") for part in asked.read_models}

        def show(found: Rebuild) -> None:
            for part in found.read_models:
                bars.update(
                    tasks[part.name],
                    completed=part.position,
                    total=max(found.target, 1),
                    said=_pace(found),
                )

        yield show


def _pace(rebuild: Rebuild) -> str:
    rate = "" if rebuild.events_per_second is None else f"{rebuild.events_per_second:,.0f} events/s"
    left = "" if not rebuild.seconds_left else f"{rebuild.seconds_left:.0f} s left"
    return "  ".join(filter(None, [rebuild.state, rate, left]))


def _differences(count: int | None) -> str:
    if count is None:
        return "not compared"
    return "1 key differs" if count == 1 else f"{count:,} keys differ"


def _print(rebuild: Rebuild) -> None:
    rows = [
        (
            part.name,
            part.from_version,
            part.to_version,
            f"{part.position:,}",
            _differences(part.differences),
        )
        for part in rebuild.read_models
    ]
    print_table(("Read model", "From", "To", "Position", "Live and new"), rows)
    for part in rebuild.read_models:
        for key, what in part.differing[:_SHOWN_KEYS]:
            click.echo(f"  {part.name}: {key} was {what}")
        if (more := (part.differences or 0) - _SHOWN_KEYS) > 0:
            click.echo(f"  {part.name}: and {more:,} more")
    seconds = ""
    if rebuild.started_at and rebuild.finished_at:
        seconds = f" in {(rebuild.finished_at - rebuild.started_at).total_seconds():.1f} s"
    reason = f": {rebuild.reason}" if rebuild.reason else ""
    say(f"{rebuild.state.capitalize()}{seconds}{reason}")


def _print_known(standing: Standing, rebuilds: Sequence[Rebuild], *, as_json: bool) -> None:
    if as_json:
        print_json({"live": standing.active, "kept": standing.kept, "rebuilds": rebuilds})
        return
    kept = {name: f"v{one.version}" for name, one in standing.kept.items()}
    rows = [
        (name, f"v{version}", kept.get(name)) for name, version in sorted(standing.active.items())
    ]
    print_table(("Read model", "Live", "Kept"), rows)
    if rebuilds:
        click.echo("")
        print_table(
            ("Id", "Kind", "State", "Requested (UTC)", "By", "Read models", "Reason"),
            [
                (
                    *(one.id, one.kind, one.state, f"{one.requested_at:%Y-%m-%d %H:%M:%S}"),
                    *(one.requested_by, _names_of(one, every=standing.active.keys()), one.reason),
                )
                for one in rebuilds
            ],
        )


def _names_of(rebuild: Rebuild, *, every: Collection[str]) -> str:
    names = [part.name for part in rebuild.read_models]
    return "all" if len(names) == len(every) else ", ".join(names)
