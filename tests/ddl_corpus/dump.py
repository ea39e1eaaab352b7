"""Makes the SQLite databases of some Python packages and writes their schemas into a folder."""

import sqlite3
import sys
import tempfile
from pathlib import Path

OUT = Path(sys.argv[1])
WORK = Path(tempfile.mkdtemp())


def dump(path, name):
    """Writes the tables and indexes of a database, without virtual tables and what belongs to them."""
    connection = sqlite3.connect(path)
    rows = connection.execute(
        "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' "
        "AND tbl_name IN (SELECT name FROM pragma_table_list WHERE type = 'table') "
        "AND type IN ('table', 'index') ORDER BY type DESC, rowid"
    )
    (OUT / f"{name}.sql").write_text("".join(f"{row[0]};\n" for row in rows))


def django():
    from django.conf import settings

    apps = ("auth", "admin", "contenttypes", "sessions", "sites", "flatpages", "redirects")
    settings.configure(
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": WORK / "django.db"}},
        INSTALLED_APPS=[f"django.contrib.{app}" for app in apps],
        SITE_ID=1,
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    )
    import django as package

    package.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    dump(WORK / "django.db", "django")


def llm():
    import sqlite_utils
    from llm.migrations import migrate

    migrate(sqlite_utils.Database(WORK / "llm.db"))
    dump(WORK / "llm.db", "llm")


def of_sqlalchemy(metadata, name):
    from sqlalchemy import create_engine

    metadata.create_all(create_engine(f"sqlite:///{WORK / name}.db"))
    dump(WORK / f"{name}.db", name)


django()
llm()

import jupyterhub.orm
from optuna.storages._rdb import models

of_sqlalchemy(jupyterhub.orm.Base.metadata, "jupyterhub")
of_sqlalchemy(models.BaseModel.metadata, "optuna")
