-- Roles of the serving database on PostgreSQL. Run once by an administrator in that database:
--   cja privacy roles | psql analytics
-- Then set passwords (\password cja_loader) and publish as cja_loader. Running it again changes nothing.
DO $$ BEGIN CREATE ROLE cja_loader LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
DO $$ BEGIN CREATE ROLE cja_reader LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;

-- people and BI tools: look, for a minute at most
ALTER ROLE cja_reader SET default_transaction_read_only = on;
ALTER ROLE cja_reader SET statement_timeout = '60s';

-- which record belongs to which customer: for systems that write the customer id back, never for readers
CREATE SCHEMA IF NOT EXISTS pii AUTHORIZATION cja_loader;
REVOKE ALL ON SCHEMA pii FROM PUBLIC;
REVOKE ALL ON SCHEMA pii FROM cja_reader;

REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO cja_loader;
-- the loader stages rows in temporary tables
DO $$ BEGIN
  EXECUTE format('GRANT CONNECT, TEMPORARY ON DATABASE %I TO cja_loader', current_database());
  EXECUTE format('GRANT CONNECT ON DATABASE %I TO cja_reader', current_database());
END $$;
GRANT USAGE ON SCHEMA public TO cja_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO cja_reader;
ALTER DEFAULT PRIVILEGES FOR ROLE cja_loader IN SCHEMA public GRANT SELECT ON TABLES TO cja_reader;
ALTER DEFAULT PRIVILEGES FOR ROLE cja_loader IN SCHEMA pii REVOKE ALL ON TABLES FROM PUBLIC;
