"""What ties tables that were moved to the shelf to the rest of the schema, and what the rest looks like.

Nothing on the shelf may hang on the living schema, or its DROP … CASCADE would take a piece of the shelf along; and
nothing there may hang on the shelf, as it would not have survived the DROP TABLE that the move stands for.
"""

from __future__ import annotations

from collections.abc import Sequence

from tagback.engines.postgres.sqltext import literal

# Everything that is in the schemas with the moved tables: `place` is the schema's oid.
_OWN = """
shelf AS (SELECT oid FROM pg_namespace WHERE nspname = ANY ({schemas})),
relation AS (SELECT c.oid, c.relnamespace AS place, c.reltoastrelid FROM pg_class c JOIN shelf s ON s.oid = c.relnamespace),
own (class, id, place) AS (
    SELECT 'pg_class'::regclass, oid, place FROM relation
    UNION ALL SELECT 'pg_class'::regclass, reltoastrelid, place FROM relation WHERE reltoastrelid <> 0
    UNION ALL SELECT 'pg_class'::regclass, i.indexrelid, r.place FROM relation r JOIN pg_index i ON i.indrelid = r.reltoastrelid
    UNION ALL SELECT 'pg_type'::regclass, t.oid, t.typnamespace FROM pg_type t JOIN shelf s ON s.oid = t.typnamespace
    UNION ALL SELECT 'pg_constraint'::regclass, c.oid, r.place FROM pg_constraint c JOIN relation r ON r.oid = c.conrelid
    UNION ALL SELECT 'pg_attrdef'::regclass, d.oid, r.place FROM pg_attrdef d JOIN relation r ON r.oid = d.adrelid
    UNION ALL SELECT 'pg_trigger'::regclass, t.oid, r.place FROM pg_trigger t JOIN relation r ON r.oid = t.tgrelid
    UNION ALL SELECT 'pg_rewrite'::regclass, w.oid, r.place FROM pg_rewrite w JOIN relation r ON r.oid = w.ev_class
    UNION ALL SELECT 'pg_policy'::regclass, p.oid, r.place FROM pg_policy p JOIN relation r ON r.oid = p.polrelid
)"""

