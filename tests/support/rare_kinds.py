# ruff: noqa: E501 - a table: a line for each statement
"""The kinds of objects that few migrations touch: what is there before, and the change."""

from __future__ import annotations

OPERATORS = """
CREATE TYPE pair AS (x int, y int);
CREATE FUNCTION pair_cmp(pair, pair) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1.x - $2.x';
CREATE FUNCTION pair_lt(pair, pair) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1.x < $2.x';
CREATE FUNCTION pair_gt(pair, pair) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1.x > $2.x';
CREATE FUNCTION pair_int(pair, int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1.x < $2';
CREATE FUNCTION pair_int_cmp(pair, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1.x - $2';
CREATE FUNCTION minus(pair) RETURNS pair LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE OPERATOR <# (FUNCTION = pair_lt, LEFTARG = pair, RIGHTARG = pair, COMMUTATOR = >#, RESTRICT = scalarltsel, JOIN = scalarltjoinsel);
CREATE OPERATOR ># (FUNCTION = pair_gt, LEFTARG = pair, RIGHTARG = pair, COMMUTATOR = <#, RESTRICT = scalargtsel);
CREATE OPERATOR <# (FUNCTION = pair_int, LEFTARG = pair, RIGHTARG = int);
CREATE OPERATOR !# (FUNCTION = minus, RIGHTARG = pair);
CREATE OPERATOR FAMILY pairs USING btree;
CREATE OPERATOR CLASS pair_ops FOR TYPE pair USING btree FAMILY pairs AS OPERATOR 1 <#, OPERATOR 5 >#, FUNCTION 1 pair_cmp(pair, pair);
ALTER OPERATOR FAMILY pairs USING btree ADD OPERATOR 1 <# (pair, int), FUNCTION 1 (pair, int) pair_int_cmp(pair, int);
COMMENT ON OPERATOR <# (pair, pair) IS 'less'; COMMENT ON OPERATOR CLASS pair_ops USING btree IS 'c'; COMMENT ON OPERATOR FAMILY pairs USING btree IS 'f';
CREATE TABLE pairs_held (p pair); CREATE INDEX by_pair ON pairs_held (p pair_ops);
"""
AGGREGATES = """
CREATE AGGREGATE total (int) (SFUNC = int4pl, STYPE = int, INITCOND = '0', COMBINEFUNC = int4pl, PARALLEL = SAFE);
CREATE AGGREGATE biggest (int) (SFUNC = int4larger, STYPE = int, SORTOP = >);
CREATE AGGREGATE rows (*) (SFUNC = int8inc, STYPE = int8, INITCOND = '0');
CREATE AGGREGATE moving (float8) (SFUNC = float8pl, STYPE = float8, SSPACE = 40, MSFUNC = float8pl, MINVFUNC = float8mi, MSTYPE = float8, MINITCOND = '1');
CREATE AGGREGATE pct (float8 ORDER BY anyelement) (SFUNC = ordered_set_transition, STYPE = internal, FINALFUNC = percentile_disc_final, FINALFUNC_EXTRA);
CREATE AGGREGATE many (a int, VARIADIC b text[]) (SFUNC = many_step, STYPE = text);
COMMENT ON AGGREGATE total (int) IS 'sum'; COMMENT ON AGGREGATE rows (*) IS 'count'; REVOKE ALL ON FUNCTION total (int) FROM PUBLIC;
COMMENT ON AGGREGATE pct (float8 ORDER BY anyelement) IS 'p'; ALTER AGGREGATE rows (*) OWNER TO pg_monitor;
CREATE VIEW sums AS SELECT total(a) FROM (VALUES (1)) v (a);
"""
MANY_STEP = "CREATE FUNCTION many_step(text, int, VARIADIC text[]) RETURNS text LANGUAGE sql AS 'SELECT $1';"
FOREIGN = """
CREATE FOREIGN DATA WRAPPER w OPTIONS (a '1', "B b" 'it''s'); CREATE SERVER s TYPE 't' VERSION '1' FOREIGN DATA WRAPPER w OPTIONS (host 'h', x '\\');
CREATE USER MAPPING FOR PUBLIC SERVER s OPTIONS ("user" 'u'); CREATE USER MAPPING FOR CURRENT_USER SERVER s;
COMMENT ON SERVER s IS 'there'; COMMENT ON FOREIGN DATA WRAPPER w IS 'way'; GRANT USAGE ON FOREIGN SERVER s TO pg_monitor; GRANT USAGE ON FOREIGN DATA WRAPPER w TO pg_monitor;
ALTER SERVER s OWNER TO pg_read_all_data;
"""
SEARCH = """
CREATE TEXT SEARCH PARSER p (START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end, LEXTYPES = prsd_lextype, HEADLINE = prsd_headline);
CREATE TEXT SEARCH TEMPLATE m (INIT = dsimple_init, LEXIZE = dsimple_lexize);
CREATE TEXT SEARCH DICTIONARY d (TEMPLATE = m, stopwords = 'english'); CREATE TEXT SEARCH DICTIONARY e (TEMPLATE = simple);
CREATE TEXT SEARCH CONFIGURATION c (PARSER = p); ALTER TEXT SEARCH CONFIGURATION c ADD MAPPING FOR asciiword, hword_part WITH d, english_stem;
COMMENT ON TEXT SEARCH CONFIGURATION c IS 'c'; COMMENT ON TEXT SEARCH DICTIONARY d IS 'd'; COMMENT ON TEXT SEARCH PARSER p IS 'p';
COMMENT ON TEXT SEARCH TEMPLATE m IS 'm'; ALTER TEXT SEARCH CONFIGURATION c OWNER TO pg_monitor;
CREATE TABLE found (t text); CREATE INDEX words ON found USING gin (to_tsvector('c', t));
"""
PUBLISHED = """
CREATE SCHEMA ps; CREATE TABLE ps.y (a int); CREATE TABLE x (id int PRIMARY KEY, a text, b int);
CREATE PUBLICATION one FOR TABLE x (id, a) WHERE (id > 5) WITH (publish = 'insert, delete', publish_via_partition_root);
CREATE PUBLICATION two FOR TABLES IN SCHEMA ps;
CREATE PUBLICATION none; COMMENT ON PUBLICATION one IS 'all';
"""
DEFAULTS = """
CREATE SCHEMA ds; ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO pg_monitor; ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES IN SCHEMA ds GRANT USAGE ON SEQUENCES TO pg_monitor WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES FOR ROLE pg_read_all_data GRANT ALL ON TYPES TO pg_monitor;
CREATE TABLE ds.t (a serial); CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE TABLE plain (a int); REVOKE ALL ON plain FROM pg_monitor;
"""
SETTINGS = """
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path TO "$user", public, "a b"', current_database());
EXECUTE format('ALTER DATABASE %I SET work_mem TO %L', current_database(), '64MB'); EXECUTE format('ALTER DATABASE %I SET my.own TO %L', current_database(), E'it''s \\ %');
EXECUTE format('ALTER ROLE postgres IN DATABASE %I SET statement_timeout TO 5000', current_database()); EXECUTE format('COMMENT ON DATABASE %I IS %L', current_database(), 'mine, 100%'); END $$;
"""
CASTS = """
CREATE TYPE temper AS ENUM ('a', 'b'); CREATE FUNCTION temper_int(temper) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';
CREATE CAST (temper AS int) WITH FUNCTION temper_int(temper) AS ASSIGNMENT; CREATE CAST (int AS temper) WITH INOUT AS IMPLICIT;
COMMENT ON CAST (temper AS int) IS 'number'; CREATE DEFAULT CONVERSION conv FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8; COMMENT ON CONVERSION conv IS 'v';
CREATE FUNCTION from_sql(internal) RETURNS internal LANGUAGE internal IMMUTABLE AS 'int4in'; CREATE TRANSFORM FOR int LANGUAGE plpgsql (FROM SQL WITH FUNCTION from_sql(internal));
COMMENT ON TRANSFORM FOR int LANGUAGE plpgsql IS 't'; CREATE TABLE tempers (t temper, n int GENERATED ALWAYS AS (temper_int(t)) STORED);
"""
LANGUAGES = """
CREATE FUNCTION l_handler() RETURNS language_handler LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_call_handler';
CREATE TRUSTED LANGUAGE l HANDLER l_handler INLINE plpgsql_inline_handler VALIDATOR plpgsql_validator; COMMENT ON LANGUAGE l IS 'l';
REVOKE USAGE ON LANGUAGE l FROM PUBLIC; CREATE FUNCTION in_l() RETURNS int LANGUAGE l AS 'BEGIN RETURN 1; END';
CREATE ACCESS METHOD tree TYPE INDEX HANDLER bthandler; COMMENT ON ACCESS METHOD tree IS 'am'; CREATE ACCESS METHOD pile TYPE TABLE HANDLER heap_tableam_handler;
"""
COLLATIONS = """
CREATE COLLATION c (provider = libc, locale = 'C'); CREATE COLLATION "D d" (lc_collate = 'C', lc_ctype = 'POSIX');
COMMENT ON COLLATION c IS 'c'; ALTER COLLATION c OWNER TO pg_monitor; CREATE TABLE sorted (a text COLLATE c, b text COLLATE "D d" UNIQUE);
CREATE DOMAIN dom AS text COLLATE "D d"; CREATE INDEX by_d ON sorted (a COLLATE "D d");
"""

