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
  DEFAULT_SECONDARY_ROLES = ()
  RSA_PUBLIC_KEY = 'MIIB';
GRANT ROLE "IMPORTER" TO USER "IMPORTER";

-- The addresses from which the user may connect
CREATE NETWORK POLICY IF NOT EXISTS "IMPORTER_NETWORK" ALLOWED_IP_LIST = ('203.0.113.7', '198.51.100.0/24');
ALTER NETWORK POLICY "IMPORTER_NETWORK" SET ALLOWED_IP_LIST = ('203.0.113.7', '198.51.100.0/24');
ALTER USER "IMPORTER" SET NETWORK_POLICY = "IMPORTER_NETWORK";

-- Next steps
-- A preview checks the query in this role, so the deployer needs it too:
--   GRANT ROLE "IMPORTER" TO USER <deployer>;
-- To rotate the key without a failed import:
--   ALTER USER "IMPORTER" SET RSA_PUBLIC_KEY_2 = '<new public key>';
-- Both keys are valid now. Store the new private key as the next version of the secret in
-- the vault, and run one import. Then:
--   ALTER USER "IMPORTER" UNSET RSA_PUBLIC_KEY;
-- At the next rotation, swap the two properties.
