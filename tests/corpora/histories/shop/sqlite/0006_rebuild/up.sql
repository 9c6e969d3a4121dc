PRAGMA foreign_keys = OFF;
DROP VIEW turnover;
CREATE TABLE orders_new (
    id INTEGER PRIMARY KEY,
    customer INTEGER NOT NULL REFERENCES customer (id),
    total NUMERIC(10, 2) NOT NULL DEFAULT 0 CHECK (total >= 0),
    state TEXT NOT NULL DEFAULT 'new'
);
INSERT INTO orders_new SELECT id, customer, total, state FROM orders;
DROP TABLE orders;
ALTER TABLE orders_new RENAME TO orders;
CREATE INDEX orders_state ON orders (state) WHERE state <> 'done';
CREATE TRIGGER no_negative BEFORE UPDATE ON orders WHEN new.total < 0
BEGIN
    SELECT raise(ABORT, 'negative; total');
END;
PRAGMA foreign_keys = ON;
