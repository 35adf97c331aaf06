-- Write whole customer rows, given as a JSON array.
-- locks: the rows; their entities are locked in the ledger already
-- index: erp_customers primary key
INSERT INTO erp_customers
    (id, name, company_name, status, kind, language, email, phone, mobile, website, currency, payment_terms,
     payment_terms_label, credit_limit, outstanding_receivable, unused_credits, notes, custom_fields,
     parent_source_id, parent_id)
SELECT id, name, company_name, status, kind, language, email, phone, mobile, website, currency, payment_terms,
       payment_terms_label, credit_limit, outstanding_receivable, unused_credits, notes, custom_fields,
       parent_source_id, parent_id
FROM json_populate_recordset(CAST(NULL AS erp_customers), CAST(:rows AS json))
ON CONFLICT (id) DO UPDATE
    SET name = excluded.name, company_name = excluded.company_name, status = excluded.status, kind = excluded.kind,
        language = excluded.language, email = excluded.email, phone = excluded.phone, mobile = excluded.mobile,
        website = excluded.website, currency = excluded.currency, payment_terms = excluded.payment_terms,
        payment_terms_label = excluded.payment_terms_label, credit_limit = excluded.credit_limit,
        outstanding_receivable = excluded.outstanding_receivable, unused_credits = excluded.unused_credits,
        notes = excluded.notes, custom_fields = excluded.custom_fields,
        parent_source_id = excluded.parent_source_id,
        parent_id = CASE WHEN excluded.parent_source_id IS NOT NULL
            THEN COALESCE(excluded.parent_id, erp_customers.parent_id) END,
        updated_at = now()
