-- Write whole customer rows, given as a JSON array: those that are there are edited, the others are new.
-- How many were written comes back: fewer than given, if one that is there was not locked and has moved meanwhile.
-- locks: the rows; those that are there are locked already, by whoever has read them
-- index: erp_customers primary key, from behind (see lock_entities), and nothing but the place found by it
WITH given AS MATERIALIZED (
    SELECT given.*, row.place
    FROM json_populate_recordset(CAST(NULL AS erp_customers), CAST(:rows AS json)) AS given
    LEFT JOIN LATERAL (
        SELECT ctid AS place
        FROM erp_customers
        WHERE erp_customers.id BETWEEN given.id AND given.id
        ORDER BY erp_customers.id DESC
        LIMIT 1
    ) AS row ON true
), edited AS (
    UPDATE erp_customers
    SET name = given.name, company_name = given.company_name, status = given.status, kind = given.kind,
        language = given.language, email = given.email, phone = given.phone, mobile = given.mobile,
        website = given.website, currency = given.currency, payment_terms = given.payment_terms,
        payment_terms_label = given.payment_terms_label, credit_limit = given.credit_limit,
        outstanding_receivable = given.outstanding_receivable, unused_credits = given.unused_credits,
        notes = given.notes, custom_fields = given.custom_fields, parent_source_id = given.parent_source_id,
        parent_id = CASE WHEN given.parent_source_id IS NOT NULL
            THEN COALESCE(given.parent_id, erp_customers.parent_id) END,
        updated_at = now()
    FROM given
    WHERE erp_customers.ctid = given.place
    RETURNING 1
), made AS (
    INSERT INTO erp_customers
        (id, name, company_name, status, kind, language, email, phone, mobile, website, currency, payment_terms,
         payment_terms_label, credit_limit, outstanding_receivable, unused_credits, notes, custom_fields,
         parent_source_id, parent_id)
    SELECT id, name, company_name, status, kind, language, email, phone, mobile, website, currency, payment_terms,
           payment_terms_label, credit_limit, outstanding_receivable, unused_credits, notes, custom_fields,
           parent_source_id, parent_id
    FROM given
    WHERE place IS NULL
    RETURNING 1
)
SELECT (SELECT count(*) FROM edited) + (SELECT count(*) FROM made) AS written
