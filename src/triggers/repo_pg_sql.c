/* The PostgreSQL store: its statements.
 * Layer: triggers. Parameters are binary, so each names its type where it first stands. */
#include "triggers/repo_pg.h"

#include "base/ban.h"

/* clang-format off */

/* Rows that no other server holds. $1 is this process. */
#define FREE(t) \
	"(" t "locked_until IS NULL OR " t "locked_until<now() OR " \
	t "locked_by=$1::text)"
#define PUSHES(t) \
	t "webhook_url IS NOT NULL AND " t "webhook_enabled AND " \
	t "webhook_disabled_reason IS NULL"
#define UNLOCK "locked_by=NULL,locked_until=NULL"

/* ---- claims ------------------------------------------------------------------------------- */

/* Organizations with a planned row, one seek each: those behind the rotor ($2), then those up to
 * it. The walk is as long as the claim needs and never longer than 1,000. */
#define NEXT_ORG(cond) \
	"SELECT d.organization_id FROM event_deliveries d" \
	" WHERE d.next_attempt_at IS NOT NULL AND " cond \
	" ORDER BY d.organization_id LIMIT 1"
#define ORGS \
	"RECURSIVE o1(org,n) AS (SELECT x.organization_id,1 FROM (" \
	NEXT_ORG("d.organization_id>$2::uuid") ") x" \
	" UNION ALL SELECT x.organization_id,n+1 FROM o1 CROSS JOIN LATERAL (" \
	NEXT_ORG("d.organization_id>o1.org") ") x WHERE n<1000)," \
	"o2(org,n) AS (SELECT x.organization_id,1 FROM (" \
	NEXT_ORG("d.organization_id<=$2::uuid") ") x" \
	" UNION ALL SELECT x.organization_id,n+1 FROM o2 CROSS JOIN LATERAL (" \
	NEXT_ORG("d.organization_id>o2.org AND d.organization_id<=$2::uuid") \
	") x WHERE n<1000)," \
	"orgs AS (SELECT org FROM o1 UNION ALL SELECT org FROM o2)"

/* The first rows of one organization that are due, by status. */
#define DUE_ROWS(status) \
	"(SELECT d.event_id FROM event_deliveries d WHERE NOT g.webhook_ordered" \
	" AND d.organization_id=o.org AND d.status='" status "'" \
	" AND d.next_attempt_at<=$3::timestamptz AND " FREE("d.") \
	" ORDER BY d.next_attempt_at,d.event_id LIMIT $4::bigint+1)"
/* Strict order: the oldest row that is not final, whoever holds it. */
#define HEAD_OF(status) \
	"(SELECT d.event_id,d.next_attempt_at,d.locked_by,d.locked_until" \
	" FROM event_deliveries d WHERE d.organization_id=o.org" \
	" AND d.status='" status "' AND d.next_attempt_at IS NOT NULL" \
	" ORDER BY d.event_id LIMIT 1)"
#define HEAD_ROW \
	"(SELECT h.event_id FROM (SELECT * FROM (" HEAD_OF("pending") \
	" UNION ALL " HEAD_OF("retrying") ") i ORDER BY event_id LIMIT 1) h" \
	" WHERE g.webhook_ordered AND h.next_attempt_at<=$3::timestamptz AND " \
	FREE("h.") ")"
/* The organizations come in the order of `orgs`: everything else depends on the row of it. */
#define CANDIDATES \
	"cand AS MATERIALIZED (SELECT row_number() OVER () AS ord,c.* FROM (" \
	"SELECT o.org,r.event_id,r.rn>$4::bigint AS extra FROM orgs o" \
	" CROSS JOIN LATERAL (SELECT g.webhook_ordered FROM organizations g" \
	" WHERE g.id=o.org AND " PUSHES("g.") " OFFSET 0) g" \
	" CROSS JOIN LATERAL (SELECT event_id,row_number() OVER (ORDER BY event_id)" \
	" AS rn FROM (SELECT event_id FROM (" DUE_ROWS("pending") " UNION ALL " \
	DUE_ROWS("retrying") " UNION ALL " HEAD_ROW ") u" \
	" ORDER BY event_id LIMIT $4::bigint+1) v) r" \
	" WHERE o.org<>ALL($5::uuid[]) LIMIT $6::bigint+1) c)"

/* ---- pages -------------------------------------------------------------------------------- */

