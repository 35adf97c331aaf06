"""Alembic's environment: the runner hands in an open connection, or prints SQL for somebody else to run."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection, text

import app.core.events.models
import app.core.models
import app.erp.models
import app.tds.models  # noqa: F401 - the four imports fill the metadata
from app.core.orm import Base


def _run(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=Base.metadata, compare_server_default=False)
    with context.begin_transaction():
        # One migrator at a time: the lock is the transaction's, so that it also holds behind a pooler.
        connection.execute(text("SET LOCAL lock_timeout = '5s'"))
        connection.execute(text("SET LOCAL statement_timeout = '10min'"))
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('tds.migrations'))"))
        context.run_migrations()


_run(context.config.attributes["connection"])
