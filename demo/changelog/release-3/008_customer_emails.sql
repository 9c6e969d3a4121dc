-- Two customers do share an address. Found quickly is enough for now.
CREATE INDEX customer_by_email ON customer (lower(email));
