CREATE TABLE part (id integer PRIMARY KEY, name text NOT NULL);
INSERT INTO part VALUES (1, 'bolt'), (2, 'nut');
