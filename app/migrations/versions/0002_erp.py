"""ERP: products and customers.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

from app.migrations.statements import run

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: None = None
depends_on: None = None

DDL = """
CREATE TABLE erp_customers (
    id UUID NOT NULL,
    name TEXT NOT NULL,
    company_name TEXT,
    status TEXT DEFAULT 'active' NOT NULL,
    kind TEXT,
    language TEXT,
    email TEXT,
    phone TEXT,
    mobile TEXT,
    website TEXT,
    currency TEXT,
    payment_terms INTEGER,
    payment_terms_label TEXT,
    credit_limit NUMERIC(18, 3),
    outstanding_receivable NUMERIC(18, 3),
    unused_credits NUMERIC(18, 3),
    notes TEXT,
    custom_fields JSONB DEFAULT '{}' NOT NULL,
    parent_source_id TEXT,
    parent_id UUID,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_erp_customers PRIMARY KEY (id),
    CONSTRAINT ck_erp_customers_status_known CHECK (status IN ('active', 'inactive')),
    CONSTRAINT ck_erp_customers_name_given CHECK (name <> ''),
    CONSTRAINT ck_erp_customers_currency_code CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT fk_erp_customers_parent_id_erp_customers FOREIGN KEY(parent_id)
        REFERENCES erp_customers (id) ON DELETE SET NULL
);
CREATE INDEX ix_erp_customers_parent_id ON erp_customers (parent_id) WHERE parent_id IS NOT NULL;

CREATE TABLE erp_products (
    id UUID NOT NULL,
    name TEXT NOT NULL,
    sku TEXT,
    description TEXT,
    unit TEXT,
    status TEXT DEFAULT 'active' NOT NULL,
    kind TEXT,
    brand TEXT,
    manufacturer TEXT,
    upc TEXT,
    ean TEXT,
    isbn TEXT,
    part_number TEXT,
    price NUMERIC(20, 6),
    purchase_price NUMERIC(20, 6),
    tax_name TEXT,
    tax_percentage NUMERIC(20, 6),
    stock_on_hand NUMERIC(20, 6),
    available_stock NUMERIC(20, 6),
    actual_available_stock NUMERIC(20, 6),
    reorder_level NUMERIC(20, 6),
    custom_fields JSONB DEFAULT '{}' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_erp_products PRIMARY KEY (id),
    CONSTRAINT ck_erp_products_status_known CHECK (status IN ('active', 'inactive')),
    CONSTRAINT ck_erp_products_name_given CHECK (name <> '')
);
CREATE INDEX ix_erp_products_sku ON erp_products (sku);

CREATE TABLE erp_contact_persons (
    customer_id UUID NOT NULL,
    source_id TEXT NOT NULL,
    position INTEGER NOT NULL,
    salutation TEXT,
    first_name TEXT,
    last_name TEXT,
    email TEXT,
    phone TEXT,
    mobile TEXT,
    designation TEXT,
    department TEXT,
    is_primary BOOLEAN DEFAULT false NOT NULL,
    CONSTRAINT pk_erp_contact_persons PRIMARY KEY (customer_id, source_id),
    CONSTRAINT fk_erp_contact_persons_customer_id_erp_customers FOREIGN KEY(customer_id)
        REFERENCES erp_customers (id) ON DELETE CASCADE
);

CREATE TABLE erp_customer_addresses (
    customer_id UUID NOT NULL,
    kind TEXT NOT NULL,
    attention TEXT,
    street TEXT,
    street2 TEXT,
    city TEXT,
    state TEXT,
    state_code TEXT,
    zip TEXT,
    country TEXT,
    phone TEXT,
    fax TEXT,
    CONSTRAINT pk_erp_customer_addresses PRIMARY KEY (customer_id, kind),
    CONSTRAINT ck_erp_customer_addresses_kind_known CHECK (kind IN ('billing', 'shipping')),
    CONSTRAINT fk_erp_customer_addresses_customer_id_erp_customers FOREIGN KEY(customer_id)
        REFERENCES erp_customers (id) ON DELETE CASCADE
);
"""

UNDO = """
DROP TABLE erp_contact_persons;
DROP TABLE erp_customer_addresses;
DROP TABLE erp_customers;
DROP TABLE erp_products;
"""


def upgrade() -> None:
    """Run the statements one by one."""
    run(DDL)


def downgrade() -> None:
    """Drop what was made: for development only, data goes with it."""
    run(UNDO)
