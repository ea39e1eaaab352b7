-- matrix-sdk-sqlite 0.18.0, Apache-2.0: see SOURCES.md
CREATE TABLE "kv" (
    "key" TEXT PRIMARY KEY NOT NULL,
    "value" BLOB NOT NULL
);
CREATE TABLE "lease_locks" (
    "key" TEXT PRIMARY KEY NOT NULL,
    "holder" TEXT NOT NULL,
    "expiration" REAL NOT NULL
, "generation" INTEGER NOT NULL DEFAULT 1);
CREATE TABLE "linked_chunks" (
    -- Which linked chunk does this chunk belong to? (hashed key shared with the two other tables)
    "linked_chunk_id" BLOB NOT NULL,
    -- Identifier of the chunk, unique per room. Corresponds to a `ChunkIdentifier`.
    "id" INTEGER NOT NULL,

    -- Previous chunk in the linked list. Corresponds to a `ChunkIdentifier`.
    "previous" INTEGER,
    -- Next chunk in the linked list. Corresponds to a `ChunkIdentifier`.
    "next" INTEGER,
    -- Type of underlying entries: E for events, G for gaps
    "type" TEXT CHECK("type" IN ('E', 'G')) NOT NULL,

    -- Primary key is composed of the linked chunk ID and the chunk identifier.
    -- Such pairs must be unique.
    PRIMARY KEY (linked_chunk_id, id)
)
WITHOUT ROWID;
CREATE TABLE "gap_chunks" (
    -- Which linked chunk does this event belong to? (hashed key shared with linked_chunks)
    "linked_chunk_id" BLOB NOT NULL,
    -- Which chunk does this gap refer to? Corresponds to a `ChunkIdentifier`.
    "chunk_id" INTEGER NOT NULL,

    -- The previous batch token of a gap (encrypted value).
    "prev_token" BLOB NOT NULL,

    -- Primary key is composed of the linked chunk ID and the chunk identifier.
    -- Such pairs must be unique.
    PRIMARY KEY (linked_chunk_id, chunk_id),

    -- If the owning chunk gets deleted, delete the entry too.
    FOREIGN KEY (chunk_id, linked_chunk_id) REFERENCES linked_chunks(id, linked_chunk_id) ON DELETE CASCADE
)
WITHOUT ROWID;
CREATE TABLE "events" (
    -- The room in which the event is located.
    "room_id" BLOB NOT NULL,

    -- The `OwnedEventId` of this event.
    "event_id" BLOB NOT NULL,

    -- The event type of this event.
    "event_type" BLOB NOT NULL,

    -- The ID of the session that was used to encrypt this event, may be null if
    -- the event wasn't encrypted.
    "session_id" BLOB NULL,

    -- JSON serialized `TimelineEvent` (encrypted value).
    "content" BLOB NOT NULL,

    -- If this event is an aggregation (related event), the event id of the event it relates to.
    -- Can be null if this event isn't an aggregation.
    "relates_to" BLOB,

    -- If this event is an aggregation (related event), the kind of relation it has to the event it
    -- relates to.
    -- Can be null if this event isn't an aggregation.
    "rel_type" BLOB,

    -- Primary key is the event ID.
    PRIMARY KEY (event_id)
)
WITHOUT ROWID;
CREATE TABLE "event_chunks" (
    -- Which linked chunk does this event belong to? (hashed key shared with linked_chunks)
    "linked_chunk_id" BLOB NOT NULL,
    -- Which chunk does this event refer to? Corresponds to a `ChunkIdentifier`.
    "chunk_id" INTEGER NOT NULL,

    -- `OwnedEventId` for events.
    "event_id" BLOB NOT NULL,
    -- Position (index) in the chunk.
    "position" INTEGER NOT NULL,

    -- We need a uniqueness constraint over the `linked_chunk_id`, `chunk_id` and
    -- `position` tuple because (i) they must be unique, (ii) it dramatically
    -- improves the performance. Also, we don't have a ROWID, so we must use a PRIMARY KEY, hence
    -- we use this composite key as the primary key.
    PRIMARY KEY (linked_chunk_id, chunk_id, position),

    -- If the owning chunk gets deleted, delete the entry too.
    FOREIGN KEY (linked_chunk_id, chunk_id) REFERENCES linked_chunks(linked_chunk_id, id) ON DELETE CASCADE
)
WITHOUT ROWID;
CREATE INDEX "relates_to_idx"
    ON "events" ("room_id", "relates_to");
CREATE INDEX "relates_to_rel_type_idx"
    ON "events" ("room_id", "relates_to", "rel_type");
CREATE INDEX "event_type_index"
    ON "events" ("room_id", "event_type", "session_id");
CREATE INDEX "event_chunks_event_id_idx" ON "event_chunks" ("event_id");
