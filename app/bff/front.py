"""What the routes are given, and how a list becomes an answer."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any, TypeVar

from fastapi import Request, Response
from pydantic import BaseModel, TypeAdapter
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.bff.cache import View, ViewCache
from app.bff.pages import Page, cut
from app.core.database import join_or_begin
from app.tds.api.desk import Desk
from app.tds.core.dead_letter_service import DeadLetterService
from app.tds.core.steering import Steering

__all__ = ["Front", "as_view", "database_now", "linked"]

V = TypeVar("V", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """What a person's orders need, and the cache of what they look at."""

    desk: Desk
    cache: ViewCache
    zone: tzinfo

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[AsyncSession]:
        """A session in one transaction: what is read belongs together."""
        async with self.desk.database.session() as session, join_or_begin(session):
            yield session

    @asynccontextmanager
    async def steering(self) -> AsyncGenerator[Steering]:
        """Runs and pauses."""
        async with self.desk.database.session() as session:
            yield Steering(session, self.desk.sources)

    @asynccontextmanager
    async def letters(self) -> AsyncGenerator[DeadLetterService]:
        """Dead letters."""
        async with self.desk.database.session() as session:
            yield DeadLetterService(session, self.desk.sources, self.desk.applier)


async def database_now(session: AsyncSession) -> datetime:
    """The database's clock, by which everything is stamped."""
    async with join_or_begin(session):
        return (await session.execute(select(func.now()))).scalar_one()


def as_view(adapter: TypeAdapter[Any], body: object, link: str | None = None) -> View:
    """An answer as the cache keeps it."""
    return View(adapter.dump_json(body, by_alias=True), link)


def linked(request: Request, response: Response, found: Sequence[Any], limit: int) -> Sequence[Any]:
    """The rows of a page that was read one entry further than it goes; the next page's address goes into ``Link``."""
    page: Page[Any] = cut(request, found, limit)
    if page.link is not None:
        response.headers["Link"] = page.link
    return page.rows
