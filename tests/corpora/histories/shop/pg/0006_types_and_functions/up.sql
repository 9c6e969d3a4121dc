CREATE TYPE mood AS ENUM ('glad', 'sad');
ALTER TABLE customer ADD COLUMN mood mood DEFAULT 'glad', ALTER COLUMN name TYPE TEXT;
ALTER TABLE orders ADD CONSTRAINT not_negative CHECK (total >= 0);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN new.state := 'touched; twice'; RETURN new; END $$;
CREATE TRIGGER touched BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION touch();
COMMENT ON COLUMN orders.total IS 'in euro';
