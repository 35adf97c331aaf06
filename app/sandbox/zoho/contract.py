"""The bodies of the control API, used by both of its ends.

Every model refuses unknown keys. A switch of ``SendSwitches`` is a probability: 0 never, 1 (or true) always.
Seconds are seconds; fractions are allowed.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = [
    "Action",
    "Attempt",
    "Behaviour",
    "Calls",
    "Change",
    "ChangeRequest",
    "Contract",
    "Delivery",
    "Edit",
    "Event",
    "FaultKind",
    "FaultRule",
    "Limits",
    "Module",
    "RecordCounts",
    "SendSwitches",
    "SettleRequest",
    "Settled",
    "State",
    "TokenRules",
    "WebhookCounts",
    "WebhookRules",
]

Module = Literal["items", "contacts"]
Event = Literal["created", "updated", "deleted"]
Action = Literal["create", "update", "delete", "resend"]
DeliveryState = Literal["pending", "delivered", "failed", "dropped"]
SignatureKind = Literal["good", "wrong", "none"]
FaultKind = Literal[
    "rate_limited",
    "server_error",
    "html",
    "slow",
    "cut",
    "truncated",
    "wrong_content_type",
    "error_200",
    "unauthorized",
    "not_found",
    "token_throttled",
    "token_error",
]

Probability = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0)]


class Contract(BaseModel):
    """Base of all bodies."""

    model_config = ConfigDict(extra="forbid")


class SendSwitches(Contract):
    """How a webhook is sent, each with its probability.

    ``duplicate`` sends it twice; ``delay`` holds it ``delay_seconds``; ``reorder`` holds it until a later one of the
    same record has been delivered, ``hold_seconds`` of the webhook rules at most; ``drop`` never sends it;
    ``numeric_id`` writes the id as a JSON number; ``form`` sends a form body with the JSON in ``JSONString``;
    ``invalid`` sends a genuinely signed body no mapping can accept; ``wrong_signature`` and ``unsigned`` are forgeries.
    """

    duplicate: Probability = 0
    delay: Probability = 0
    delay_seconds: Seconds = 1
    reorder: Probability = 0
    drop: Probability = 0
    numeric_id: Probability = 0
    form: Probability = 0
    invalid: Probability = 0
    wrong_signature: Probability = 0
    unsigned: Probability = 0


def _queries() -> dict[Event, str]:
    return {"created": "event=updated", "updated": "event=updated", "deleted": "event=deleted"}


class WebhookRules(Contract):
    """The workflow rules of the organisation. Nothing is sent while ``url`` is None.

    ``url`` may hold ``{module}`` (items, contacts) and ``{event}``; the query template of the event, with the same
    placeholders, is added to it and takes part in the signature. Without a secret nothing is signed.
    A delivery is tried ``max_attempts`` times, ``retry_seconds`` apart, doubling; any 2xx ends it. ``send`` and
    ``queries`` are replaced whole.
    """

    url: str | None = None
    secret: Annotated[str, Field(pattern=r"^[A-Za-z0-9]{12,50}$")] | None = None
    queries: dict[Event, str] = Field(default_factory=_queries)
    items: bool = True
    customers: bool = True
    vendors: bool = False
    contact_key: Literal["contact", "customer"] = "contact"
    max_attempts: int = Field(default=4, ge=1, le=20)
    retry_seconds: Seconds = 0.5
    timeout_seconds: Annotated[float, Field(gt=0)] = 15
    hold_seconds: Seconds = 2
    concurrency: int = Field(default=8, ge=1, le=200)
    send: SendSwitches = Field(default_factory=SendSwitches)


class Attempt(Contract):
    """One try of a delivery: the receiver's status and the start of its answer, or the error of the connection."""

    at: str
    seconds: float
    status: int | None = None
    answer: str = ""
    error: str | None = None


class Delivery(Contract):
    """One webhook: what was sent, as bytes on the wire, and what the receiver answered."""

    id: int
    module: Module
    record_id: str
    event: Event
    queued_at: str
    url: str
    content_type: str
    body: str
    signature: str | None
    signature_kind: SignatureKind
    switches: list[str]
    state: DeliveryState = "pending"
    attempts: list[Attempt] = Field(default_factory=list[Attempt])


class Edit(Contract):
    """An exact edit. ``update`` without fields draws one; ``create`` overlays fields on a made-up record.

    ``touch`` false changes the record without its last_modified_time and without a webhook, as stock moves may.
    ``resend`` sends the current state once more.
    """

    action: Action
    module: Module
    id: str | None = None
    fields: dict[str, Any] = Field(default_factory=dict)
    touch: bool = True
    webhook: bool = True
    send: SendSwitches | None = None


class ChangeRequest(Contract):
    """``edits`` in their order, then ``count`` random changes by the weights over ``modules``.

    Without ``seed`` the draws go on from those before. ``send`` overrides the switches of the webhook rules.
    """

    edits: list[Edit] = Field(default_factory=list[Edit])
    count: int = Field(default=0, ge=0, le=1_000_000)
    seed: int | None = None
    create: Seconds = 1
    update: Seconds = 8
    delete: Seconds = 1
    modules: list[Module] = Field(default_factory=lambda: ["items", "contacts"], min_length=1)
    webhook: bool = True
    send: SendSwitches | None = None

    @model_validator(mode="after")
    def _can_be_drawn(self) -> ChangeRequest:
        if self.count and not self.create + self.update + self.delete:
            raise ValueError("count needs a weight above 0")
        return self


