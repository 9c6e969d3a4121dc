-- Prices without tax from now on, rounded down. And nobody asks when a customer joined.
UPDATE product SET cents = cents * 100 / 119;
ALTER TABLE customer DROP COLUMN joined;
