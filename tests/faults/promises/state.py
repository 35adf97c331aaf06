"""P3: the local rows are the source's current records, and what the source has deleted is gone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tests.faults.expected import customer, customer_row, product
from tests.faults.promises.evidence import Entity, Evidence, Violation

__all__ = ["check_state"]

_PRODUCTS: Final = """
    SELECT entity.source_entity_id, erp.*
    FROM erp_products AS erp
    LEFT JOIN tds_entities AS entity ON entity.local_id = CAST(erp.id AS text) AND entity.entity_type = 'product'
"""
_CUSTOMERS: Final = """
    SELECT entity.source_entity_id, erp.*,
           (SELECT jsonb_object_agg(address.kind, to_jsonb(address)) FROM erp_customer_addresses AS address
            WHERE address.customer_id = erp.id)::text AS addresses,
           (SELECT jsonb_agg(to_jsonb(person) ORDER BY person.position) FROM erp_contact_persons AS person
            WHERE person.customer_id = erp.id)::text AS persons
    FROM erp_customers AS erp
    LEFT JOIN tds_entities AS entity ON entity.local_id = CAST(erp.id AS text) AND entity.entity_type = 'customer'
"""
_LEDGER: Final = "SELECT source_entity_id, deleted, local_id FROM tds_entities WHERE entity_type = $1"


async def check_state(evidence: Evidence) -> list[Violation]:
    """Each record has exactly one row, with its values; each deleted one a tombstone and no row."""
    records, fetch = evidence.records, evidence.connection.fetch
    products = {identifier: product(record) for identifier, record in records.items.items()}
    customers = {identifier: customer(record) for identifier, record in records.customers.items()}
    return [
        *_rows("product", products, await fetch(_PRODUCTS)),
        *_rows("customer", customers, [customer_row(dict(row)) for row in await fetch(_CUSTOMERS)]),
        *_tombstones("product", records.deleted["items"], await fetch(_LEDGER, "product"), set(products)),
        *_tombstones("customer", records.deleted["contacts"], await fetch(_LEDGER, "customer"), set(customers)),
    ]


def _rows(entity_type: str, expected: Mapping[str, Mapping[str, Any]], rows: list[Any]) -> list[Violation]:
    told, seen = list[Violation](), set[str]()
    for row in rows:
        identifier = row["source_entity_id"]
        entity: Entity | None = (entity_type, identifier) if identifier else None
        if identifier is None or identifier not in expected:
            told.append(Violation("P3", f"{entity_type} row {row['id']} is not at the source ({identifier})", entity))
        elif identifier in seen:
            told.append(Violation("P3", f"{entity_type} {identifier} has two rows", entity))
        else:
            differing = _differences(expected[identifier], row)
            told += [Violation("P3", f"{entity_type} {identifier}: {one}", entity) for one in differing]
        seen.add(identifier or "")
    missing = expected.keys() - seen
    return told + [Violation("P3", f"{entity_type} {one} has no row", (entity_type, one)) for one in sorted(missing)]


def _differences(expected: Mapping[str, Any], row: Any) -> list[str]:
    return [
        f"{name} is {row[name]!r}, and at the source {value!r}"
        for name, value in expected.items()
        if row[name] != value
    ]


def _tombstones(entity_type: str, deleted: Mapping[str, str], rows: list[Any], live: set[str]) -> list[Violation]:
    ledger = {row["source_entity_id"]: row for row in rows}
    told = [
        Violation("P3", f"{entity_type} {gone} was deleted and has no tombstone", (entity_type, gone))
        for gone in sorted(deleted)
        if gone not in ledger or not ledger[gone]["deleted"]
    ]
    return told + [
        Violation("P3", f"{entity_type} {one} lives and is called deleted", (entity_type, one))
        for one in sorted(live)
        if one in ledger and ledger[one]["deleted"]
    ]
