"""Everything else that a dump of the schema would show: seen and watched, not made or unmade."""

from __future__ import annotations

import functools

from tagback.catalog import ObjectId, UnmanagedObject
from tagback.engines.postgres.reading import Query, Rare, Reading

_OWNER = (
    "(SELECT string_agg(x::text, ' ' ORDER BY x::text) FROM unnest(coalesce({acl}, acldefault('{kind}', {owner}))) x)"
)

# Kind, where it has no rows if there is none (see Rare), and the query: catalog, oid, name, definition.
_SEEN: tuple[tuple[str, str, str], ...] = (
    (
        "aggregate",
        "pg_aggregate WHERE aggfnoid >= 16384",
        """SELECT 'pg_proc'::regclass, p.oid, ARRAY[n.nspname, p.proname, oidvectortypes(p.proargtypes)],
                  concat_ws('|', p.proowner::regrole, pg_get_function_arguments(p.oid), a.aggkind, a.aggnumdirectargs,
                    a.aggtransfn::regprocedure, a.aggfinalfn::regprocedure, a.aggcombinefn::regprocedure,
                    a.aggserialfn::regprocedure, a.aggdeserialfn::regprocedure, a.aggmtransfn::regprocedure,
                    a.aggminvtransfn::regprocedure, a.aggmfinalfn::regprocedure, a.aggfinalextra, a.aggmfinalextra,
                    a.aggfinalmodify, a.aggmfinalmodify, a.aggsortop::regoperator, a.aggtranstype::regtype,
                    a.aggtransspace, a.aggmtranstype::regtype, a.aggmtransspace, a.agginitval, a.aggminitval,
                    p.proparallel, """
        + _OWNER.format(acl="p.proacl", kind="f", owner="p.proowner")
        + """)
             FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_aggregate a ON a.aggfnoid = p.oid
            WHERE p.pronamespace IN ({ns})""",
    ),
    (
        "base type",
        "pg_type WHERE typtype IN ('b', 'p') AND typinput <> 'array_in'::regproc AND oid >= 16384",
        """SELECT 'pg_type'::regclass, t.oid, ARRAY[n.nspname, t.typname],
                  concat_ws('|', t.typtype, t.typowner::regrole, t.typinput, t.typoutput, t.typreceive, t.typsend,
                    t.typmodin, t.typmodout, t.typanalyze, t.typlen, t.typbyval, t.typalign, t.typstorage,
                    t.typcategory, t.typispreferred, t.typdelim, t.typdefault, t.typisdefined, """
        + _OWNER.format(acl="t.typacl", kind="T", owner="t.typowner")
        + """)
             FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
            WHERE (t.typtype = 'p' OR t.typtype = 'b' AND NOT EXISTS (SELECT FROM pg_type e
                                                                     WHERE e.oid = t.typelem AND e.typarray = t.oid))
              AND t.typnamespace IN ({ns})""",
    ),
    (
        "operator",
        "pg_operator WHERE oid >= 16384",
        """SELECT 'pg_operator'::regclass, o.oid,
                  ARRAY[n.nspname, o.oprname, format_type(o.oprleft, NULL), format_type(o.oprright, NULL)],
                  concat_ws('|', o.oprowner::regrole, o.oprcode::regprocedure, o.oprresult::regtype,
                    o.oprcom::regoperator, o.oprnegate::regoperator, o.oprrest::regproc, o.oprjoin::regproc,
                    o.oprcanmerge, o.oprcanhash)
             FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace WHERE o.oprnamespace IN ({ns})""",
    ),
    (
        "operator class",
        "pg_opclass WHERE oid >= 16384",
        """SELECT 'pg_opclass'::regclass, c.oid, ARRAY[n.nspname, c.opcname, m.amname],
                  concat_ws('|', c.opcowner::regrole, c.opcintype::regtype, c.opcdefault, c.opckeytype::regtype, f.opfname)
             FROM pg_opclass c JOIN pg_namespace n ON n.oid = c.opcnamespace JOIN pg_am m ON m.oid = c.opcmethod
             JOIN pg_opfamily f ON f.oid = c.opcfamily WHERE c.opcnamespace IN ({ns})""",
    ),
    (
        "operator family",
        "pg_opfamily WHERE oid >= 16384",
        """SELECT 'pg_opfamily'::regclass, f.oid, ARRAY[n.nspname, f.opfname, m.amname],
                  concat_ws('|', f.opfowner::regrole,
                    (SELECT string_agg(concat_ws(' ', amopstrategy, amopopr::regoperator, amoppurpose), ','
                                       ORDER BY amopstrategy, amopopr::regoperator::text)
                       FROM pg_amop WHERE amopfamily = f.oid),
                    (SELECT string_agg(amprocnum || ' ' || amproc::regprocedure, ','
                                       ORDER BY amprocnum, amproc::regprocedure::text)
                       FROM pg_amproc WHERE amprocfamily = f.oid))
             FROM pg_opfamily f JOIN pg_namespace n ON n.oid = f.opfnamespace JOIN pg_am m ON m.oid = f.opfmethod
            WHERE f.opfnamespace IN ({ns})""",
    ),
    (
        "cast",
        "pg_cast WHERE oid >= 16384",
        """SELECT 'pg_cast'::regclass, c.oid, ARRAY[format_type(c.castsource, NULL), format_type(c.casttarget, NULL)],
                  concat_ws('|', c.castcontext, c.castmethod, c.castfunc::regprocedure)
             FROM pg_cast c
            WHERE c.oid >= 16384 AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_cast'::regclass
                                                    AND d.objid = c.oid AND d.deptype = 'i')""",
    ),
    (
        "collation",
        "pg_collation WHERE oid >= 16384",
        """SELECT 'pg_collation'::regclass, c.oid, ARRAY[n.nspname, c.collname],
                  (to_jsonb(c) - 'oid' - 'collnamespace' - 'collowner')::text || '|' || c.collowner::regrole
             FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace WHERE c.collnamespace IN ({ns})""",
    ),
    (
        "conversion",
        "pg_conversion WHERE oid >= 16384",
        """SELECT 'pg_conversion'::regclass, c.oid, ARRAY[n.nspname, c.conname],
                  concat_ws('|', c.conowner::regrole, c.conforencoding, c.contoencoding, c.conproc::regproc, c.condefault)
             FROM pg_conversion c JOIN pg_namespace n ON n.oid = c.connamespace WHERE c.connamespace IN ({ns})""",
    ),
    (
        "language",
        "pg_language WHERE oid >= 16384",
        """SELECT 'pg_language'::regclass, l.oid, ARRAY[l.lanname],
                  concat_ws('|', l.lanowner::regrole, l.lanpltrusted, """
        + _OWNER.format(acl="l.lanacl", kind="l", owner="l.lanowner")
        + """) FROM pg_language l WHERE l.oid >= 16384""",
    ),
    (
        "transform",
        "pg_transform",
        """SELECT 'pg_transform'::regclass, t.oid, ARRAY[format_type(t.trftype, NULL), l.lanname],
                  concat_ws('|', t.trffromsql::regprocedure, t.trftosql::regprocedure)
             FROM pg_transform t JOIN pg_language l ON l.oid = t.trflang""",
    ),
    (
        "access method",
        "pg_am WHERE oid >= 16384",
        "SELECT 'pg_am'::regclass, oid, ARRAY[amname], concat_ws('|', amhandler, amtype) FROM pg_am WHERE oid >= 16384",
    ),
    (
        "text search configuration",
        "pg_ts_config WHERE oid >= 16384",
        """SELECT 'pg_ts_config'::regclass, c.oid, ARRAY[n.nspname, c.cfgname],
                  concat_ws('|', c.cfgowner::regrole, (SELECT prsname FROM pg_ts_parser p WHERE p.oid = c.cfgparser),
                    (SELECT string_agg(maptokentype || ':' || mapdict::regdictionary, ','
                                       ORDER BY maptokentype, mapseqno)
                       FROM pg_ts_config_map m WHERE m.mapcfg = c.oid))
             FROM pg_ts_config c JOIN pg_namespace n ON n.oid = c.cfgnamespace WHERE c.cfgnamespace IN ({ns})""",
    ),
    (
        "text search dictionary",
        "pg_ts_dict WHERE oid >= 16384",
        """SELECT 'pg_ts_dict'::regclass, d.oid, ARRAY[n.nspname, d.dictname],
                  concat_ws('|', d.dictowner::regrole,
                    (SELECT tmplname FROM pg_ts_template t WHERE t.oid = d.dicttemplate), d.dictinitoption)
             FROM pg_ts_dict d JOIN pg_namespace n ON n.oid = d.dictnamespace WHERE d.dictnamespace IN ({ns})""",
    ),
    (
        "text search parser",
        "pg_ts_parser WHERE oid >= 16384",
        """SELECT 'pg_ts_parser'::regclass, p.oid, ARRAY[n.nspname, p.prsname],
                  concat_ws('|', prsstart, prstoken, prsend, prsheadline, prslextype)
             FROM pg_ts_parser p JOIN pg_namespace n ON n.oid = p.prsnamespace WHERE p.prsnamespace IN ({ns})""",
    ),
    (
        "text search template",
        "pg_ts_template WHERE oid >= 16384",
        """SELECT 'pg_ts_template'::regclass, p.oid, ARRAY[n.nspname, p.tmplname], concat_ws('|', tmplinit, tmpllexize)
             FROM pg_ts_template p JOIN pg_namespace n ON n.oid = p.tmplnamespace WHERE p.tmplnamespace IN ({ns})""",
    ),
    (
        "foreign data wrapper",
        "pg_foreign_data_wrapper",
        """SELECT 'pg_foreign_data_wrapper'::regclass, f.oid, ARRAY[f.fdwname],
                  concat_ws('|', f.fdwowner::regrole, f.fdwhandler::regproc, f.fdwvalidator::regproc,
                    f.fdwoptions::text, """
        + _OWNER.format(acl="f.fdwacl", kind="F", owner="f.fdwowner")
        + """) FROM pg_foreign_data_wrapper f""",
    ),
    (
        "foreign server",
        "pg_foreign_server",
        """SELECT 'pg_foreign_server'::regclass, s.oid, ARRAY[s.srvname],
                  concat_ws('|', s.srvowner::regrole, f.fdwname, s.srvtype, s.srvversion, s.srvoptions::text, """
        + _OWNER.format(acl="s.srvacl", kind="S", owner="s.srvowner")
        + """) FROM pg_foreign_server s JOIN pg_foreign_data_wrapper f ON f.oid = s.srvfdw""",
    ),
    (
        "user mapping",
        "pg_foreign_server",
        """SELECT 'pg_foreign_server'::regclass, 0::oid, ARRAY[srvname, usename], umoptions::text
             FROM pg_user_mappings""",
    ),
    (
        "publication",
        "pg_publication",
        """SELECT 'pg_publication'::regclass, p.oid, ARRAY[p.pubname],
                  concat_ws('|', p.pubowner::regrole, (to_jsonb(p) - 'oid' - 'pubowner')::text{pubns})
             FROM pg_publication p WHERE p.pubname !~ '^tagback(_|$)'""",
    ),
    (
        "publication of table",
        "pg_publication_rel",
        """SELECT 'pg_publication_rel'::regclass, pr.oid, ARRAY[p.pubname, n.nspname, c.relname],
                  concat_ws('|', ''{pubrel})
             FROM pg_publication_rel pr JOIN pg_publication p ON p.oid = pr.prpubid
             JOIN pg_class c ON c.oid = pr.prrelid JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE p.pubname !~ '^tagback(_|$)'""",
    ),
    (
        "subscription",
        "pg_subscription",
        """SELECT 'pg_subscription'::regclass, s.oid, ARRAY[s.subname],
                  concat_ws('|', s.subowner::regrole, s.subslotname, s.subsynccommit, s.subpublications::text, s.subbinary)
             FROM pg_subscription s WHERE s.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())""",
    ),
    (
        "default privileges",
        "pg_default_acl",
        """SELECT 'pg_default_acl'::regclass, d.oid,
                  ARRAY[d.defaclrole::regrole::text, coalesce(n.nspname, ''), d.defaclobjtype::text],
                  (SELECT string_agg(x::text, ' ' ORDER BY x::text) FROM unnest(d.defaclacl) x)
             FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace
            WHERE d.defaclnamespace = 0 OR d.defaclnamespace IN ({ns})""",
    ),
    (
        "database setting",
        "pg_db_role_setting",
        """SELECT 'pg_database'::regclass, 0::oid,
                  ARRAY[coalesce((SELECT rolname FROM pg_roles r WHERE r.oid = setrole), ''), split_part(s, '=', 1)], s
             FROM pg_db_role_setting, unnest(setconfig) s
            WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())""",
    ),
    (
        "database comment",
        "pg_shdescription WHERE classoid = 'pg_database'::regclass",
        """SELECT 'pg_database'::regclass, 0::oid, ARRAY['database'], description
             FROM pg_shdescription WHERE classoid = 'pg_database'::regclass
              AND objoid = (SELECT oid FROM pg_database WHERE datname = current_database())""",
    ),
    (
        "security label",
        "pg_seclabel",
        """SELECT l.classoid, 0::oid, ARRAY[l.provider, o.type, o.identity], l.label
             FROM pg_seclabel l, pg_identify_object(l.classoid, l.objoid, l.objsubid) o""",
    ),
)


