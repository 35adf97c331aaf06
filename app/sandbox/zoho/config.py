"""What a sandbox is started with; everything else is switched over the control API."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["SandboxConfig"]


class SandboxConfig(BaseModel):
    """Sizes, seed and credentials of one made-up organisation.

    The credentials are made up and public: they open nothing but this sandbox. ``api_domain`` is what the token
    answers name; None is the address the request came in on.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    seed: int = 1
    products: int = Field(default=2200, ge=0, le=1_000_000)
    customers: int = Field(default=500, ge=0, le=1_000_000)
    organization_id: str = "748812345"
    client_id: str = "1000.SANDBOXCLIENT"
    client_secret: str = "sandbox-client-secret"
    refresh_token: str = "1000.sandbox.refresh"
    grant_code: str = "1000.sandbox.code"
    redirect_uri: str | None = None
    scope: str = "ZohoBooks.fullaccess.all,ZohoInventory.fullaccess.all"
    api_domain: str | None = None
    webhook_url: str | None = None
    webhook_secret: str | None = None
