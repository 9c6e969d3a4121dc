-- Surely every customer has an address of their own.
CREATE UNIQUE INDEX customer_by_email ON customer (lower(email));
