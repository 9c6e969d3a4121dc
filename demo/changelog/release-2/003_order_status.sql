ALTER TABLE orders ADD COLUMN status TEXT NOT NULL DEFAULT 'paid';
CREATE INDEX orders_open ON orders (placed) WHERE status <> 'paid';
