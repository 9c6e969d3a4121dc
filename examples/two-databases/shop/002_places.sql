ALTER TABLE orders ADD COLUMN place TEXT;
UPDATE orders SET place = 'north';
