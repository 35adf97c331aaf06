-- Give customers the addresses in :rows instead of the ones they have.
-- locks: the rows; their customers are locked in the ledger already
-- index: erp_customer_addresses primary key
WITH given AS MATERIALIZED (
    SELECT * FROM json_populate_recordset(CAST(NULL AS erp_customer_addresses), CAST(:rows AS json))
), gone AS (
    DELETE FROM erp_customer_addresses AS old
    WHERE old.customer_id = ANY (CAST(:customer_ids AS uuid[]))
      AND NOT EXISTS (SELECT 1 FROM given WHERE given.customer_id = old.customer_id AND given.kind = old.kind)
)
INSERT INTO erp_customer_addresses SELECT * FROM given
ON CONFLICT (customer_id, kind) DO UPDATE
    SET attention = excluded.attention, street = excluded.street, street2 = excluded.street2, city = excluded.city,
        state = excluded.state, state_code = excluded.state_code, zip = excluded.zip, country = excluded.country,
        phone = excluded.phone, fax = excluded.fax