def asked(major: int) -> tuple[Query, ...]:
    """What `read` asks."""
    return tuple(query for _, query in _queries(major))


@functools.cache
def _queries(major: int) -> tuple[tuple[str, Rare], ...]:
    """The query for each kind, in the form that this major version has."""
    fill = {
        "{pubns}": ", (SELECT string_agg(pnnspid::regnamespace::text, ',' ORDER BY 1)"
        " FROM pg_publication_namespace WHERE pnpubid = p.oid)"
        if major >= 15
        else "",
        "{pubrel}": ", pg_get_expr(pr.prqual, pr.prrelid), (SELECT string_agg(attname, ',' ORDER BY attname)"
        " FROM pg_attribute WHERE attrelid = pr.prrelid AND attnum = ANY (pr.prattrs::int2[]))"
        if major >= 15
        else "",
    }
    found = []
    for kind, unless, query in _SEEN:
        sql = query
        for place, text in fill.items():
            sql = sql.replace(place, text)
        found.append((kind, Rare(f"SELECT c::oid, o, n::text[], md5(d) FROM ({sql}) AS x (c, o, n, d)", unless)))
    return tuple(found)


def read(r: Reading) -> None:
    for kind, query in _queries(r.major):
        for classid, oid, name, digest in r.rows(query):
            if oid and r.is_member(classid, oid):
                continue
            comment = r.comment(classid, oid) if oid else ""
            found = UnmanagedObject(id=ObjectId(kind, tuple(name)), digest=f"{digest} {comment}".rstrip())
            r.objects[found.id] = found
            if oid:
                r.addresses[classid, oid] = found.id