class Change(Contract):
    """What was done, and the ids of the deliveries it caused."""

    action: Action
    module: Module
    id: str
    last_modified_time: str
    deliveries: list[int]


class SettleRequest(Contract):
    """How long to wait for the last delivery."""

    timeout: Annotated[float, Field(ge=0, le=600)] = 10


class Settled(Contract):
    """Whether none is pending, and how many still are."""

    settled: bool
    pending: int


class FaultRule(Contract):
    """A fault for calls whose path matches, first rule first; ``slow`` lets later rules add to it.

    ``path`` is a shell pattern (``*`` crosses slashes). The token endpoint is meant only by patterns that begin with
    ``/oauth``. ``skip`` lets that many matching calls pass; ``count`` None goes on until cleared.

    ================== ==========================================================================================
    rate_limited       429 with ``code`` 43, 44, 45 or 1070 (default 44); ``retry_after`` sets the header
    server_error       ``status`` (500) with JSON code 1000
    html               ``status`` (503) with an HTML body
    slow               ``delay`` seconds, then the true answer
    cut                the connection ends after ``fraction`` of the true body
    truncated          a complete answer that holds ``fraction`` of the true body
    wrong_content_type the true body as text/html
    error_200          status 200 with ``code`` (1000)
    unauthorized       401 with ``code`` 57 or 14 (default 57)
    not_found          404 with code 1002
    token_throttled    ``status`` 400 or 200 (default 400), Access Denied; ``localised`` puts it in Chinese
    token_error        status 200 with ``error`` (invalid_code)
    ================== ==========================================================================================
    """

    kind: FaultKind
    path: str = "*"
    count: Annotated[int, Field(ge=0)] | None = None
    skip: Annotated[int, Field(ge=0)] = 0
    probability: Probability = 1
    code: int | None = None
    status: int | None = None
    retry_after: int | None = None
    delay: Seconds = 1
    fraction: Probability = 0.5
    error: str = "invalid_code"
    localised: bool = False
    fired: Annotated[int, Field(ge=0)] = 0


class Limits(Contract):
    """Limits of the organisation; None is off. Each answers 429.

    ``per_minute`` (code 44) and ``burst`` (code 43, then blocked for ``block_seconds``) count a rolling minute;
    ``daily`` (code 45) ends at midnight of the organisation; ``concurrency`` (code 1070) counts calls in process.
    ``headers`` false leaves out X-Rate-Limit-*, ``retry_after`` adds that header to codes 44, 45 and 1070.
    ``used_today`` starts the day with that many calls used.
    """

    per_minute: Annotated[int, Field(ge=0)] | None = None
    burst: Annotated[int, Field(ge=0)] | None = None
    block_seconds: Seconds = 3600
    daily: Annotated[int, Field(ge=0)] | None = None
    used_today: Annotated[int, Field(ge=0)] = 0
    concurrency: Annotated[int, Field(ge=0)] | None = None
    headers: bool = True
    retry_after: int | None = None


class TokenRules(Contract):
    """The token endpoint. ``throttle`` allows ``per_window`` access tokens a window and refresh token.

    ``revoked`` refuses the refresh token (and every access token) until it is false again. ``expire`` in a POST ends
    all live access tokens once; it always reads false.
    """

    lifetime_seconds: Seconds = 3600
    live_tokens: int = Field(default=15, ge=1)
    throttle: bool = False
    per_window: int = Field(default=10, ge=0)
    window_seconds: Seconds = 600
    throttle_status: Literal[200, 400] = 400
    revoked: bool = False
    expire: bool = False


class Behaviour(Contract):
    """Open questions about the real API, as switches.

    ``ignored_params`` names query parameters that are silently ignored, by ``product/resource`` (``inventory/items``).
    ``inclusive`` is whether the last_modified_time filter includes its own second; ``item_detail_times`` whether item
    details carry created_time and last_modified_time; ``reject_large_pages`` answers 400 to per_page above 200
    instead of clamping it.
    """

    ignored_params: dict[str, list[str]] = Field(default_factory=dict[str, list[str]])
    inclusive: bool = True
    item_detail_times: bool = True
    reject_large_pages: bool = False


class Calls(Contract):
    """Answers by ``METHOD /path`` (ids as ``{id}``) and status; a cut connection counts as ``cut``."""

    total: int
    peak_in_flight: int
    by_path: dict[str, dict[str, int]]


class RecordCounts(Contract):
    """Sizes of one module; customers and vendors are 0 for items."""

    total: int
    active: int
    inactive: int
    deleted: int
    customers: int = 0
    vendors: int = 0


class WebhookCounts(Contract):
    """Deliveries since the start."""

    pending: int
    delivered: int
    failed: int
    dropped: int


class State(Contract):
    """The sandbox at a glance, with all a client of it needs to be configured."""

    organization_id: str
    client_id: str
    client_secret: str
    refresh_token: str
    seed: int
    items: RecordCounts
    contacts: RecordCounts
    webhooks: WebhookCounts
    webhook_url: str | None
    faults: int
    calls: int