# Types and functions that every server has don't count. A foreign key's own triggers go with it. A sequence that isn't the
# table's own may be gone by the time it comes back, and has to be set behind its values then: copies have that done.
_TIES = f"""
WITH {_OWN},
tie AS (
    SELECT d.classid, d.objid, bool_or(a.id IS NULL) AS outside, bool_or(a.id IS NOT NULL AND s.oid IS NOT NULL) AS numbered
    FROM pg_depend d
    LEFT JOIN own a ON a.class = d.classid AND a.id = d.objid
    LEFT JOIN own b ON b.class = d.refclassid AND b.id = d.refobjid
    LEFT JOIN pg_class s ON d.refclassid = 'pg_class'::regclass AND s.oid = d.refobjid AND s.relkind = 'S'
    WHERE a.place IS DISTINCT FROM b.place
        AND (b.place IS NOT NULL OR NOT (
            d.refobjid < 16384 OR (d.refclassid = 'pg_namespace'::regclass AND d.refobjid = a.place)))
    GROUP BY d.classid, d.objid
)
SELECT pg_describe_object(tie.classid, tie.objid, 0), CASE
    WHEN tie.numbered THEN NULL
    WHEN v.relkind = 'v' AND w.rulename = '_RETURN' THEN format('DROP VIEW IF EXISTS %s CASCADE', v.oid::regclass)
    WHEN v.relkind = 'm' AND w.rulename = '_RETURN' THEN
        format('DROP MATERIALIZED VIEW IF EXISTS %s CASCADE', v.oid::regclass)
    WHEN w.oid IS NOT NULL THEN format('DROP RULE IF EXISTS %I ON %s CASCADE', w.rulename, v.oid::regclass)
    WHEN c.conrelid <> 0 THEN
        format('ALTER TABLE IF EXISTS %s DROP CONSTRAINT IF EXISTS %I CASCADE', c.conrelid::regclass, c.conname)
    WHEN t.oid IS NOT NULL THEN format('DROP TRIGGER IF EXISTS %I ON %s', t.tgname, t.tgrelid::regclass)
    WHEN p.oid IS NOT NULL THEN format('DROP POLICY IF EXISTS %I ON %s', p.polname, p.polrelid::regclass)
    WHEN a.attgenerated = '' THEN format('ALTER TABLE IF EXISTS %s ALTER %I DROP DEFAULT', a.attrelid::regclass, a.attname)
    WHEN i.relkind = 'i' AND of.oid IS NOT NULL THEN
        format('ALTER TABLE IF EXISTS %s DROP CONSTRAINT IF EXISTS %I CASCADE', of.conrelid::regclass, of.conname)
    WHEN i.relkind = 'i' THEN format('DROP INDEX IF EXISTS %s', i.oid::regclass)
    WHEN f.oid IS NOT NULL THEN format('DROP ROUTINE IF EXISTS %s CASCADE', f.oid::regprocedure)
    WHEN e.oid IS NOT NULL THEN format('DROP STATISTICS IF EXISTS %I.%I', e.stxnamespace::regnamespace::name, e.stxname)
    WHEN r.oid IS NOT NULL THEN format('ALTER PUBLICATION %I DROP TABLE ONLY %s', b.pubname, r.prrelid::regclass)
    END
FROM tie
    LEFT JOIN pg_rewrite w ON tie.classid = 'pg_rewrite'::regclass AND w.oid = tie.objid
    LEFT JOIN pg_class v ON v.oid = w.ev_class
    LEFT JOIN pg_constraint c ON tie.classid = 'pg_constraint'::regclass AND c.oid = tie.objid
    LEFT JOIN pg_trigger t ON tie.classid = 'pg_trigger'::regclass AND t.oid = tie.objid
    LEFT JOIN pg_policy p ON tie.classid = 'pg_policy'::regclass AND p.oid = tie.objid
    LEFT JOIN pg_attrdef d ON tie.classid = 'pg_attrdef'::regclass AND d.oid = tie.objid
    LEFT JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
    LEFT JOIN pg_class i ON tie.classid = 'pg_class'::regclass AND i.oid = tie.objid
    LEFT JOIN pg_constraint of ON of.conindid = i.oid AND of.contype IN ('p', 'u', 'x')
    LEFT JOIN pg_proc f ON tie.classid = 'pg_proc'::regclass AND f.oid = tie.objid
    LEFT JOIN pg_statistic_ext e ON tie.classid = 'pg_statistic_ext'::regclass AND e.oid = tie.objid
    LEFT JOIN pg_publication_rel r ON tie.classid = 'pg_publication_rel'::regclass AND r.oid = tie.objid
    LEFT JOIN pg_publication b ON b.oid = r.prpubid
WHERE t.tgisinternal IS NOT true
ORDER BY NOT tie.outside, tie.classid, tie.objid"""

# The schemas are shown to nobody, whatever ALTER DEFAULT PRIVILEGES grants. Grants on what is in them stay, and so their order,
# unless somebody passed them on: a dump makes such ones in that role's name, who may not use the schema.
_RIGHTS = """
WITH place AS (SELECT oid, nspname, nspowner, nspacl FROM pg_namespace WHERE nspname = ANY ({schemas})),
relation AS (SELECT c.*, oid::regclass AS name FROM pg_class c WHERE relnamespace IN (SELECT oid FROM place)),
granted (what, owner, acl) AS (
    SELECT format('SCHEMA %I', nspname), nspowner, nspacl FROM place
    UNION ALL SELECT format('%s %s', CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, name), relowner, relacl FROM relation
    UNION ALL SELECT format('TABLE %s', name), relowner, attacl FROM relation JOIN pg_attribute ON attrelid = relation.oid
),
item AS (SELECT what, owner, a.* FROM granted, aclexplode(acl) a)
SELECT DISTINCT format('REVOKE ALL ON %s FROM %s CASCADE', what,
    CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END)
FROM item WHERE grantee <> owner
    AND (what LIKE 'SCHEMA %' OR what IN (SELECT what FROM item WHERE grantor <> owner))"""

