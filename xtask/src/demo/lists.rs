//! The tables of the demonstration over HTTP, who may see what of them, and what its users write.

/// Anna, who has two devices.
pub const ANNA: &str = "a0000000-0000-4000-8000-000000000001";
/// Bert, who has one.
pub const BERT: &str = "b0000000-0000-4000-8000-000000000002";

/// The tables, parents first, and a query whose rows both engines write alike.
pub const TABLES: [(&str, &str); 3] = [
    ("list", "SELECT id || ' | ' || title FROM list ORDER BY 1"),
    ("member", "SELECT id || ' | ' || list FROM member ORDER BY 1"),
    ("item", "SELECT id || ' | ' || list || ' | ' || what || ' | ' || done FROM item ORDER BY 1"),
];

/// On the server: a list is seen by its members, and its items with it. Policies that read one another's
/// tables would go in circles, so one asks a function.
pub const SERVER: &str = "
CREATE TABLE list (id text PRIMARY KEY, title text NOT NULL DEFAULT '', owner uuid);
CREATE TABLE member (id text PRIMARY KEY, list text REFERENCES list, who uuid);
CREATE TABLE item (id text PRIMARY KEY, list text REFERENCES list, what text NOT NULL DEFAULT '', done int NOT NULL DEFAULT 0);
GRANT SELECT, INSERT, UPDATE, DELETE ON list, member, item TO authenticated;
ALTER TABLE list ENABLE ROW LEVEL SECURITY;
ALTER TABLE member ENABLE ROW LEVEL SECURITY;
ALTER TABLE item ENABLE ROW LEVEL SECURITY;
CREATE FUNCTION owns(list text) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
    AS 'SELECT EXISTS (SELECT FROM public.list l WHERE l.id = $1 AND l.owner = auth.uid())';
CREATE POLICY of_owner ON member TO authenticated
    USING (who = (SELECT auth.uid()) OR owns(list)) WITH CHECK (owns(list));
CREATE POLICY of_members ON list TO authenticated
    USING (owner = (SELECT auth.uid()) OR id IN (SELECT list FROM member WHERE who = (SELECT auth.uid())))
    WITH CHECK (owner = (SELECT auth.uid()));
CREATE POLICY of_list ON item TO authenticated USING (list IN (SELECT id FROM list));
SELECT extensions.cloudsync_init('public.list');
SELECT extensions.cloudsync_init('public.member');
SELECT extensions.cloudsync_init('public.item');
";

/// The policies as a person reads them.
pub const POLICIES: [&str; 3] = [
    "list    its owner writes it, and its members read it",
    "member  who it names reads it; the owner of the list writes it",
    "item    whoever sees the list reads and writes its items",
];

/// On a device.
pub const DEVICE: &str = "
CREATE TABLE list (id TEXT PRIMARY KEY NOT NULL, title TEXT NOT NULL DEFAULT '', owner TEXT);
CREATE TABLE member (id TEXT PRIMARY KEY NOT NULL, list TEXT REFERENCES list, who TEXT);
CREATE TABLE item (id TEXT PRIMARY KEY NOT NULL, list TEXT REFERENCES list, what TEXT NOT NULL DEFAULT '', done INT NOT NULL DEFAULT 0);
SELECT cloudsync_init('*');
";

/// What Anna writes before anyone has synced.
pub const ANNAS: &[&str] = &[
    "INSERT INTO list VALUES ('groceries', 'Groceries', 'a0000000-0000-4000-8000-000000000001'), \
     ('diary', 'Diary, private', 'a0000000-0000-4000-8000-000000000001')",
    "INSERT INTO member VALUES ('m1', 'groceries', 'a0000000-0000-4000-8000-000000000001'), \
     ('m2', 'groceries', 'b0000000-0000-4000-8000-000000000002')",
    "INSERT INTO item VALUES ('milk', 'groceries', 'milk', 0), ('bread', 'groceries', 'bread', 0), \
     ('page1', 'diary', 'It rained.', 0)",
];

/// What Bert writes before anyone has synced.
pub const BERTS: &[&str] = &[
    "INSERT INTO list VALUES ('presents', 'Presents for Anna', 'b0000000-0000-4000-8000-000000000002')",
    "INSERT INTO item VALUES ('book', 'presents', 'a book', 0)",
];

/// Edits that meet, made offline: by which device, in 0, 1 and 2 for Anna's phone, her laptop and Bert's
/// phone.
pub const EDITS: &[(usize, &str)] = &[
    (0, "UPDATE item SET done = 1 WHERE id = 'milk'"),
    (2, "UPDATE item SET what = 'oat milk' WHERE id = 'milk'"),
    (1, "UPDATE item SET what = 'rye bread' WHERE id = 'bread'"),
    (2, "DELETE FROM item WHERE id = 'bread'"),
    (1, "INSERT INTO item VALUES ('page2', 'diary', 'It cleared up.', 0)"),
    (2, "INSERT INTO item VALUES ('eggs', 'groceries', 'eggs', 0)"),
    // What he may not: he has never seen that list, and guesses its id; and he does not own the other.
    (2, "PRAGMA foreign_keys = OFF; INSERT INTO item VALUES ('spy', 'diary', 'Bert was here', 0)"),
    (2, "UPDATE list SET title = 'Bert''s groceries' WHERE id = 'groceries'"),
];

/// What must hold at the end, of each device that may see the row: query and answer.
pub const OUTCOMES: &[(&str, &str, &str)] = &[
    (
        "SELECT what || ', ' || done FROM item WHERE id = 'milk'",
        "oat milk, 1",
        "both edits survive: columns merge one by one",
    ),
    ("SELECT count(*) FROM item WHERE id = 'bread'", "0", "a delete beats an edit"),
    (
        "SELECT title FROM list WHERE id = 'groceries'",
        "Groceries",
        "a write that the policies refuse is rolled back",
    ),
    ("SELECT count(*) FROM item WHERE id = 'spy'", "0", "the same, in a list that he cannot see"),
];
