"""PostgreSQL through SQLAlchemy and asyncpg: the engine, its sessions, and who commits.

Who commits: a service takes the caller's ``AsyncSession`` and works inside ``join_or_begin``. In a transaction that
the caller opened it joins, and the caller commits; otherwise each call is a transaction of its own.

A session of ours never shows yesterday's row: each ORM select refreshes the objects it finds in the session
(``populate_existing``), after pending changes were flushed. SQLAlchemy would hand out the first state for ever.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit, urlunsplit
from uuid import uuid4

import orjson
from sqlalchemy import NullPool, event, func, select
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import ORMExecuteState, Session

from app.core.config import DatabaseSettings
from app.core.driver import AUTOCOMMIT
from app.core.errors import ConfigurationError
from app.core.orm import to_json
from app.core.telemetry import get_logger

__all__ = ["Database", "configure", "default_database", "get_async_db", "join_or_begin"]

_log = get_logger(__name__)

_SCHEMES: Final = frozenset({"postgresql", "postgres", "postgresql+asyncpg"})
_LIBPQ_ONLY: Final = frozenset(
    {"channel_binding", "gssencmode", "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count"}
)
"""Parameters of libpq that asyncpg would send on to the server, which would refuse them as unknown settings."""

_JOINED: Final = "tds_joined"
"""Key in ``Session.info``: a service joined a transaction that somebody else must commit."""


class _FreshSession(Session):
    """A session whose selects refresh what they find in the identity map."""


@event.listens_for(_FreshSession, "do_orm_execute")
def _select_fresh(state: ORMExecuteState) -> None:
    if not state.is_select or state.is_column_load or state.is_relationship_load:
        return
    flushes_first = state.session.autoflush and state.execution_options.get("autoflush", True)
    if flushes_first and "populate_existing" not in state.execution_options:
        state.update_execution_options(populate_existing=True)


class Database:
    """One PostgreSQL database: an engine with its pool, and sessions on it. Connects when first used.

    Args:
        url: ``postgresql://``, ``postgres://`` or ``postgresql+asyncpg://``, with libpq's parameters
            (``?host=/socket/dir``, ``sslmode``, ``sslrootcert``, ``target_session_attrs``, ...).
        settings: pool and statement cache. ``statement_cache`` 0 is for PgBouncer in transaction mode: no statement
            outlives its transaction, and no server settings are sent, which PgBouncer would refuse: set ``jit``,
            timeouts and keepalives for the role then.

    Raises:
        ConfigurationError: the URL is none of PostgreSQL.
    """

    def __init__(self, url: str, settings: DatabaseSettings) -> None:
        arguments = _connect_arguments(url, settings)
        self.engine: AsyncEngine = create_async_engine(
            "postgresql+asyncpg://",
            connect_args=arguments,
            pool_size=settings.pool_size,
            max_overflow=0,
            pool_timeout=settings.pool_timeout,
            pool_use_lifo=True,
            json_serializer=to_json,
            json_deserializer=orjson.loads,
        )
        event.listen(self.engine.sync_engine, "checkout", _refuse_closed)
        # For what keeps a connection as long as the process lives (LISTEN): it must not take one from the pool.
        self.unpooled: AsyncEngine = create_async_engine(
            "postgresql+asyncpg://", connect_args=arguments, poolclass=NullPool
        )
        self.sessions: async_sessionmaker[AsyncSession] = async_sessionmaker(
            self.engine, sync_session_class=_FreshSession, expire_on_commit=False
        )
        self._shares_connections = settings.statement_cache == 0
        self._single = async_sessionmaker(self.engine.execution_options(isolation_level="AUTOCOMMIT"))

    @asynccontextmanager
    async def session(self) -> AsyncGenerator[AsyncSession]:
        """A session that is rolled back and closed at the end; commit is up to its user."""
        async with self.sessions() as session:
            yield session

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[AsyncSession]:
        """A session inside a transaction: committed at the end, rolled back on an error."""
        async with self.sessions.begin() as session:
            yield session

    @asynccontextmanager
    async def single(self) -> AsyncGenerator[AsyncSession]:
        """A session whose statements are a transaction each, committed when it returns: one round trip, not three.

        Behind PgBouncer it is a transaction: outside of one, a statement may be prepared on one connection of the
        server and carried out on another.
        """
        if self._shares_connections:
            async with self.transaction() as session:
                yield session
            return
        async with self._single() as session:
            session.info[AUTOCOMMIT] = True
            yield session

    async def dispose(self) -> None:
        """Close the pool's connections; the next use opens new ones."""
        await self.engine.dispose()


