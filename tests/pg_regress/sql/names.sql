-- Names: which table is meant where several schemas have one of that name, how each is synced, and a search path
-- that has a table of that name first.
CREATE SCHEMA sales;
CREATE SCHEMA "My.Schema";
CREATE TABLE orders (id text PRIMARY KEY);
CREATE TABLE sales.orders (id text PRIMARY KEY);
CREATE TABLE "My.Schema".orders (id text PRIMARY KEY);
CREATE TABLE "My.Schema"."Or""ders" (id text PRIMARY KEY);
CREATE TABLE sales."ORDERS" (id text PRIMARY KEY);
\echo -- as SQL reads them: without quotes case does not count
SELECT length(cloudsync_init('SALES.Orders')), length(cloudsync_init('orders')),
    length(cloudsync_init('"My.Schema".orders')), length(cloudsync_init(' "My.Schema" . "Or""ders" ')),
    length(cloudsync_init('sales."ORDERS"'));
SELECT name, relation::regclass FROM cloudsync.tables ORDER BY id;
SELECT cloudsync_table_schema('sales.orders'), cloudsync_table_schema('orders'),
    cloudsync_table_schema('"My.Schema".orders'), cloudsync_table_schema('"My.Schema"."Or""ders"'),
    cloudsync_table_schema('"My.Schema"."ORDERS"');
\echo -- a schema in which a plain name is looked up
SELECT cloudsync_set_schema('My.Schema'), cloudsync_schema(), cloudsync_table_schema('orders');
SELECT cloudsync_disable('orders');
SELECT relation::regclass FROM cloudsync.tables WHERE NOT enabled;
SELECT cloudsync_enable('orders');
SELECT cloudsync_set_schema('sales'), cloudsync_table_schema('orders'), cloudsync_table_schema('"ORDERS"');
SELECT cloudsync_set_schema('nowhere'), cloudsync_schema(), cloudsync_table_schema('"My.Schema".orders');
RESET search_path;
\echo -- only A to Z are folded
CREATE TABLE "Äpfel" (id text PRIMARY KEY);
CREATE TABLE "äpfel" (id text PRIMARY KEY);
SELECT length(cloudsync_init('ÄPFEL'));
SELECT relation::regclass FROM cloudsync.tables ORDER BY id DESC LIMIT 1;
\echo -- a name that would be read as qualified is synced under another
CREATE TABLE """sales"".""orders""" (id text PRIMARY KEY);
SELECT length(cloudsync_init('"""sales"".""orders"""'));
SELECT name FROM cloudsync.tables ORDER BY id DESC LIMIT 1;
\echo -- another name after a rename
ALTER TABLE sales.orders RENAME TO old;
CREATE TABLE sales.orders (id text PRIMARY KEY);
SELECT length(cloudsync_init('sales.orders'));
SELECT name, relation::regclass FROM cloudsync.tables WHERE relation IN ('sales.old'::regclass, 'sales.orders'::regclass) ORDER BY id;
\echo -- a table of the caller is no table of others, nor the other way round
CREATE ROLE cloudsync_own;
CREATE SCHEMA own AUTHORIZATION cloudsync_own;
GRANT EXECUTE ON FUNCTION cloudsync_init, cloudsync_cleanup, cloudsync_set_table, cloudsync_table_schema,
    cloudsync_disable TO cloudsync_own;
SET ROLE cloudsync_own;
CREATE TABLE own.orders (id text PRIMARY KEY);
SET search_path = own, public;
SELECT cloudsync_cleanup('orders');
SELECT length(cloudsync_init('orders')), cloudsync_table_schema('orders');
SELECT cloudsync_disable('public.orders');
\echo :LAST_ERROR_SQLSTATE
SELECT cloudsync_set_table('sales.orders', 'atomic', '1');
\echo :LAST_ERROR_SQLSTATE
SELECT cloudsync_cleanup('orders');
RESET ROLE;
RESET search_path;
SELECT name, relation::regclass FROM cloudsync.tables ORDER BY id;
DROP OWNED BY cloudsync_own;
DROP ROLE cloudsync_own;
