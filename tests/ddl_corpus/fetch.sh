#!/bin/sh
# Fetches the schemas of programs that others wrote into target/ddl_corpus, where the test `corpus`
# finds them. They are not part of this repository: each has a licence of its own. Debian's packages
# give their files; what a Python package makes at run time is made, and dumped without virtual tables.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
out="$root/target/ddl_corpus"
work="$root/target/ddl_corpus_work"
mkdir -p "$out" "$work/deb"

fetch_deb() {
    (cd "$work/deb" && apt-get download "$1" >/dev/null 2>&1) || { echo "$1: not to be had" >&2; return 0; }
    for archive in "$work/deb/$1"_*.deb; do dpkg-deb -x "$archive" "$work/$1"; done
}

take() {
    if [ -f "$work/$2" ]; then
        case "$2" in *.gz) zcat "$work/$2" ;; *) cat "$work/$2" ;; esac > "$out/$1.sql"
    fi
}

for package in bacula-director-sqlite3 ejabberd freeradius-config mediawiki pdns-backend-sqlite3 roundcube-core \
    zabbix-proxy-sqlite3; do
    fetch_deb "$package"
done
take bacula bacula-director-sqlite3/usr/share/dbconfig-common/data/bacula-director-sqlite3/install/sqlite3
take ejabberd ejabberd/usr/share/ejabberd/sql/lite.sql
take ejabberd-new ejabberd/usr/share/ejabberd/sql/lite.new.sql
take freeradius freeradius-config/etc/freeradius/3.0/mods-config/sql/main/sqlite/schema.sql
take freeradius-dhcp freeradius-config/etc/freeradius/3.0/mods-config/sql/dhcp/sqlite/schema.sql
take mediawiki mediawiki/usr/share/mediawiki/maintenance/sqlite/tables-generated.sql
take mediawiki-abusefilter mediawiki/usr/share/mediawiki/extensions-core/AbuseFilter/db_patches/sqlite/tables-generated.sql
take pdns pdns-backend-sqlite3/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql
take roundcube roundcube-core/usr/share/roundcube/SQL/sqlite.initial.sql
take zabbix zabbix-proxy-sqlite3/usr/share/zabbix-proxy-sqlite3/schema.sql.gz

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet django==5.2.19 jupyterhub==6.1.1 llm==0.36 optuna==5.0.0
"$work/venv/bin/python" "$here/dump.py" "$out"
ls "$out"