FOREIGN_TABLES = """
CREATE FOREIGN DATA WRAPPER fw; CREATE SERVER fs FOREIGN DATA WRAPPER fw; CREATE FOREIGN TABLE ft (id int OPTIONS (name 'Id', "k k" 'it''s') NOT NULL,
 t text OPTIONS (x '1') COLLATE "C" DEFAULT 'q', n int CHECK (n > 0), g int GENERATED ALWAYS AS (n * 2) STORED) SERVER fs OPTIONS (table_name 'T', b 'c');
COMMENT ON FOREIGN TABLE ft IS 'far'; COMMENT ON COLUMN ft.t IS 'text'; GRANT SELECT ON ft TO PUBLIC; GRANT UPDATE (n) ON ft TO pg_monitor; ALTER FOREIGN TABLE ft ALTER n SET STATISTICS 7;
CREATE FUNCTION fg() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER far BEFORE INSERT ON ft FOR EACH ROW EXECUTE FUNCTION fg();
CREATE VIEW fv AS SELECT t FROM ft; ALTER FOREIGN TABLE ft OWNER TO pg_monitor; CREATE TABLE fp (a int) PARTITION BY LIST (a); CREATE FOREIGN TABLE fp1 PARTITION OF fp FOR VALUES IN (1) SERVER fs;
"""
TYPED = """
CREATE TYPE shape AS (a int, b text); CREATE TABLE typed OF shape (PRIMARY KEY (a), b WITH OPTIONS NOT NULL DEFAULT 'x'); CREATE TABLE typable (a int, b text);
CREATE ACCESS METHOD heap2 TYPE TABLE HANDLER heap_tableam_handler; CREATE TABLE piled (a int PRIMARY KEY) USING heap2; CREATE MATERIALIZED VIEW piled_view USING heap2 AS SELECT 1 AS n; INSERT INTO piled VALUES (1);
"""

