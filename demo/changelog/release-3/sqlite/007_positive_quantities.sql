-- SQLite adds a constraint to a table by making the table anew. The views are made anew in 009.
DROP VIEW best_customer;
DROP VIEW order_total;
CREATE TABLE order_line_new (
    orders   INTEGER NOT NULL REFERENCES orders (id),
    position INTEGER NOT NULL,
    product  INTEGER NOT NULL REFERENCES product (id),
    quantity INTEGER NOT NULL CHECK (quantity > 0),
    cents    INTEGER NOT NULL,
    PRIMARY KEY (orders, position)
);
INSERT INTO order_line_new SELECT orders, position, product, quantity, cents FROM order_line;
DROP TABLE order_line;
ALTER TABLE order_line_new RENAME TO order_line;
