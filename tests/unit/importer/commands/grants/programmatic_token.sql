-- Access to Snowflake for the import raw_house_data, from `python -m importer grants raw_house_data`.
-- It can be run again; the network policy then has the addresses given here, and no others.

-- The role, which may only run the query
USE ROLE SECURITYADMIN;
CREATE ROLE IF NOT EXISTS "IMPORTER";
GRANT USAGE ON WAREHOUSE "IMPORT_WH" TO ROLE "IMPORTER";
GRANT USAGE ON DATABASE "GLOBOREALTY" TO ROLE "IMPORTER";
GRANT USAGE ON SCHEMA "GLOBOREALTY"."REAL_ESTATE" TO ROLE "IMPORTER";
-- For a view or another kind of table, replace TABLE by its kind.
GRANT SELECT ON TABLE "GLOBOREALTY"."REAL_ESTATE"."RAW" TO ROLE "IMPORTER";

-- The user
CREATE USER IF NOT EXISTS "IMPORTER" TYPE = SERVICE;
ALTER USER "IMPORTER" SET
  TYPE = SERVICE
  DEFAULT_ROLE = "IMPORTER"
  DEFAULT_WAREHOUSE = "IMPORT_WH"
  DEFAULT_SECONDARY_ROLES = ();
GRANT ROLE "IMPORTER" TO USER "IMPORTER";

-- The addresses from which the user may connect
CREATE NETWORK POLICY IF NOT EXISTS "IMPORTER_NETWORK" ALLOWED_IP_LIST = ('203.0.113.7', '198.51.100.0/24');
ALTER NETWORK POLICY "IMPORTER_NETWORK" SET ALLOWED_IP_LIST = ('203.0.113.7', '198.51.100.0/24');
ALTER USER "IMPORTER" SET NETWORK_POLICY = "IMPORTER_NETWORK";

-- Next steps
-- A preview checks the query in this role, so the deployer needs it too:
--   GRANT ROLE "IMPORTER" TO USER <deployer>;
-- This creates the token and shows it once. Store it in the vault, and nowhere else:
--   ALTER USER "IMPORTER" ADD PROGRAMMATIC ACCESS TOKEN "AI_PLATFORM"
--     ROLE_RESTRICTION = 'IMPORTER' DAYS_TO_EXPIRY = 90;
-- To rotate it, with both tokens valid for a day:
--   ALTER USER "IMPORTER" ROTATE PROGRAMMATIC ACCESS TOKEN "AI_PLATFORM"
--     EXPIRE_ROTATED_TOKEN_AFTER_HOURS = 24;
