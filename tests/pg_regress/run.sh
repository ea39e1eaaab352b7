#!/bin/sh
# Runs each sql/*.sql by psql in a fresh database of the server at URL and compares with expected/*.out.
# usage: run.sh URL [--accept] [TOPIC...]   (URL names the server and a role that may create databases,
# without a database: postgresql://postgres@127.0.0.1:5432)
set -u
here=$(cd "$(dirname "$0")" && pwd)
url=${1:?usage: run.sh URL [--accept] [TOPIC...]}
shift
accept=no
if [ "${1:-}" = "--accept" ]; then accept=yes; shift; fi
if [ $# -eq 0 ]; then set -- $(cd "$here/sql" && ls *.sql | sed 's/\.sql$//'); fi
out=$(mktemp -d) || exit 1
trap 'rm -rf "$out"' EXIT
failed=0
for topic; do
    database="cloudsync_regress_$$_$topic"
    psql -X -q "$url/postgres" -c "CREATE DATABASE $database" || exit 1
    # Errors are part of what is expected, so psql goes on after them; file names and lines are not.
    cat "$here/sql/include/setup.psql" "$here/sql/$topic.sql" |
        PGOPTIONS='-c client_min_messages=warning' psql -X -q -A -t "$url/$database" > "$out/$topic.out" 2>&1
    psql -X -q "$url/postgres" -c "DROP DATABASE $database WITH (FORCE)"
    if [ $accept = yes ]; then
        cp "$out/$topic.out" "$here/expected/$topic.out"
        echo "accepted $topic"
    elif diff -u "$here/expected/$topic.out" "$out/$topic.out"; then
        echo "ok $topic"
    else
        echo "FAILED $topic"
        failed=1
    fi
done
exit $failed
