"""Random edits: what people of a trading company change all day. Each gives fields that differ from before."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Final

from app.sandbox.zoho.contacts import CURRENCIES, USD_IN_IQD
from app.sandbox.zoho.vocabulary import TERMS

if TYPE_CHECKING:
    from app.sandbox.zoho.chance import Chance
    from app.sandbox.zoho.contract import Module
    from app.sandbox.zoho.wire import Data

__all__ = ["number_of", "random_fields"]

Drawer = Callable[["Data", "Chance"], "Data"]


def random_fields(module: Module, data: Data, rng: Chance) -> Data:
    """Fields of a random edit of a record of ``module``."""
    drawers = _ITEM_EDITS if module == "items" else _CONTACT_EDITS
    return rng.choice(drawers)(data, rng)


def number_of(value: object) -> Decimal:
    """The number a field holds; 0 where it holds none (an empty string, nothing)."""
    try:
        return Decimal(str(value).strip() or "0")
    except InvalidOperation:
        return Decimal(0)


def _price(data: Data, rng: Chance) -> Data:
    return {"rate": (number_of(data.get("rate")) + 250 * rng.randint(1, 12)).quantize(Decimal("1.00"))}


def _stock(data: Data, rng: Chance) -> Data:
    if data.get("product_type") == "service":
        return _price(data, rng)
    moved = rng.choice((-1, 1)) * rng.randint(1, 20)
    names = ("stock_on_hand", "available_stock", "actual_available_stock")
    return {name: (number_of(data.get(name)) + moved).quantize(Decimal("1.00")) for name in names}


def _item_name(data: Data, rng: Chance) -> Data:
    return {"name": _renamed(data["name"], rng)}


def _description(_data: Data, rng: Chance) -> Data:
    return {"description": f"{rng.choice(('Checked', 'تم التدقيق'))} {rng.randint(1000, 9999)}"}


def _status(data: Data, _rng: Chance) -> Data:
    return {"status": "inactive" if data["status"] == "active" else "active"}


def _contact_name(data: Data, rng: Chance) -> Data:
    return {"contact_name": _renamed(data["contact_name"], rng)}


def _renamed(name: str, rng: Chance) -> str:
    return f"{name.partition(' / rev')[0]} / rev {rng.randint(1000, 9999)}"


def _receivable(data: Data, rng: Chance) -> Data:
    usd = data["currency_code"] == "USD"
    exact, step, rate = (Decimal("1.00"), 1, USD_IN_IQD) if usd else (Decimal("1.000"), 250, Decimal(1))
    amount = (number_of(data.get("outstanding_receivable_amount")) + step * rng.randint(1, 900)).quantize(exact)
    return {
        "outstanding_receivable_amount": amount,
        "outstanding_receivable_amount_bcy": (amount * rate).quantize(Decimal("1.000")),
    }


def _credit_limit(data: Data, rng: Chance) -> Data:
    digits = CURRENCIES[data["currency_code"]]["price_precision"]
    raised = number_of(data.get("credit_limit")) + 1_000 * rng.randint(1, 9)
    return {"credit_limit": raised.quantize(Decimal(1).scaleb(-digits))}


def _terms(data: Data, rng: Chance) -> Data:
    days, label = rng.choice([term for term in TERMS if term[0] != data.get("payment_terms")])
    return {"payment_terms": days, "payment_terms_label": label}


def _address(data: Data, rng: Chance) -> Data:
    address = {**data["billing_address"], "address": f"شارع {rng.randint(1, 99)}, Bldg. {rng.randint(100, 999)}"}
    return {"billing_address": {**address, "city": "Baghdad", "country": "Iraq"}}


def _mobile(data: Data, rng: Chance) -> Data:
    if not data.get("contact_persons"):
        return _address(data, rng)
    first, *rest = data["contact_persons"]
    return {"contact_persons": [{**first, "mobile": f"+964 770 {rng.randint(1_000_000, 9_999_999)}"}, *rest]}


_ITEM_EDITS: Final[tuple[Drawer, ...]] = (_price, _price, _stock, _stock, _stock, _item_name, _description, _status)
_CONTACT_EDITS: Final[tuple[Drawer, ...]] = (
    _receivable,
    _receivable,
    _contact_name,
    _credit_limit,
    _terms,
    _address,
    _mobile,
    _status,
)
