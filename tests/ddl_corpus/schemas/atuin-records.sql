-- atuin-client 18.24.4, MIT: see SOURCES.md
CREATE TABLE records (
  id text primary key,
  parent text unique, -- null if this is the first one
  host text not null,

  timestamp integer not null,
  tag text not null,
  version text not null,
  data blob not null,
  cek blob not null
);
CREATE TABLE store (
  id text primary key,   -- globally unique ID

  idx integer,           -- incrementing integer ID unique per (host, tag)
  host text not null, -- references the host row
  tag text not null,

  timestamp integer not null,
  version text not null,
  data blob not null,
  cek blob not null
);
CREATE INDEX host_idx on records (host);
CREATE INDEX tag_idx on records (tag);
CREATE INDEX host_tag_idx on records (host, tag);
CREATE UNIQUE INDEX record_uniq ON store(host, tag, idx);
CREATE INDEX idx_store_tag_timestamp on store(tag, timestamp);
