DROP VIEW best_customer;
DROP VIEW order_total;
ALTER TABLE order_line ADD CONSTRAINT order_line_quantity_check CHECK (quantity > 0);
