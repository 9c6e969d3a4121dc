CREATE TABLE orders (
    id       INTEGER NOT NULL PRIMARY KEY,
    customer INTEGER NOT NULL REFERENCES customer (id),
    placed   TEXT NOT NULL
);
CREATE TABLE order_line (
    orders   INTEGER NOT NULL REFERENCES orders (id),
    position INTEGER NOT NULL,
    product  INTEGER NOT NULL REFERENCES product (id),
    quantity INTEGER NOT NULL,
    cents    INTEGER NOT NULL,
    PRIMARY KEY (orders, position)
);
CREATE INDEX orders_by_customer ON orders (customer, placed);
