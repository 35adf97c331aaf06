-- Give customers the contact persons in :rows instead of the ones they have.
-- locks: the rows; their customers are locked in the ledger already
-- index: erp_contact_persons primary key
WITH given AS MATERIALIZED (
    SELECT * FROM json_populate_recordset(CAST(NULL AS erp_contact_persons), CAST(:rows AS json))
), gone AS (
    DELETE FROM erp_contact_persons AS old
    WHERE old.customer_id = ANY (CAST(:customer_ids AS uuid[]))
      AND NOT EXISTS (SELECT 1 FROM given WHERE given.customer_id = old.customer_id AND given.source_id = old.source_id)
)
INSERT INTO erp_contact_persons SELECT * FROM given
ON CONFLICT (customer_id, source_id) DO UPDATE
    SET position = excluded.position, salutation = excluded.salutation, first_name = excluded.first_name,
        last_name = excluded.last_name, email = excluded.email, phone = excluded.phone, mobile = excluded.mobile,
        designation = excluded.designation, department = excluded.department, is_primary = excluded.is_primary
