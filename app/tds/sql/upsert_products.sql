-- Write whole product rows, given as a JSON array.
-- locks: the rows; their entities are locked in the ledger already
-- index: erp_products primary key
INSERT INTO erp_products
    (id, name, sku, description, unit, status, kind, brand, manufacturer, upc, ean, isbn, part_number, price,
     purchase_price, tax_name, tax_percentage, stock_on_hand, available_stock, actual_available_stock, reorder_level,
     custom_fields)
SELECT id, name, sku, description, unit, status, kind, brand, manufacturer, upc, ean, isbn, part_number, price,
       purchase_price, tax_name, tax_percentage, stock_on_hand, available_stock, actual_available_stock, reorder_level,
       custom_fields
FROM json_populate_recordset(CAST(NULL AS erp_products), CAST(:rows AS json))
ON CONFLICT (id) DO UPDATE
    SET name = excluded.name, sku = excluded.sku, description = excluded.description, unit = excluded.unit,
        status = excluded.status, kind = excluded.kind, brand = excluded.brand, manufacturer = excluded.manufacturer,
        upc = excluded.upc, ean = excluded.ean, isbn = excluded.isbn, part_number = excluded.part_number,
        price = excluded.price, purchase_price = excluded.purchase_price, tax_name = excluded.tax_name,
        tax_percentage = excluded.tax_percentage, stock_on_hand = excluded.stock_on_hand,
        available_stock = excluded.available_stock, actual_available_stock = excluded.actual_available_stock,
        reorder_level = excluded.reorder_level, custom_fields = excluded.custom_fields, updated_at = now()