# What one of these rows doesn't tell (a body, a text) can't be changed by dropping something. Temporary tables come and go.
_REST = """
WITH aside AS (
    SELECT oid FROM pg_namespace WHERE nspname = ANY ({schemas}) OR nspname ~ '^pg_(toast|temp)'
),
relation AS MATERIALIZED (
    SELECT c.* FROM pg_class c WHERE c.oid >= 16384 AND c.relnamespace NOT IN (SELECT oid FROM aside)
),
row (h) AS (
    SELECT hash_record_extended((1259, oid, relname, relnamespace, relowner, relkind, relnatts, relchecks,
        relrowsecurity, relforcerowsecurity, relreplident), 0) FROM relation
    UNION ALL SELECT hash_record_extended((1249, attrelid, attnum, attname, atttypid, attnotnull, atthasdef, attisdropped), 0)
        FROM pg_attribute JOIN relation r ON r.oid = attrelid WHERE attnum > 0 AND relkind NOT IN ('i', 'S')
    UNION ALL SELECT hash_record_extended((1247, oid, typname, typnamespace, typtype), 0)
        FROM pg_type WHERE oid >= 16384 AND typnamespace NOT IN (SELECT oid FROM aside)
    UNION ALL SELECT hash_record_extended((2606, oid, conname, conrelid, contypid, convalidated), 0)
        FROM pg_constraint WHERE oid >= 16384 AND connamespace NOT IN (SELECT oid FROM aside)
    UNION ALL SELECT hash_record_extended((2604, d.oid, adrelid, adnum), 0) FROM pg_attrdef d JOIN relation r ON r.oid = adrelid
    UNION ALL SELECT hash_record_extended((2620, t.oid, tgrelid, tgname, tgenabled), 0)
        FROM pg_trigger t JOIN relation r ON r.oid = tgrelid
    UNION ALL SELECT hash_record_extended((2618, w.oid, ev_class, rulename), 0)
        FROM pg_rewrite w JOIN relation r ON r.oid = ev_class
    UNION ALL SELECT hash_record_extended((3256, p.oid, polrelid, polname), 0)
        FROM pg_policy p JOIN relation r ON r.oid = polrelid
    UNION ALL SELECT hash_record_extended((1255, oid, proname, pronamespace), 0) FROM pg_proc WHERE oid >= 16384
    UNION ALL SELECT hash_record_extended((3381, oid, stxname, stxnamespace), 0) FROM pg_statistic_ext
    UNION ALL SELECT hash_record_extended((6106, oid, prpubid, prrelid), 0) FROM pg_publication_rel
    UNION ALL SELECT hash_record_extended((2611, inhrelid, inhparent, inhseqno), 0) FROM pg_inherits
    UNION ALL SELECT hash_record_extended((2605, oid), 0) FROM pg_cast WHERE oid >= 16384
    UNION ALL SELECT hash_record_extended((2617, oid), 0) FROM pg_operator WHERE oid >= 16384
)
SELECT count(*), sum(h)::text FROM row"""


def ties(schemas: Sequence[str]) -> str:
    """The query for what hangs on tables in these schemas, each with one moved table, and on what something there hangs.

    Its rows: the dependent in words, and the statement that takes it away, NULL where there is none.
    """
    return _TIES.replace("{schemas}", _array(schemas))


def rights(schemas: Sequence[str]) -> str:
    """The query for statements that take away what others than the owner may do there, where that can't stay."""
    return _RIGHTS.replace("{schemas}", _array(schemas))


def rest(without: Sequence[str]) -> str:
    """The query for something short that stands for all of the schema but what is in these schemas."""
    return _REST.replace("{schemas}", _array(without))


def _array(names: Sequence[str]) -> str:
    return f"ARRAY[{', '.join(map(literal, names))}]::name[]"
