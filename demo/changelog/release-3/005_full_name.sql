-- The views that say "name" follow along.
ALTER TABLE customer RENAME COLUMN name TO full_name;
