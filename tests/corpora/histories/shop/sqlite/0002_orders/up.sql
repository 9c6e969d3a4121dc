CREATE TABLE purchase (
    id INTEGER PRIMARY KEY,
    customer INTEGER NOT NULL REFERENCES customer (id),
    total NUMERIC(10, 2) NOT NULL DEFAULT 0
);
CREATE INDEX purchase_customer ON purchase (customer);
INSERT INTO purchase (id, customer, total) VALUES (1, 1, 9.50), (2, 2, 3.25);
