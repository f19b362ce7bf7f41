-- Run once, when the database is made, as its superuser.
-- `pdpp` is the fleet: it owns its schema and nothing else. `pdpp_read` is for reports and scalers: it reads.
\set pdpp_password `cat /run/secrets/pdpp_password`
\set pdpp_read_password `cat /run/secrets/pdpp_read_password`

CREATE ROLE pdpp LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'pdpp_password';
CREATE ROLE pdpp_read LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'pdpp_read_password';
ALTER ROLE pdpp_read SET default_transaction_read_only = on;

REVOKE ALL ON DATABASE pdpp FROM PUBLIC;
GRANT CONNECT, TEMPORARY ON DATABASE pdpp TO pdpp;
GRANT CONNECT ON DATABASE pdpp TO pdpp_read;
ALTER SCHEMA public OWNER TO pdpp;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO pdpp_read;
ALTER DEFAULT PRIVILEGES FOR ROLE pdpp IN SCHEMA public GRANT SELECT ON TABLES TO pdpp_read;
-- The records as tables: docs/tables.md.
CREATE SCHEMA pdpp_tables AUTHORIZATION pdpp;
GRANT USAGE ON SCHEMA pdpp_tables TO pdpp_read;
ALTER DEFAULT PRIVILEGES FOR ROLE pdpp IN SCHEMA pdpp_tables GRANT SELECT ON TABLES TO pdpp_read;
