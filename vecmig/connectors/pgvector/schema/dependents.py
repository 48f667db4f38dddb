"""What holds on to a table by its identity: a rename leaves it with that table, not with what gets its name."""

from vecmig.connectors.pgvector.client.session import Session
from vecmig.connectors.pgvector.schema.table import Table

# Functions by their body or by the table's row type; a plpgsql function is bound to names only when it runs.
_OF_OTHERS = """
    SELECT CASE d.classid
               WHEN 'pg_rewrite'::regclass THEN pg_describe_object('pg_class'::regclass, r.ev_class, 0)
               ELSE pg_describe_object(d.classid, d.objid, d.objsubid)
           END
    FROM pg_depend d
    LEFT JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
    LEFT JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
    WHERE d.deptype = 'n'
      AND (d.refclassid = 'pg_class'::regclass AND d.refobjid = %(oid)s
           OR d.refclassid = 'pg_type'::regclass
              AND d.refobjid IN (SELECT unnest(ARRAY[t.oid, t.typarray]) FROM pg_type t WHERE t.typrelid = %(oid)s))
      AND d.classid IN ('pg_rewrite'::regclass, 'pg_class'::regclass, 'pg_proc'::regclass, 'pg_type'::regclass)
      AND r.ev_class IS DISTINCT FROM %(oid)s AND c.oid IS DISTINCT FROM %(oid)s
      AND (c.relkind IS NULL OR c.relkind NOT IN ('i', 'I'))
"""
_ITS_OWN = """
    SELECT pg_describe_object('pg_constraint'::regclass, oid, 0)
    FROM pg_constraint WHERE contype = 'f' AND %(oid)s IN (conrelid, confrelid)
    UNION SELECT pg_describe_object('pg_trigger'::regclass, oid, 0)
    FROM pg_trigger WHERE tgrelid = %(oid)s AND NOT tgisinternal
    UNION SELECT pg_describe_object('pg_rewrite'::regclass, oid, 0) FROM pg_rewrite WHERE ev_class = %(oid)s
    UNION SELECT pg_describe_object('pg_policy'::regclass, oid, 0) FROM pg_policy WHERE polrelid = %(oid)s
    UNION SELECT 'row level security' FROM pg_class WHERE oid = %(oid)s AND relrowsecurity
    UNION SELECT pg_describe_object('pg_publication_rel'::regclass, oid, 0)
    FROM pg_publication_rel WHERE prrelid = %(oid)s
    UNION SELECT pg_describe_object('pg_class'::regclass, inhparent, 0) || ', of which it is a part'
    FROM pg_inherits WHERE inhrelid = %(oid)s
    UNION SELECT pg_describe_object('pg_class'::regclass, inhrelid, 0) || ', a part of it'
    FROM pg_inherits WHERE inhparent = %(oid)s
"""


def dependents(session: Session, table: Table) -> list[str]:
    """Return what depends on a table, or belongs to it and would not to another, each as `view recent`."""
    found = session.execute(f"{_OF_OTHERS} UNION {_ITS_OWN} ORDER BY 1", {"oid": table.oid}).fetchall()
    return [row[0] for row in found]