SMALL = """
CREATE EXTENSION citext VERSION '1.4'; CREATE FUNCTION of_citext(citext) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE MATERIALIZED VIEW mv AS SELECT 1 AS a; CREATE UNIQUE INDEX mvi ON mv (a); CREATE TYPE rg AS RANGE (subtype = float8); CREATE FUNCTION of_rg(rg) RETURNS rg LANGUAGE sql AS 'SELECT $1';
CREATE TABLE rt (a int, b text, c int UNIQUE, d int); CREATE UNIQUE INDEX rti ON rt (d); CREATE TABLE rc (c int REFERENCES rt (c), d int REFERENCES rt (d));
CREATE RULE ru AS ON DELETE TO rt DO ALSO NOTHING; CREATE STATISTICS st (ndistinct) ON a, b FROM rt; CREATE POLICY po ON rt FOR SELECT USING (a > 0);
CREATE PROCEDURE pr(a int) LANGUAGE plpgsql AS 'BEGIN NULL; END'; CREATE FUNCTION ev() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER et ON ddl_command_end WHEN TAG IN ('CREATE CAST') EXECUTE FUNCTION ev(); CREATE FUNCTION tr() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER tg BEFORE UPDATE ON rt FOR EACH ROW EXECUTE FUNCTION tr(); CREATE DOMAIN dm AS int CHECK (VALUE > 0); CREATE TABLE dt (d dm); CREATE VIEW dv AS SELECT d FROM dt;
CREATE TYPE ct AS (a int, b text); CREATE FUNCTION of_ct(ct) RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE FUNCTION fu(a int) RETURNS int LANGUAGE sql AS 'SELECT a'; CREATE VIEW fv AS SELECT fu(1);
"""

