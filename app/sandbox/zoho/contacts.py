"""Contacts: how customers and vendors are made up and how answers show them."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from app.sandbox.zoho import times
from app.sandbox.zoho.records import Draft, Record
from app.sandbox.zoho.vocabulary import CITIES, FIRMS, FIRST_NAMES, LAST_NAMES, STREETS, TERMS

if TYPE_CHECKING:
    from app.sandbox.zoho.chance import Chance
    from app.sandbox.zoho.contract import Module
    from app.sandbox.zoho.wire import Data

__all__ = ["CURRENCIES", "USD_IN_IQD", "ContactShape", "make_contact"]

USD_IN_IQD: Final = Decimal(1310)
CURRENCIES: Final[dict[str, Data]] = {
    "IQD": {
        "currency_id": "481500000000000097",
        "currency_code": "IQD",
        "currency_name": "IQD- Iraqi Dinar",
        "currency_symbol": "IQD",
        "price_precision": 3,
        "currency_format": "1,234,567.899",
        "is_base_currency": True,
    },
    "USD": {
        "currency_id": "481500000000000099",
        "currency_code": "USD",
        "currency_name": "USD- United States Dollar",
        "currency_symbol": "$",
        "price_precision": 2,
        "currency_format": "1,234,567.89",
        "is_base_currency": False,
        "exchange_rate": Decimal("1310.000000"),
        "effective_date": "2025-06-01",
    },
}
_DETAIL_ONLY: Final = frozenset(
    {
        "credit_limit",
        "notes",
        "billing_address",
        "shipping_address",
        "contact_persons",
        "currency_symbol",
        "primary_contact_id",
        "contact_number",
    }
)
_PRIMARY_FIELDS: Final = ("first_name", "last_name", "email", "phone", "mobile")


def make_contact(rng: Chance, number: int, contact_type: str, person_id: str) -> Draft:
    """Customer or vendor number ``number``, without awkward values."""
    firm_en, firm_ar = rng.choice(FIRMS)
    city_en, city_ar, _ = city = rng.choice(CITIES)
    arabic = rng.random() < 0.45
    name = f"شركة {firm_ar} للتجارة العامة - {city_ar} {number}" if arabic else f"{firm_en} Trading {city_en} {number}"
    days, label = rng.choice(TERMS)
    person = _person(rng, number, person_id)
    data: Data = {
        "contact_name": name,
        "company_name": rng.choice((name, firm_en, firm_ar)),
        "website": rng.choice(("", "", f"https://shop{number}.example.com")),
        "language_code": "ar" if arabic else "en",
        "contact_type": contact_type,
        "status": "active",
        "customer_sub_type": rng.choices(("business", "individual"), (4, 1))[0],
        "source": "user",
        "is_linked_with_zohocrm": False,
        "payment_terms": days,
        "payment_terms_id": "",
        "payment_terms_label": label,
        **_money(rng, contact_type),
        "portal_status": "disabled",
        "has_attachment": False,
        "contact_number": f"CUS-{number:05d}",
        "primary_contact_id": person_id,
        "notes": rng.choice(("", "Pays in cash", "يدفع نهاية الشهر")),
        "billing_address": _address(rng, city),
        "shipping_address": _address(rng, rng.choice((city, rng.choice(CITIES)))),
        "contact_persons": [person],
        "custom_fields": [],
    }
    return Draft(data)


def _money(rng: Chance, contact_type: str) -> Data:
    currency = "USD" if rng.random() < (0.8 if contact_type == "vendor" else 0.3) else "IQD"
    exact, rate, step = (Decimal("1.00"), USD_IN_IQD, 1) if currency == "USD" else (Decimal("1.000"), Decimal(1), 250)

    def amount(top: int, share: float) -> Decimal:
        return (Decimal(rng.randint(0, top) * step) if rng.random() < share else Decimal(0)).quantize(exact)

    customer = contact_type == "customer"
    receivable, payable = (amount(9_000, 0.5), amount(0, 0)) if customer else (amount(0, 0), amount(20_000, 0.7))
    credits_ = amount(400, 0.1)
    base = Decimal("1.000")
    return {
        "currency_id": CURRENCIES[currency]["currency_id"],
        "currency_code": currency,
        "currency_symbol": CURRENCIES[currency]["currency_symbol"],
        "credit_limit": amount(40_000, 0.6),
        "outstanding_receivable_amount": receivable,
        "outstanding_receivable_amount_bcy": (receivable * rate).quantize(base),
        "outstanding_payable_amount": payable,
        "outstanding_payable_amount_bcy": (payable * rate).quantize(base),
        "unused_credits_receivable_amount": credits_,
        "unused_credits_receivable_amount_bcy": (credits_ * rate).quantize(base),
        "unused_credits_payable_amount": Decimal("0.00"),
        "unused_credits_payable_amount_bcy": Decimal("0.000"),
    }


def _address(rng: Chance, city: tuple[str, str, str]) -> Data:
    english, arabic, zip_code = city
    street_en, street_ar = rng.choice(STREETS)
    in_arabic = rng.random() < 0.5
    return {
        "attention": "",
        "address": f"{street_ar}، بناية {rng.randint(1, 90)}" if in_arabic else f"{street_en} {rng.randint(1, 90)}",
        "street2": rng.choice(("", "Floor 2", "قرب المصرف")),
        "state_code": "",
        "city": arabic if in_arabic else english,
        "state": arabic if in_arabic else english,
        "zip": rng.choice(("", zip_code)),
        "country": "العراق" if in_arabic else "Iraq",
        "fax": "",
        "phone": rng.choice(("", _phone(rng))),
    }


def _person(rng: Chance, number: int, person_id: str) -> Data:
    script = rng.randint(0, 1)
    first, last = rng.choice(FIRST_NAMES), rng.choice(LAST_NAMES)
    return {
        "contact_person_id": person_id,
        "salutation": rng.choice(("", "Mr.", "Mrs.", "السيد")),
        "first_name": first[script],
        "last_name": last[script],
        "email": rng.choice(("", f"{first[0].lower()}{number}@example.com")),
        "phone": "",
        "mobile": _phone(rng),
        "designation": rng.choice(("", "Owner", "مدير المشتريات")),
        "department": "",
        "skype": "",
        "is_primary_contact": True,
        "communication_preference": {"is_sms_enabled": False, "is_whatsapp_enabled": False},
        "enable_portal": False,
    }


def _phone(rng: Chance) -> str:
    return f"+964 7{rng.choice('5789')}{rng.randint(0, 9)} {rng.randint(100, 999)} {rng.randint(1000, 9999)}"


class ContactShape:
    """Rows name the primary person and have no addresses or persons; details have them and not the person's fields."""

    module: Module = "contacts"
    id_field = "contact_id"
    name_field = "contact_name"
    detail_key = "contact"

    def row(self, record: Record) -> Data:
        """A row of the list."""
        data = record.data
        shown = {key: value for key, value in data.items() if key not in _DETAIL_ONLY}
        return {
            **_head(record),
            **shown,
            "contact_type_formatted": f"{data['contact_type'].capitalize()}s",
            **_primary_fields(data),
            "portal_status_formatted": "Disabled",
            "track_1099": False,
            **_times(record, displayed=True),
            "custom_field_hash": {},
            "contactperson_custom_fields": [],
            "tags": [],
            "ach_supported": False,
        }

    def detail(self, record: Record) -> Data:
        """The object of a detail call and of a webhook."""
        return {
            **_head(record),
            **record.data,
            "has_transaction": bool(record.data.get("outstanding_receivable_amount")),
            "is_taxable": False,
            "tax_id": "",
            "tax_name": "",
            "tax_percentage": "",
            "facebook": "",
            "twitter": "",
            "payment_reminder_enabled": True,
            "default_templates": {"invoice_template_id": "", "statement_template_id": "481500000000000101"},
            **_times(record),
        }


def _head(record: Record) -> Data:
    name = record.data["contact_name"]
    return {"contact_id": record.id, "contact_name": name, "customer_name": name, "vendor_name": name}


def _times(record: Record, *, displayed: bool = False) -> Data:
    moments = {"created_time": record.created}
    if record.timed:
        moments["last_modified_time"] = record.modified
    stamps: Data = {name: times.stamp(moment) for name, moment in moments.items()}
    if displayed:
        stamps |= {f"{name}_formatted": times.stamp_display(moment) for name, moment in moments.items()}
    return stamps


def _primary_fields(data: Data) -> Data:
    persons: list[Data] = data.get("contact_persons") or []
    primary = next((person for person in persons if person.get("is_primary_contact")), None)
    return {name: primary.get(name, "") if primary else "" for name in _PRIMARY_FIELDS}
