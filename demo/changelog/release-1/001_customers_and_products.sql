CREATE TABLE customer (
    id     INTEGER NOT NULL PRIMARY KEY,
    name   TEXT NOT NULL,
    email  TEXT NOT NULL,
    joined TEXT NOT NULL
);
CREATE TABLE product (
    id    INTEGER NOT NULL PRIMARY KEY,
    title TEXT NOT NULL UNIQUE,
    cents INTEGER NOT NULL CHECK (cents > 0)
);