def _connect_arguments(url: str, settings: DatabaseSettings) -> dict[str, Any]:
    """What asyncpg and its dialect are given. The URL is parsed by asyncpg, which knows libpq's parameters."""
    dsn, timeout = _asyncpg_dsn(url)
    arguments: dict[str, Any] = {
        "dsn": dsn,
        "statement_cache_size": settings.statement_cache,
        "prepared_statement_cache_size": settings.statement_cache,
        "command_timeout": settings.statement_seconds,
        "server_settings": {"application_name": settings.application_name},
    }
    if settings.statement_cache == 0:
        arguments["prepared_statement_name_func"] = _unique_name
    else:
        arguments["server_settings"] |= _server_settings(settings)
    return arguments if timeout is None else arguments | {"timeout": timeout}


def _server_settings(settings: DatabaseSettings) -> dict[str, str]:
    """What PgBouncer would refuse: no JIT for short statements, and an end to connections that fell silent.

    And no scans of whole tables: a plan that was made while a month's partition was small would be kept, and read the
    whole partition for each batch, until somebody analyses it. Without an index to use, a scan happens all the same.
    """
    idle = f"{int(settings.idle_transaction_seconds * 1000)}ms"
    return {
        "jit": "off",
        "enable_seqscan": "off",
        "idle_in_transaction_session_timeout": idle,
        "tcp_keepalives_idle": "10",
        "tcp_keepalives_interval": "5",
        "tcp_keepalives_count": "3",
        "tcp_user_timeout": idle,
    }


def _asyncpg_dsn(url: str) -> tuple[str, float | None]:
    """The URL as asyncpg wants it, and libpq's ``connect_timeout`` in seconds, which asyncpg takes apart from it."""
    parts = _parts(url)
    if parts.scheme not in _SCHEMES:
        raise ConfigurationError("the database URL must start with postgresql:// (TDS runs on PostgreSQL only)")
    query = dict(parse_qsl(parts.query))
    timeout = _seconds(query.pop("connect_timeout", "0"))
    kept = urlencode({name: value for name, value in query.items() if name not in _LIBPQ_ONLY})
    return urlunsplit(("postgresql", parts.netloc, parts.path, kept, "")), timeout


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise ConfigurationError(f"TDS_DATABASE_URL cannot be read: {error}") from error
    return parts


def _seconds(text: str) -> float | None:
    """Libpq takes nought and less as "wait for ever"; there asyncpg's own limit holds."""
    try:
        return float(text) if float(text) > 0 else None
    except ValueError as error:
        raise ConfigurationError(f"connect_timeout in the database URL is {text!r}, not a number of seconds") from error


def _unique_name() -> str:
    """Two clients of PgBouncer may come upon the same server connection: names must never meet."""
    return f"__tds_{uuid4().hex}__"


def _refuse_closed(connection: Any, record: object, proxy: object) -> None:
    """Replace a pooled connection that the server closed meanwhile. Looks at the socket only: no round trip."""
    del record, proxy
    if connection.driver_connection.is_closed():
        raise DisconnectionError("the server closed this connection")


@asynccontextmanager
async def join_or_begin(session: AsyncSession) -> AsyncGenerator[AsyncSession]:
    """Work inside the caller's transaction, or, if there is none, inside one of its own.

    Joined: changes are flushed at the end, so that their errors come up here, and the caller commits. Own: committed
    at the end, rolled back on an error; no transaction stays open, and objects the caller holds stay loaded even where
    its session expires them on commit.
    """
    if not session.in_transaction():
        async with _own_transaction(session):
            yield session
        return
    session.info[_JOINED] = True
    yield session
    await session.flush()


@asynccontextmanager
async def _own_transaction(session: AsyncSession) -> AsyncGenerator[None]:
    sync_session = session.sync_session
    expires = sync_session.expire_on_commit
    sync_session.expire_on_commit = False
    try:
        async with session.begin():
            yield
    finally:
        sync_session.expire_on_commit = expires


class _Default:
    """The database of this process, named once by the composition root."""

    database: Database | None = None


def configure(database: Database | None) -> None:
    """Make ``database`` what ``get_async_db`` uses; None takes it away again."""
    _Default.database = database


def default_database() -> Database:
    """The database given to ``configure``.

    Raises:
        ConfigurationError: none was.
    """
    if _Default.database is None:
        raise ConfigurationError("no database is configured: call app.core.database.configure(Database(...)) first")
    return _Default.database


async def get_async_db() -> AsyncIterator[AsyncSession]:
    """FastAPI dependency: a session of the default database, closed after the reply.

    It never commits: FastAPI would do so after the reply was sent, when a failing COMMIT can no longer be told to
    anybody. Whoever opens a transaction commits it inside the endpoint.
    """
    async with default_database().session() as session:
        yield session
        await _warn_if_uncommitted(session)


async def _warn_if_uncommitted(session: AsyncSession) -> None:
    """Tell of writes that a service left to its caller and that are now rolled back with the session."""
    if not session.info.get(_JOINED) or not session.in_transaction():
        return
    try:
        transaction_id = await session.scalar(select(func.pg_current_xact_id_if_assigned()))
    except DBAPIError:  # the transaction has failed already, which its user was told
        return
    if transaction_id is not None:
        _log.warning("session_closed_uncommitted", transaction_id=str(transaction_id))