/* $1 organization, $2 and $3 ids around (exclusive), $4 type or NULL, $5 prefix or NULL (bytes: it
 * may end in the middle of a character), $6 and $7 times or NULL, $8 only acknowledged, $9 status
 * or NULL. */
#define MATCH \
	" AND ($4::bytea IS NULL OR convert_to(e.event_type,'UTF8')=$4)" \
	" AND ($5::bytea IS NULL OR" \
	" substr(convert_to(e.event_type,'UTF8'),1,length($5))=$5)" \
	" AND ($6::timestamptz IS NULL OR e.created_at>=$6)" \
	" AND ($7::timestamptz IS NULL OR e.created_at<$7)" \
	" AND (NOT $8::bool OR d.acknowledged_at IS NOT NULL)"
#define ROW_COLS \
	"e.id,e.event_type,e.dedup_id,e.payload,d.status,d.attempts," \
	"d.response_status,d.error_message,e.created_at,d.updated_at," \
	"d.next_attempt_at,d.delivered_at,d.acknowledged_at"
#define ANY(cols) \
	"SELECT " cols " FROM events e JOIN event_deliveries d ON d.event_id=e.id" \
	" WHERE e.organization_id=$1::uuid AND e.id>$2::uuid AND e.id<$3::uuid" \
	MATCH " AND ($9::text IS NULL OR d.status=$9)"
#define WITH_STATUS(cols, status) \
	"SELECT " cols " FROM event_deliveries d JOIN events e ON e.id=d.event_id" \
	" WHERE d.organization_id=$1::uuid AND d.event_id>$2::uuid" \
	" AND d.event_id<$3::uuid AND d.status=" status MATCH
#define ONE(cols) WITH_STATUS(cols, "$9::text")
/* pending or retrying: two sorted ranges, merged. */
#define OPEN(cols, dir) \
	"SELECT * FROM ((" WITH_STATUS(cols, "'pending'") \
	" AND $9::text IS NULL ORDER BY d.event_id " dir " LIMIT $10::bigint+$11)" \
	" UNION ALL (" WITH_STATUS(cols, "'retrying'") \
	" ORDER BY d.event_id " dir " LIMIT $10::bigint+$11)) u"
/* $10 rows, $11 to skip, $12 bytes of payloads after which no more rows come. The column before
 * the last is how many rows there were before the bytes cut them. */
#define PAGE(rows, dir) \
	"SELECT * FROM (SELECT p.*,count(*) OVER () AS found," \
	"coalesce(sum(octet_length(payload::text)) OVER (ORDER BY id " dir \
	" ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING),0) AS before FROM (" \
	rows " ORDER BY id " dir " LIMIT $10::bigint OFFSET $11::bigint) p) w" \
	" WHERE before<=$12::bigint ORDER BY id " dir
#define TOTAL(rows) "SELECT count(*) FROM (" rows ") t"
#define TOTAL_OPEN \
	TOTAL(WITH_STATUS("1", "'pending'") " AND $9::text IS NULL UNION ALL " \
	      WITH_STATUS("1", "'retrying'"))

/* Attempts back to 0, due at $12. */
#define REPLAY_SET \
	"status='pending',attempts=0,response_status=NULL,error_message=NULL," \
	"delivered_at=NULL,acknowledged_at=NULL," UNLOCK
#define REPLAY(rows) \
	"UPDATE event_deliveries t SET " REPLAY_SET \
	",next_attempt_at=$12::timestamptz,updated_at=$12::timestamptz" \
	" FROM (" rows " ORDER BY id LIMIT $10::bigint OFFSET $11::bigint) s" \
	" WHERE t.event_id=s.id RETURNING t.event_id"