ICU = """
CREATE COLLATION i (provider = icu, locale = 'de-u-co-phonebk', deterministic = false); CREATE TABLE sorted_by_i (a text COLLATE i UNIQUE);
"""

HEIRS = """
CREATE TABLE pa (x int NOT NULL DEFAULT 3, y text CHECK (y <> ''), g int GENERATED ALWAYS AS (x * 2) STORED); CREATE TABLE pb (k int, y text);
CREATE TABLE ch (z int, x int DEFAULT 4, UNIQUE (z)) INHERITS (pa, pb); CREATE INDEX chi ON ch (x); ALTER TABLE ch ALTER y SET DEFAULT 'q', ALTER k SET NOT NULL, ALTER y SET STATISTICS 9;
CREATE TABLE gc () INHERITS (ch); CREATE TABLE lo (x int NOT NULL, y text, g int GENERATED ALWAYS AS (x * 2) STORED, CONSTRAINT pa_y_check CHECK (y <> '')); ALTER TABLE lo INHERIT pa;
COMMENT ON TABLE ch IS 'child'; COMMENT ON COLUMN ch.k IS 'kay'; GRANT SELECT (k) ON ch TO PUBLIC; CREATE VIEW vh AS SELECT x, y FROM pa;
INSERT INTO pa VALUES (1, 'p'); INSERT INTO ch VALUES (2, 'c', DEFAULT, 5, 6); INSERT INTO gc (x, k, y) VALUES (3, 7, 'g');
"""

