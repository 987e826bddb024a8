-- A database and a user for each service that keeps data; nobody gets into another's. Run once, on an empty volume.
\set ON_ERROR_STOP on
\getenv password ACCOUNTS_PASSWORD
CREATE ROLE accounts_user LOGIN PASSWORD :'password';
CREATE DATABASE accounts_db OWNER accounts_user;
REVOKE CONNECT ON DATABASE accounts_db FROM PUBLIC;
\getenv password BOOKS_PASSWORD
CREATE ROLE books_user LOGIN PASSWORD :'password';
CREATE DATABASE books_db OWNER books_user;
REVOKE CONNECT ON DATABASE books_db FROM PUBLIC;
\getenv password ORDERS_PASSWORD
CREATE ROLE orders_user LOGIN PASSWORD :'password';
CREATE DATABASE orders_db OWNER orders_user;
REVOKE CONNECT ON DATABASE orders_db FROM PUBLIC;
