-- matrix-sdk-sqlite 0.18.0, Apache-2.0: see SOURCES.md
CREATE TABLE "kv" (
    "key" TEXT PRIMARY KEY NOT NULL,
    "value" BLOB NOT NULL
);
CREATE TABLE "kv_blob" (
    "key" BLOB PRIMARY KEY NOT NULL,
    "value" BLOB NOT NULL
);
CREATE TABLE "state_event" (
    "room_id" BLOB NOT NULL,
    "event_type" BLOB NOT NULL,
    "state_key" BLOB NOT NULL,
    "stripped" BOOLEAN NOT NULL,
    "event_id" BLOB,
    "data" BLOB NOT NULL,

    PRIMARY KEY ("room_id", "event_type", "state_key")
);
CREATE TABLE "global_account_data" (
    "event_type" BLOB PRIMARY KEY NOT NULL,
    "data" BLOB NOT NULL
);
CREATE TABLE "room_account_data" (
    "room_id" BLOB NOT NULL,
    "event_type" BLOB NOT NULL,
    "data" BLOB NOT NULL,

    PRIMARY KEY ("room_id", "event_type")
);
CREATE TABLE "member" (
    "room_id" BLOB NOT NULL,
    "user_id" BLOB NOT NULL,
    "membership" BLOB NOT NULL,
    "stripped" BOOLEAN NOT NULL,
    "data" BLOB NOT NULL,

    PRIMARY KEY ("room_id", "user_id")
);
CREATE TABLE "profile" (
    "room_id" BLOB NOT NULL,
    "user_id" BLOB NOT NULL,
    "data" BLOB NOT NULL,

    PRIMARY KEY ("room_id", "user_id")
);
CREATE TABLE "receipt" (
    "room_id" BLOB NOT NULL,
    "user_id" BLOB NOT NULL,
    "receipt_type" BLOB NOT NULL,
    "thread" BLOB NOT NULL,
    "event_id" BLOB NOT NULL,
    "data" BLOB NOT NULL,

    PRIMARY KEY ("room_id", "user_id", "receipt_type", "thread")
);
CREATE TABLE "display_name" (
    "room_id" BLOB NOT NULL,
    "name" BLOB NOT NULL,
    "data" BLOB NOT NULL,

    PRIMARY KEY ("room_id", "name")
);
CREATE TABLE "room_info" (
    "room_id" BLOB PRIMARY KEY NOT NULL,
    "state" BLOB NOT NULL,
    "data" BLOB NOT NULL
);
CREATE TABLE "send_queue_events" (
    -- This is used as a key, thus hashed.
    "room_id" BLOB NOT NULL,

    -- This is used as a value (thus encrypted/decrypted).
    "room_id_val" BLOB NOT NULL,

    -- This is used as both a key and a value, thus neither encrypted/decrypted/hashed.
    "transaction_id" BLOB NOT NULL,

    -- Used as a value, thus encrypted/decrypted.
    "content" BLOB NOT NULL,

    -- In clear.
    "wedge_reason" BLOB, "priority" INTEGER NOT NULL DEFAULT 0, "created_at" INTEGER DEFAULT NULL,

    PRIMARY KEY ("room_id", "transaction_id")
);
CREATE TABLE "dependent_send_queue_events" (
    -- This is used as a key, thus hashed.
    "room_id" BLOB NOT NULL,

    -- This is used as both a key and a value, thus neither encrypted/decrypted/hashed.
    -- This is the transaction id for the *parent* transaction, not our own.
    "parent_transaction_id" BLOB NOT NULL,

    -- This is used as both a key and a value, thus neither encrypted/decrypted/hashed.
    -- This is a transaction id used for the dependent event itself, not the parent.
    "own_transaction_id" BLOB NOT NULL,

    -- Used as a value (thus encrypted/decrypted), can be null.
    "parent_key" BLOB NULL,

    -- Serialized `DependentQueuedRequestKind`, used as a value (thus encrypted/decrypted).
    "content" BLOB NOT NULL
, "created_at" INTEGER DEFAULT NULL);
CREATE TABLE "thread_subscriptions" (
    "room_id" BLOB NOT NULL,
    -- Event ID of the thread root.
    "event_id" BLOB NOT NULL,
    "status" TEXT NOT NULL, "bump_stamp" INTEGER,

    PRIMARY KEY ("room_id", "event_id")
);
CREATE INDEX "state_event_room_id_event_type_stripped_event_id"
    ON "state_event" ("room_id", "event_type", "stripped", "event_id");
CREATE INDEX "member_room_id_membership"
    ON "member" ("room_id", "membership");
CREATE INDEX "receipt_room_id_receipt_type_thread_id_event_id"
    ON "receipt" ("room_id", "receipt_type", "thread", "event_id");
CREATE INDEX "room_info_room_id_state"
    ON "room_info" ("room_id", "state");