const char *const zk_pgr_sql[ZK_PGR_STMTS] = {
	/* Ids, organizations, types, dedup_ids, payloads, times, modes (1 = due, 2 = stored as
	 * delivered), window (NULL = for ever), latest time. First attempts are due at once, also
	 * when this server's clock is ahead of the database's. */
	[ZK_PGR_INGEST] =
	        "WITH i AS (SELECT * FROM unnest($1::uuid[],$2::uuid[],$3::text[],"
	        "$4::text[],$5::json[],$6::timestamptz[],$7::int2[])"
	        " AS t(id,org,type,dedup,payload,at,mode)),"
	        "d AS (INSERT INTO deduplication_cache AS c"
	        " SELECT org,dedup,id,coalesce(at+$8::bigint*interval '1 microsecond',"
	        "'infinity') FROM i WHERE dedup IS NOT NULL"
	        " ON CONFLICT (organization_id,dedup_id) DO UPDATE SET"
	        " event_id=excluded.event_id,expires_at=excluded.expires_at"
	        " WHERE c.expires_at<=least(excluded.expires_at-"
	        "coalesce($8::bigint,0)*interval '1 microsecond',$9::timestamptz)"
	        " RETURNING event_id),"
	        "n AS (SELECT * FROM i WHERE dedup IS NULL OR id IN"
	        " (SELECT event_id FROM d)),"
	        "e AS (INSERT INTO events SELECT id,org,type,dedup,payload,at FROM n)"
	        "INSERT INTO event_deliveries(event_id,organization_id,status,"
	        "next_attempt_at,response_status,delivered_at,updated_at)"
	        " SELECT id,org,CASE mode WHEN 2 THEN 'delivered' ELSE 'pending' END,"
	        "CASE mode WHEN 1 THEN least(at,clock_timestamp()) END,"
	        "CASE mode WHEN 2 THEN 200 END,CASE mode WHEN 2 THEN at END,at"
	        " FROM n RETURNING event_id",
	/* Who has these dedup_ids. */
	[ZK_PGR_FIRST] =
	        "SELECT t.n,c.event_id,e.created_at FROM unnest($1::uuid[],$2::text[])"
	        " WITH ORDINALITY AS t(org,dedup,n) JOIN deduplication_cache c"
	        " ON c.organization_id=t.org AND c.dedup_id=t.dedup"
	        " LEFT JOIN events e ON e.id=c.event_id",
	/* $1 me, then arrays: ids, organizations, statuses, attempts, next, last, response, error,
	 * delivered, now. */
	[ZK_PGR_OUTCOME] =
	        "UPDATE event_deliveries d SET status=o.status,"
	        "attempts=greatest(d.attempts,o.attempt),next_attempt_at=o.next_at,"
	        "last_attempt_at=o.last_at,response_status=o.response,"
	        "error_message=o.error,delivered_at=o.delivered,updated_at=o.now_"
	        "at," UNLOCK " FROM unnest($2::uuid[],$3::uuid[],$4::text[],$5::int4[],"
	        "$6::timestamptz[],$7::timestamptz[],$8::int4[],$9::text[],"
	        "$10::timestamptz[],$11::timestamptz[]) AS o(id,org,status,attempt,"
	        "next_at,last_at,response,error,delivered,now_at)"
	        " WHERE d.event_id=o.id AND d.organization_id=o.org"
	        " AND d.status IN ('pending','retrying')"
	        " AND (d.locked_by=$1::text OR d.locked_by IS NULL) RETURNING d.event_id",
	/* History, of events that are there; the latest twenty stay. */
	[ZK_PGR_ATTEMPT] =
	        "WITH a AS (SELECT o.*,coalesce((SELECT max(attempt) FROM"
	        " delivery_attempts x WHERE x.event_id=o.id),0)+1 AS n"
	        " FROM unnest($1::uuid[],$2::uuid[],$3::timestamptz[],$4::float8[],"
	        "$5::int4[],$6::text[],$7::text[]) AS o(id,org,at,ms,response,error,body)"
	        " WHERE EXISTS (SELECT FROM event_deliveries d WHERE d.event_id=o.id"
	        " AND d.organization_id=o.org)),"
	        "t AS (DELETE FROM delivery_attempts x USING a"
	        " WHERE a.n>20 AND x.event_id=a.id AND x.attempt<=a.n-20)"
	        "INSERT INTO delivery_attempts SELECT id,n,at,ms,response,error,body"
	        " FROM a ON CONFLICT DO NOTHING",
	/* Organizations, ids, times. */
	[ZK_PGR_ACK] =
	        "WITH a AS MATERIALIZED (SELECT t.n,t.now_at,d.event_id,d.status,"
	        "d.acknowledged_at FROM unnest($1::uuid[],$2::uuid[],$3::timestamptz[])"
	        " WITH ORDINALITY AS t(org,id,now_at,n) JOIN event_deliveries d"
	        " ON d.event_id=t.id AND d.organization_id=t.org"
	        " ORDER BY d.event_id FOR UPDATE OF d),"
	        "u AS (UPDATE event_deliveries d SET status='delivered',"
	        "acknowledged_at=a.now_at,updated_at=a.now_at,next_attempt_at=NULL,"
	        "delivered_at=CASE d.status WHEN 'delivered' THEN d.delivered_at"
	        " ELSE a.now_at END," UNLOCK
	        " FROM a WHERE d.event_id=a.event_id AND a.acknowledged_at IS NULL)"
	        "SELECT n,status,acknowledged_at FROM a",
	[ZK_PGR_RELEASE] =
	        "UPDATE event_deliveries SET attempts=greatest(attempts-1,0)," UNLOCK
	        " WHERE event_id=ANY($2::uuid[]) AND locked_by=$1::text"
	        " AND status IN ('pending','retrying')",
	/* The twelve columns of an organization, then key_id, hash, mac, created, expires, used. */
	[ZK_PGR_CREATE] =
	        "WITH o AS (INSERT INTO organizations VALUES($1::uuid,$2::text,$3::text,"
	        "$4::bigint,$5::text,$6::bool,$7::text,$8::bool,$9::bigint,NULL,"
	        "$10::timestamptz,$11::timestamptz) ON CONFLICT DO NOTHING RETURNING id)"
	        "INSERT INTO api_keys SELECT $12::text,id,$13::text,$14::bytea,"
	        "$15::timestamptz,NULL,NULL FROM o",
	[ZK_PGR_ROTATE] =
	        "WITH o AS (SELECT id FROM organizations WHERE id=$1::uuid FOR UPDATE),"
	        "e AS (UPDATE api_keys k SET expires_at=CASE WHEN $8::bool"
	        " THEN least($2::timestamptz,clock_timestamp()) ELSE $2 END FROM o"
	        " WHERE k.organization_id=o.id AND (k.expires_at IS NULL OR"
	        " k.expires_at>$2))"
	        "INSERT INTO api_keys SELECT $3::text,id,$4::text,$5::bytea,"
	        "$6::timestamptz,$7::timestamptz,NULL FROM o",
	[ZK_PGR_NOTIFY] = "SELECT pg_notify('" ZK_PGR_CHANNEL "',id::text)"
	                  " FROM organizations WHERE id=$1::uuid",
	[ZK_PGR_KEY_SET] = "UPDATE api_keys SET mac=coalesce($2::bytea,mac),"
	                   "hash=coalesce($3::text,hash),"
	                   "last_used_at=greatest(last_used_at,$4::timestamptz)"
	                   " WHERE key_id=$1::text",
	[ZK_PGR_KEY] =
	        "SELECT k.hash,k.mac,k.created_at,k.expires_at,k.last_used_at,"
	        "k.expires_at<=clock_timestamp()," ZK_PGR_ORG_COLS("o.")
	        " FROM api_keys k JOIN organizations o ON o.id=k.organization_id"
	        " WHERE k.key_id=$1::text",
	[ZK_PGR_ORG] =
	        "SELECT " ZK_PGR_ORG_COLS("") " FROM organizations WHERE id=$1::uuid",
	/* Bits of $2 are enum zk_trig_webhook_set. */
	[ZK_PGR_ORG_SET] =
	        "UPDATE organizations o SET"
	        " webhook_url=CASE WHEN $2::int4&1<>0 THEN $3::text"
	        " ELSE o.webhook_url END,"
	        "webhook_enabled=CASE WHEN $2&2<>0 THEN $4::bool"
	        " ELSE o.webhook_enabled END,"
	        "webhook_ordered=CASE WHEN $2&4<>0 THEN $5::bool"
	        " ELSE o.webhook_ordered END,"
	        "webhook_disabled_reason=CASE WHEN $2&8<>0 THEN $6::text"
	        " WHEN $2&1<>0 THEN NULL ELSE o.webhook_disabled_reason END,"
	        "secret_version=o.secret_version+CASE WHEN $2&16<>0 THEN 1"
	        " WHEN $2&1<>0 AND $3 IS NOT NULL AND o.secret_version=0 THEN 1"
	        " ELSE 0 END,"
	        "old_secret_expires_at=CASE WHEN $2&16<>0 AND o.secret_version>0"
	        " THEN $7::timestamptz ELSE o.old_secret_expires_at END,"
	        "updated_at=$8::timestamptz"
	        " FROM (SELECT id,secret_version FROM organizations"
	        " WHERE id=$1::uuid FOR UPDATE) b WHERE o.id=b.id "
	        "RETURNING " ZK_PGR_ORG_COLS("o.") ",b.secret_version",
	/* The next rows of a status behind id $3 that have no plan. */
	[ZK_PGR_PLAN] =
	        "UPDATE event_deliveries d SET next_attempt_at=$4::timestamptz,"
	        "updated_at=$4 FROM (SELECT event_id FROM event_deliveries"
	        " WHERE organization_id=$1::uuid AND status=$2::text AND "
	        "event_id>$3::uuid"
	        " AND next_attempt_at IS NULL ORDER BY event_id LIMIT $5::bigint) s"
	        " WHERE d.event_id=s.event_id AND EXISTS (SELECT FROM organizations o"
	        " WHERE o.id=$1 AND " PUSHES("o.") ") RETURNING d.event_id",
	[ZK_PGR_UNPLAN] =
	        "UPDATE event_deliveries d SET next_attempt_at=NULL"
	        " FROM (SELECT event_id FROM event_deliveries"
	        " WHERE organization_id=$1::uuid AND next_attempt_at IS NOT NULL"
	        " LIMIT $2::bigint) s WHERE d.event_id=s.event_id"
	        " AND NOT EXISTS (SELECT FROM organizations o WHERE o.id=$1 AND " PUSHES(
	                "o.") ") RETURNING d.event_id",
	[ZK_PGR_REPLAY_ONE] = "UPDATE event_deliveries SET " REPLAY_SET
	                      ",next_attempt_at=$3::timestamptz,updated_at=$3"
	                      " WHERE event_id=$2::uuid AND organization_id=$1::uuid",
	[ZK_PGR_COUNT_PENDING] =
	        "SELECT count(*) FROM event_deliveries WHERE organization_id=$1::uuid"
	        " AND status IN ('pending','retrying')",
	[ZK_PGR_EVENT] = "SELECT " ROW_COLS
	                 " FROM events e JOIN event_deliveries d ON d.event_id=e.id"
	                 " WHERE e.id=$2::uuid AND e.organization_id=$1::uuid",
	[ZK_PGR_ATTEMPTS] =
	        "SELECT * FROM (SELECT attempt,started_at,duration_ms,response_status,"
	        "error,response_body FROM delivery_attempts WHERE event_id=$1::uuid"
	        " ORDER BY attempt DESC LIMIT 20) t ORDER BY attempt",
	[ZK_PGR_PROBE] =
	        "INSERT INTO server_state VALUES('probe',NULL,clock_timestamp())"
	        " ON CONFLICT (name) DO UPDATE SET at=excluded.at RETURNING at,"
	        "pg_database_size(current_database()),"
	        "(SELECT reltuples::bigint FROM pg_class WHERE oid='events'::regclass)",
	/* me, rotor, now, rows per organization, organizations to skip, rows, lease in µs. */
	[ZK_PGR_CLAIM] =
	        "WITH " ORGS "," CANDIDATES
	        ",l AS (SELECT d.event_id FROM event_deliveries d"
	        " WHERE d.event_id IN (SELECT event_id FROM cand WHERE NOT extra"
	        " AND ord<=$6::bigint) AND d.status IN ('pending','retrying')"
	        " AND d.next_attempt_at<=$3::timestamptz AND " FREE(
	                "d.") " FOR UPDATE SKIP LOCKED),"
	                      "u AS (UPDATE event_deliveries d SET"
	                      " attempts=d.attempts+CASE WHEN d.locked_by=$1::text THEN "
	                      "0 ELSE 1 END,"
	                      "locked_by=$1::text,"
	                      "locked_until=now()+$7::bigint*interval '1 microsecond'"
	                      " FROM l WHERE d.event_id=l.event_id"
	                      " RETURNING d.event_id,d.attempts,d.next_attempt_at)"
	                      "SELECT "
	                      "c.org,c.event_id,c.extra,u.attempts-1,u.next_attempt_at,"
	                      "e.event_type,e.payload,e.created_at FROM cand c"
	                      " LEFT JOIN u ON u.event_id=c.event_id"
	                      " LEFT JOIN events e ON e.id=u.event_id ORDER BY c.ord",
	/* $1 me and $2 rotor as above (unused texts keep their places), $3 now: the next time that
	 * is planned, the earliest that is due, an organization that does not push. */
	[ZK_PGR_SURVEY] =
	        "WITH " ORGS ",s(status) AS (VALUES('pending'),('retrying'))"
	        "SELECT (SELECT min(x.at) FROM orgs o CROSS JOIN s CROSS JOIN LATERAL"
	        " (SELECT d.next_attempt_at AS at FROM event_deliveries d"
	        " WHERE d.organization_id=o.org AND d.status=s.status"
	        " AND d.next_attempt_at>$3::timestamptz"
	        " ORDER BY d.next_attempt_at LIMIT 1) x),"
	        "(SELECT min(x.at) FROM orgs o CROSS JOIN s CROSS JOIN LATERAL"
	        " (SELECT d.next_attempt_at AS at FROM event_deliveries d"
	        " WHERE d.organization_id=o.org AND d.status=s.status"
	        " AND d.next_attempt_at<=$3::timestamptz"
	        " ORDER BY d.next_attempt_at LIMIT 1) x),"
	        "(SELECT o.org FROM orgs o JOIN organizations g ON g.id=o.org"
	        " WHERE NOT (" PUSHES("g.") ") LIMIT 1)"
	                                    " WHERE $1::text IS NOT NULL",
	[ZK_PGR_DUE_COUNT] = "SELECT count(*) FROM (SELECT FROM event_deliveries"
	                     " WHERE next_attempt_at<=$1::timestamptz LIMIT 100000) t",
	[ZK_PGR_KEEP_LOCK] = "SELECT pg_try_advisory_xact_lock(8821553060122117)",
	/* Statuses, organization from which on, ids below, rows. */
	[ZK_PGR_KEEP_EVENTS] =
	        "WITH o AS MATERIALIZED (SELECT g.id FROM organizations g"
	        " WHERE g.id>=$2::uuid AND EXISTS (SELECT FROM event_deliveries d"
	        " WHERE d.organization_id=g.id AND d.status=ANY($1::text[])"
	        " AND d.event_id<$3::uuid) ORDER BY g.id LIMIT 1),"
	        "r AS MATERIALIZED (SELECT d.event_id FROM event_deliveries d"
	        " WHERE d.organization_id=(SELECT id FROM o) AND d.status=ANY($1::text[])"
	        " AND d.event_id<$3::uuid LIMIT $4::bigint FOR UPDATE SKIP LOCKED),"
	        "x AS (DELETE FROM event_deliveries WHERE event_id IN (SELECT * FROM r)),"
	        "y AS (DELETE FROM delivery_attempts WHERE event_id IN (SELECT * FROM "
	        "r)),"
	        "z AS (DELETE FROM events WHERE id IN (SELECT * FROM r))"
	        "SELECT (SELECT id FROM o),(SELECT count(*) FROM r)",
	[ZK_PGR_KEEP_DEDUP] =
	        "DELETE FROM deduplication_cache WHERE (organization_id,dedup_id) IN"
	        " (SELECT organization_id,dedup_id FROM deduplication_cache"
	        " WHERE expires_at<=now() ORDER BY expires_at LIMIT $1::bigint"
	        " FOR UPDATE SKIP LOCKED)",
	[ZK_PGR_PAGE_ANY_DESC] = PAGE(ANY(ROW_COLS), "DESC"),
	[ZK_PGR_PAGE_ANY_ASC] = PAGE(ANY(ROW_COLS), "ASC"),
	[ZK_PGR_PAGE_ONE_DESC] = PAGE(ONE(ROW_COLS), "DESC"),
	[ZK_PGR_PAGE_ONE_ASC] = PAGE(ONE(ROW_COLS), "ASC"),
	[ZK_PGR_PAGE_OPEN_DESC] = PAGE(OPEN(ROW_COLS, "DESC"), "DESC"),
	[ZK_PGR_PAGE_OPEN_ASC] = PAGE(OPEN(ROW_COLS, "ASC"), "ASC"),
	[ZK_PGR_TOTAL_ANY] = TOTAL(ANY("1")),
	[ZK_PGR_TOTAL_ONE] = TOTAL(ONE("1")),
	[ZK_PGR_TOTAL_OPEN] = TOTAL_OPEN,
	[ZK_PGR_REPLAY_ANY] = REPLAY(ANY("e.id")),
	[ZK_PGR_REPLAY_ONLY] = REPLAY(ONE("e.id")),
	[ZK_PGR_REPLAY_OPEN] = REPLAY(OPEN("e.id", "ASC")),
};