CASES: dict[str, tuple[str, str]] = {
    "aggregates made": (MANY_STEP, AGGREGATES),
    "aggregates changed": (
        MANY_STEP + AGGREGATES,
        "DROP VIEW sums; DROP AGGREGATE total (int); CREATE AGGREGATE total (int) (SFUNC = int4mul, STYPE = int);"
        "DROP AGGREGATE many (int, text[]); COMMENT ON AGGREGATE biggest (int) IS 'new'; ALTER AGGREGATE rows (*) OWNER TO CURRENT_USER",
    ),
    "operators, classes and families made": ("", OPERATORS),
    "operators, classes and families changed": (
        OPERATORS,
        "ALTER OPERATOR <# (pair, pair) SET (RESTRICT = NONE, JOIN = NONE); DROP INDEX by_pair; DROP OPERATOR CLASS pair_ops USING btree;"
        "ALTER OPERATOR FAMILY pairs USING btree DROP FUNCTION 1 (pair, int); DROP OPERATOR !# (NONE, pair); COMMENT ON OPERATOR <# (pair, pair) IS NULL",
    ),
    "operator on which a class hangs dropped": (OPERATORS, "DROP OPERATOR <# (pair, pair) CASCADE"),
    "casts, conversions, transforms made": ("", CASTS),
    "casts, conversions, transforms changed": (
        CASTS,
        "DROP CAST (int AS temper); DROP CAST (temper AS int); CREATE CAST (temper AS int) WITH FUNCTION temper_int(temper);"
        "DROP CONVERSION conv; DROP TRANSFORM FOR int LANGUAGE plpgsql",
    ),
    "collations made": ("", COLLATIONS),
    "collations changed": (
        COLLATIONS,
        "ALTER COLLATION c OWNER TO CURRENT_USER; COMMENT ON COLLATION \"D d\" IS 'x'; DROP INDEX by_d; ALTER TABLE sorted DROP b; DROP DOMAIN dom;"
        'DROP COLLATION "D d"; CREATE COLLATION "D d" (provider = libc, locale = \'C\')',
    ),
    "languages and access methods made": ("", LANGUAGES),
    "languages and access methods changed": (
        LANGUAGES,
        "DROP FUNCTION in_l(); DROP LANGUAGE l; DROP ACCESS METHOD pile; COMMENT ON ACCESS METHOD tree IS NULL",
    ),
    "text search made": ("", SEARCH),
    "text search changed": (
        SEARCH,
        "ALTER TEXT SEARCH CONFIGURATION c DROP MAPPING FOR hword_part; ALTER TEXT SEARCH CONFIGURATION c ALTER MAPPING FOR asciiword WITH simple;"
        "ALTER TEXT SEARCH CONFIGURATION c ADD MAPPING FOR int WITH simple; ALTER TEXT SEARCH DICTIONARY d (stopwords); DROP TEXT SEARCH DICTIONARY e",
    ),
    "wrappers, servers, mappings made": ("", FOREIGN),
    "wrappers, servers, mappings changed": (
        FOREIGN,
        "ALTER SERVER s VERSION '2' OPTIONS (SET host 'i', DROP x, ADD port '5'); ALTER FOREIGN DATA WRAPPER w VALIDATOR postgresql_fdw_validator OPTIONS (DROP a, DROP \"B b\");"
        "DROP USER MAPPING FOR CURRENT_USER SERVER s; ALTER USER MAPPING FOR PUBLIC SERVER s OPTIONS (SET \"user\" 'v'); REVOKE ALL ON FOREIGN SERVER s FROM pg_monitor",
    ),
    "foreign tables made": ("", FOREIGN_TABLES),
    "foreign tables changed": (
        FOREIGN_TABLES,
        "ALTER FOREIGN TABLE ft OPTIONS (SET b 'd', ADD z 'y'), ALTER id OPTIONS (DROP name), ALTER t OPTIONS (ADD c 'd'), ALTER n SET STATISTICS -1, ALTER t SET DEFAULT 'r';"
        "COMMENT ON COLUMN ft.t IS NULL; ALTER FOREIGN TABLE ft OWNER TO CURRENT_USER; REVOKE ALL (n) ON ft FROM pg_monitor; DROP FOREIGN TABLE fp1",
    ),
    "foreign table's columns changed": (
        FOREIGN_TABLES,
        "DROP VIEW fv; ALTER FOREIGN TABLE ft ALTER t TYPE varchar(9), ADD more int, DROP id; DROP TRIGGER far ON ft",
    ),
    "foreign table dropped": (FOREIGN_TABLES, "DROP FOREIGN TABLE ft CASCADE; DROP SERVER fs CASCADE"),
    "typed tables and other access methods made": ("", TYPED),
    "typed tables and other access methods changed": (
        TYPED,
        "ALTER TABLE typed NOT OF; ALTER TABLE typed ADD more int; ALTER TABLE typable OF shape; ALTER TABLE piled SET ACCESS METHOD heap; DROP MATERIALIZED VIEW piled_view",
    ),
    "small changes in place": (
        SMALL,
        "COMMENT ON EXTENSION citext IS 'x'; ALTER MATERIALIZED VIEW mv SET (fillfactor = 50); ALTER TYPE rg OWNER TO pg_monitor; ALTER TABLE rt DISABLE RULE ru; ALTER STATISTICS st SET STATISTICS 9;"
        "CREATE OR REPLACE PROCEDURE pr(a int) LANGUAGE plpgsql AS 'BEGIN END'; ALTER EVENT TRIGGER et DISABLE; COMMENT ON TYPE ct IS 'c'; COMMENT ON DOMAIN dm IS 'd'; COMMENT ON INDEX mvi IS 'i'",
    ),
    "small things made anew with their dependents": (
        SMALL,
        "ALTER EXTENSION citext UPDATE; DROP MATERIALIZED VIEW mv; CREATE MATERIALIZED VIEW mv AS SELECT 2 AS a; CREATE UNIQUE INDEX mvi ON mv (a); DROP TYPE rg CASCADE; CREATE TYPE rg AS RANGE (subtype = int);"
        "CREATE FUNCTION of_rg(rg) RETURNS rg LANGUAGE sql AS 'SELECT $1'; DROP RULE ru ON rt; CREATE RULE ru AS ON DELETE TO rt DO INSTEAD NOTHING; DROP STATISTICS st; CREATE STATISTICS st (mcv) ON a, b FROM rt;"
        "DROP POLICY po ON rt; CREATE POLICY po ON rt FOR UPDATE USING (a > 0); DROP PROCEDURE pr; CREATE PROCEDURE pr(b int) LANGUAGE plpgsql AS 'BEGIN NULL; END'; DROP EVENT TRIGGER et;"
        "CREATE EVENT TRIGGER et ON ddl_command_start WHEN TAG IN ('CREATE CAST') EXECUTE FUNCTION ev(); DROP TRIGGER tg ON rt; CREATE TRIGGER tg AFTER UPDATE ON rt FOR EACH ROW EXECUTE FUNCTION tr();"
        "DROP VIEW dv; ALTER TABLE dt ALTER d TYPE int; DROP DOMAIN dm; CREATE DOMAIN dm AS bigint; ALTER TABLE dt ALTER d TYPE dm; CREATE VIEW dv AS SELECT d FROM dt; DROP TYPE ct CASCADE; CREATE TYPE ct AS (b text, a int);"
        "CREATE FUNCTION of_ct(ct) RETURNS int LANGUAGE sql AS 'SELECT 1'; DROP FUNCTION fu CASCADE; CREATE FUNCTION fu(b int) RETURNS int LANGUAGE sql AS 'SELECT b'; CREATE VIEW fv AS SELECT fu(1);"
        "ALTER TABLE rc DROP CONSTRAINT rc_c_fkey, DROP CONSTRAINT rc_d_fkey; ALTER TABLE rt DROP CONSTRAINT rt_c_key, ADD UNIQUE (c) INCLUDE (a); DROP INDEX rti; CREATE UNIQUE INDEX rti ON rt (d) INCLUDE (b);"
        "ALTER TABLE rc ADD FOREIGN KEY (c) REFERENCES rt (c), ADD FOREIGN KEY (d) REFERENCES rt (d)",
    ),
    "comments on rare kinds changed": (
        OPERATORS + CASTS + LANGUAGES + SEARCH + SETTINGS,
        "COMMENT ON CAST (temper AS int) IS 'z'; COMMENT ON CONVERSION conv IS 'z'; COMMENT ON TRANSFORM FOR int LANGUAGE plpgsql IS 'z'; COMMENT ON LANGUAGE l IS 'z'; COMMENT ON OPERATOR CLASS pair_ops USING btree IS 'z';"
        "COMMENT ON TEXT SEARCH PARSER p IS 'z'; COMMENT ON TEXT SEARCH TEMPLATE m IS 'z'; COMMENT ON TEXT SEARCH DICTIONARY d IS 'z';"
        "DO $$ BEGIN EXECUTE format('COMMENT ON DATABASE %I IS %L', current_database(), 'z'); END $$",
    ),
    "default privileges replaced": (
        "ALTER DEFAULT PRIVILEGES FOR ROLE pg_monitor GRANT SELECT ON TABLES TO PUBLIC",
        "ALTER DEFAULT PRIVILEGES FOR ROLE pg_monitor GRANT UPDATE ON TABLES TO PUBLIC",
    ),
    "operators, casts, collations made anew with their dependents": (
        OPERATORS + CASTS + COLLATIONS + MANY_STEP + AGGREGATES,
        "DROP INDEX by_pair; DROP OPERATOR CLASS pair_ops USING btree; CREATE OPERATOR CLASS pair_ops DEFAULT FOR TYPE pair USING btree FAMILY pairs AS OPERATOR 1 <#, OPERATOR 5 >#, FUNCTION 1 pair_cmp(pair, pair);"
        "CREATE INDEX by_pair ON pairs_held (p pair_ops); DROP CONVERSION conv; CREATE CONVERSION conv FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;"
        "CREATE FUNCTION from_two(internal) RETURNS internal LANGUAGE internal IMMUTABLE AS 'int8in'; DROP TRANSFORM FOR int LANGUAGE plpgsql; CREATE TRANSFORM FOR int LANGUAGE plpgsql (FROM SQL WITH FUNCTION from_two(internal));"
        'DROP INDEX by_d; DROP DOMAIN dom; ALTER TABLE sorted DROP b; DROP COLLATION "D d"; CREATE COLLATION "D d" (provider = libc, locale = \'POSIX\'); CREATE INDEX by_d ON sorted (a COLLATE "D d");'
        "DROP VIEW sums; DROP AGGREGATE total (int); CREATE AGGREGATE total (int) (SFUNC = int4mul, STYPE = int); CREATE VIEW sums AS SELECT total(a) FROM (VALUES (1)) v (a)",
    ),
    "languages, search and servers made anew with their dependents": (
        LANGUAGES
        + SEARCH
        + FOREIGN
        + "CREATE TABLE heaped (a int); CREATE TEXT SEARCH TEMPLATE m2 (LEXIZE = dsimple_lexize); CREATE TEXT SEARCH DICTIONARY d2 (TEMPLATE = m2)",
        "DROP LANGUAGE l CASCADE; CREATE LANGUAGE l HANDLER l_handler; CREATE FUNCTION in_l() RETURNS int LANGUAGE l AS 'BEGIN RETURN 1; END'; DROP ACCESS METHOD tree; CREATE ACCESS METHOD tree TYPE INDEX HANDLER hashhandler;"
        "DROP TEXT SEARCH PARSER p CASCADE; CREATE TEXT SEARCH PARSER p (START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end, LEXTYPES = prsd_lextype); CREATE TEXT SEARCH CONFIGURATION c (PARSER = p);"
        "ALTER TEXT SEARCH CONFIGURATION c ADD MAPPING FOR asciiword, hword_part WITH d, english_stem; COMMENT ON TEXT SEARCH CONFIGURATION c IS 'c'; ALTER TEXT SEARCH CONFIGURATION c OWNER TO pg_monitor;"
        "CREATE INDEX words ON found USING gin (to_tsvector('c', t)); DROP TEXT SEARCH TEMPLATE m2 CASCADE; CREATE TEXT SEARCH TEMPLATE m2 (LEXIZE = thesaurus_lexize); CREATE TEXT SEARCH DICTIONARY d2 (TEMPLATE = m2);"
        "CREATE FOREIGN DATA WRAPPER w2; DROP SERVER s CASCADE; CREATE SERVER s FOREIGN DATA WRAPPER w2; CREATE USER MAPPING FOR CURRENT_USER SERVER s",
    ),
    "tables with parents made": ("", HEIRS),
    "tables with parents changed": (
        HEIRS,
        "ALTER TABLE pa ADD CONSTRAINT more CHECK (x < 99), DROP CONSTRAINT pa_y_check; ALTER TABLE ch ALTER y DROP DEFAULT; DROP INDEX chi; COMMENT ON TABLE gc IS 'g';"
        "ALTER TABLE pb OWNER TO pg_monitor; CREATE TABLE ch2 (n int) INHERITS (ch); ALTER TABLE lo NO INHERIT pa",
    ),
    "tables published by name alone": (
        "CREATE TABLE named (id int PRIMARY KEY); CREATE TABLE other (id int PRIMARY KEY); CREATE PUBLICATION plain FOR TABLE named",
        "ALTER PUBLICATION plain ADD TABLE other; DROP TABLE named; COMMENT ON PUBLICATION plain IS 'p'",
    ),
    "publications made": ("CREATE TABLE z (a int)", PUBLISHED),
    "publications changed": (
        PUBLISHED,
        "ALTER PUBLICATION one SET (publish = 'update', publish_via_partition_root = false); ALTER PUBLICATION one SET TABLE x WHERE (a = 'q');"
        "DROP PUBLICATION none; ALTER PUBLICATION two SET TABLES IN SCHEMA public; CREATE PUBLICATION more FOR TABLE ps.y; COMMENT ON PUBLICATION one IS NULL",
    ),
    "table and column that are published dropped": (
        PUBLISHED,
        "ALTER PUBLICATION one DROP TABLE x; ALTER TABLE x DROP a; DROP TABLE ps.y",
    ),
    "default privileges made": ("", DEFAULTS),
    "default privileges changed": (
        DEFAULTS,
        "DROP TABLE plain; DROP FUNCTION f(); ALTER DEFAULT PRIVILEGES REVOKE SELECT ON TABLES FROM pg_monitor; ALTER DEFAULT PRIVILEGES GRANT UPDATE ON TABLES TO PUBLIC;"
        "ALTER DEFAULT PRIVILEGES IN SCHEMA ds REVOKE ALL ON SEQUENCES FROM pg_monitor; CREATE TABLE ds.more (b int GENERATED ALWAYS AS IDENTITY); ALTER TABLE ds.t ADD n serial",
    ),
    "default privileges in the way": (
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC; CREATE TABLE t (a int); REVOKE ALL ON t FROM PUBLIC; CREATE VIEW v AS SELECT 1 AS a",
        "DROP TABLE t; CREATE TABLE u (a int); DROP VIEW v",
    ),
    "database settings made": ("", SETTINGS),
    "database settings changed": (
        SETTINGS,
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path TO public', current_database()); EXECUTE format('ALTER DATABASE %I RESET work_mem', current_database());"
        "EXECUTE format('ALTER ROLE postgres IN DATABASE %I RESET ALL', current_database()); EXECUTE format('COMMENT ON DATABASE %I IS NULL', current_database()); END $$",
    ),
}
