-- Write whole product rows, given as a JSON array: those that are there are edited, the others are new.
-- How many were written comes back: fewer than given, if one that is there was not locked and has moved meanwhile.
-- locks: the rows; those that are there are locked already, by whoever has read them
-- index: erp_products primary key, from behind (see lock_entities), and nothing but the place found by it
WITH given AS MATERIALIZED (
    SELECT given.*, row.place
    FROM json_populate_recordset(CAST(NULL AS erp_products), CAST(:rows AS json)) AS given
    LEFT JOIN LATERAL (
        SELECT ctid AS place
        FROM erp_products
        WHERE erp_products.id BETWEEN given.id AND given.id
        ORDER BY erp_products.id DESC
        LIMIT 1
    ) AS row ON true
), edited AS (
    UPDATE erp_products
    SET name = given.name, sku = given.sku, description = given.description, unit = given.unit,
        status = given.status, kind = given.kind, brand = given.brand, manufacturer = given.manufacturer,
        upc = given.upc, ean = given.ean, isbn = given.isbn, part_number = given.part_number,
        price = given.price, purchase_price = given.purchase_price, tax_name = given.tax_name,
        tax_percentage = given.tax_percentage, stock_on_hand = given.stock_on_hand,
        available_stock = given.available_stock, actual_available_stock = given.actual_available_stock,
        reorder_level = given.reorder_level, custom_fields = given.custom_fields, updated_at = now()
    FROM given
    WHERE erp_products.ctid = given.place
    RETURNING 1
), made AS (
    INSERT INTO erp_products
        (id, name, sku, description, unit, status, kind, brand, manufacturer, upc, ean, isbn, part_number, price,
         purchase_price, tax_name, tax_percentage, stock_on_hand, available_stock, actual_available_stock, reorder_level,
         custom_fields)
    SELECT id, name, sku, description, unit, status, kind, brand, manufacturer, upc, ean, isbn, part_number, price,
           purchase_price, tax_name, tax_percentage, stock_on_hand, available_stock, actual_available_stock, reorder_level,
           custom_fields
    FROM given
    WHERE place IS NULL
    RETURNING 1
)
SELECT (SELECT count(*) FROM edited) + (SELECT count(*) FROM made) AS written
