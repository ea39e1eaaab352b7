-- matrix-sdk-sqlite 0.18.0, Apache-2.0: see SOURCES.md
CREATE TABLE "kv" (
    "key" TEXT PRIMARY KEY NOT NULL,
    "value" BLOB NOT NULL
);
CREATE TABLE "media" (
    "uri" BLOB NOT NULL,
    "format" BLOB NOT NULL,
    "data" BLOB NOT NULL,
    "last_access" INTEGER NOT NULL,
    "ignore_policy" BOOLEAN NOT NULL DEFAULT FALSE,

    PRIMARY KEY ("uri", "format")
);
CREATE TABLE "lease_locks" (
    "key" TEXT PRIMARY KEY NOT NULL,
    "holder" TEXT NOT NULL,
    "expiration" REAL NOT NULL
, "generation" INTEGER NOT NULL DEFAULT 1);
