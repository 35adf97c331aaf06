"""One bounded exchange."""

from __future__ import annotations

import httpx2
import pytest

from app.tds.core.errors import SourceUnavailableError
from app.tds.sources.zoho.transport import Transport


def client_of(body: bytes) -> httpx2.AsyncClient:
    """A client whose peer always answers with ``body``."""
    return httpx2.AsyncClient(transport=httpx2.MockTransport(lambda _: httpx2.Response(200, content=body)))


class TestSend:
    """Sending."""

    async def test_reads_up_to_the_limit(self) -> None:
        """An answer of exactly the greatest size is whole."""
        answer = await Transport(client_of(b"x" * 1000), max_bytes=1000).send("GET", "http://peer/")
        assert (answer.status, len(answer.body)) == (200, 1000)

    async def test_refuses_one_byte_more(self) -> None:
        """A larger one is not read on."""
        with pytest.raises(SourceUnavailableError, match="more than 1000 bytes"):
            await Transport(client_of(b"x" * 1001), max_bytes=1000).send("GET", "http://peer/")


class TestAclose:
    """Closing."""

    async def test_leaves_a_given_client_open(self) -> None:
        """Who made a client closes it."""
        client = client_of(b"")
        await Transport(client).aclose()
        assert not client.is_closed
        await client.aclose()

    async def test_may_be_called_before_anything_was_opened(self) -> None:
        """Nothing was made, so there is nothing to close, twice."""
        transport = Transport()
        await transport.aclose()
        await transport.aclose()
