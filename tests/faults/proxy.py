"""A wire between a client and PostgreSQL that can be cut at the worst moments.

It listens on a port of its own and passes bytes on to the server's unix socket. Armed, it watches
the client's bytes for COMMIT, and cuts that link once:

- "before": COMMIT never reaches the server;
- "after": the server gets COMMIT, its answer is lost;
- "reply": the server's answer is on its way, and breaks off in the middle;
- "anywhere": the link breaks after so many pieces of the client's bytes, wherever that is.

After a cut it lets nobody in for `away` seconds.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from dataclasses import dataclass
from time import monotonic
from typing import Literal, Self

from psycopg.conninfo import conninfo_to_dict, make_conninfo

CutPoint = Literal["before", "after", "reply", "anywhere"]
CUT_POINTS: tuple[CutPoint, ...] = ("before", "after", "reply", "anywhere")
_PIECE = 1 << 16
_COMMIT = b"COMMIT\x00"  # the whole statement, not the word in a comment of another one


@dataclass
class Cut:
    """Where to cut next, how many pieces pass before "anywhere", and how long to stay away."""

    point: CutPoint
    pieces: int = 0
    away: float = 0.0


class Proxy:
    """The wire, in a thread with an event loop of its own; use it as a context manager."""

    def __init__(self, database_url: str) -> None:
        self._server = f"{conninfo_to_dict(database_url)['host']}/.s.PGSQL.5432"
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.database_url = make_conninfo(
            database_url,
            host="127.0.0.1",
            port=self._listener.getsockname()[1],
            sslmode="disable",
            gssencmode="disable",
        )
        self.cuts = 0
        self._armed: Cut | None = None
        self._away_until = 0.0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        serving = asyncio.start_server(self._link, sock=self._listener)
        asyncio.run_coroutine_threadsafe(serving, self._loop).result(5)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def arm(self, cut: Cut) -> None:
        """Cut once, as told, at the next opportunity."""
        self._armed = cut

    async def _end(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _link(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        if monotonic() < self._away_until:
            to_client.transport.abort()
            return
        server, to_server = await asyncio.open_unix_connection(self._server)
        link = _Link(client, to_client, server, to_server)
        answers = asyncio.create_task(link.pass_answers())
        try:
            while piece := await client.read(_PIECE):
                cut = self._take(piece)
                if cut is not None:
                    await link.cut(cut.point, piece)
                    self._away_until = monotonic() + cut.away
                    break
                to_server.write(piece)
                await to_server.drain()
        except OSError:
            link.lost = True
        finally:
            answers.cancel()
            link.close()

    def _take(self, piece: bytes) -> Cut | None:
        """The armed cut, when its moment has come."""
        cut = self._armed
        if cut is None:
            return None
        if cut.point == "anywhere":
            cut.pieces -= 1
            due = cut.pieces < 0
        else:
            due = _COMMIT in piece
        if not due:
            return None
        self._armed = None
        self.cuts += 1
        return cut


class _Link:
    """One client's two streams."""

    def __init__(
        self,
        client: asyncio.StreamReader,
        to_client: asyncio.StreamWriter,
        server: asyncio.StreamReader,
        to_server: asyncio.StreamWriter,
    ) -> None:
        self.client = client
        self.lost = False
        self._to_client = to_client
        self._server = server
        self._to_server = to_server
        self._answer_due: asyncio.Event | None = None

    async def pass_answers(self) -> None:
        """Server to client, until either goes; a reply that is to break off does so here."""
        try:
            while piece := await self._server.read(_PIECE):
                if self._answer_due is not None:
                    self._to_client.write(piece[: len(piece) // 2])
                    self._answer_due.set()
                    return
                self._to_client.write(piece)
                await self._to_client.drain()
        except OSError:
            self.lost = True
        self._to_client.close()

    async def cut(self, point: CutPoint, piece: bytes) -> None:
        """Do what the cut point says with the piece that holds COMMIT."""
        if point in ("before", "anywhere"):
            return
        if point == "reply":
            self._answer_due = asyncio.Event()
        else:
            self._to_client.transport.abort()
        self._to_server.write(piece)
        await self._to_server.drain()
        if self._answer_due is not None:
            await self._answer_due.wait()

    def close(self) -> None:
        """Both ends are gone; what was forwarded arrives."""
        self._to_client.close()
        self._to_server.close()
