"""Alembic's environment: the runner hands in an open connection, or prints SQL for somebody else to run."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection, text

from app.core import models as kernel_models
from app.core.events import models as event_models
from app.core.orm import Base
from app.erp import models as erp_models
from app.tds import models as tds_models

TABLES = (event_models, kernel_models, erp_models, tds_models)
"""Imported for what importing them does: it fills the metadata."""


def _run(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=Base.metadata, compare_server_default=False)
    with context.begin_transaction():
        # One migrator at a time: the lock is the transaction's, so that it also holds behind a pooler.
        connection.execute(text("SET LOCAL lock_timeout = '5s'"))
        connection.execute(text("SET LOCAL statement_timeout = '10min'"))
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('tds.migrations'))"))
        context.run_migrations()


_run(context.config.attributes["connection"])
