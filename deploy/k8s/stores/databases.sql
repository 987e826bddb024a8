-- A database for each service that keeps data, with a user who owns it; nobody else gets in. PostgreSQL's image runs
-- this once, when its data folder is empty. A password is read from the environment: no file and no log holds it.

\getenv accounts ACCOUNTS_PASSWORD
\getenv books BOOKS_PASSWORD
\getenv orders ORDERS_PASSWORD

CREATE ROLE accounts_user LOGIN PASSWORD :'accounts';
CREATE ROLE books_user LOGIN PASSWORD :'books';
CREATE ROLE orders_user LOGIN PASSWORD :'orders';

CREATE DATABASE accounts_db OWNER accounts_user;
CREATE DATABASE books_db OWNER books_user;
CREATE DATABASE orders_db OWNER orders_user;

REVOKE ALL ON DATABASE accounts_db, books_db, orders_db FROM PUBLIC;
