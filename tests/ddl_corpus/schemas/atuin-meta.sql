-- atuin-client 18.24.4, MIT: see SOURCES.md
CREATE TABLE meta (
    key text not null primary key,
    value text not null,
    updated_at integer not null default (strftime('%s', 'now'))
);
