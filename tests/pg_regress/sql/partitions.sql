-- Writes through the partitioned table, to a partition directly, and rows that move between partitions.
CREATE TABLE p (k int, part text, v text, PRIMARY KEY (k, part)) PARTITION BY LIST (part);
-- Columns in another order and with a hole, so that its column numbers differ.
CREATE TABLE p_b (v text, junk int, part text NOT NULL, k int NOT NULL);
ALTER TABLE p_b DROP COLUMN junk;
ALTER TABLE p ATTACH PARTITION p_b FOR VALUES IN ('b');
CREATE TABLE p_a PARTITION OF p FOR VALUES IN ('a');
INSERT INTO p VALUES (1, 'a', 'x');
SELECT length(cloudsync_init('p'));
SELECT cloudsync_init('p_a');
INSERT INTO p VALUES (2, 'a', 'x'), (3, 'b', 'x');
INSERT INTO p_b (k, part, v) VALUES (4, 'b', 'x');
UPDATE p_b SET v = 'y' WHERE k = 3;
UPDATE p SET v = 'z' WHERE k = 4;
SELECT * FROM diag.clocks('p');
\echo -- a row moves
UPDATE p SET part = 'b' WHERE k = 2;
SELECT * FROM diag.clocks('p');
\echo -- a partition that came later
CREATE TABLE p_c PARTITION OF p FOR VALUES IN ('c');
SELECT cloudsync_commit_alter('p');
INSERT INTO p_c VALUES (5, 'c', 'x');
SELECT * FROM diag.clocks('p') WHERE key = '5|c';
\echo -- truncate of one partition, delete in another, truncate of all
TRUNCATE p_b;
SELECT * FROM diag.clocks('p');
DELETE FROM p_a;
TRUNCATE p;
SELECT * FROM diag.clocks('p');
