CREATE TABLE coupon (
    code    TEXT NOT NULL PRIMARY KEY,
    percent INTEGER NOT NULL CHECK (percent BETWEEN 1 AND 99)
);
INSERT INTO coupon (code, percent) VALUES ('WELCOME', 10), ('SUMMER', 15);
ALTER TABLE orders ADD COLUMN coupon TEXT REFERENCES coupon (code);
