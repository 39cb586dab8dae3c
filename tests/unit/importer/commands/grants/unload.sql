-- Access to Snowflake for the import raw_house_data, from `python -m importer grants raw_house_data`.
-- It can be run again; the network policy then has the addresses given here, and no others.
-- Replace these before you run it:
--   <tenant id>: the tenant of the importer's identity in Entra ID (--tenant-id, or AZURE_TENANT_ID)
--   <object id>: the object id of the importer's managed identity, or of the OAuth client's service principal (--object-id)
--   <address range>: the addresses from which the importer reaches Snowflake (--address, may be repeated)

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
  WORKLOAD_IDENTITY = (TYPE = AZURE ISSUER = 'https://login.microsoftonline.com/<tenant id>/v2.0' SUBJECT = '<object id>');
GRANT ROLE "IMPORTER" TO USER "IMPORTER";

-- The addresses from which the user may connect
CREATE NETWORK POLICY IF NOT EXISTS "IMPORTER_NETWORK" ALLOWED_IP_LIST = ('<address range>');
ALTER NETWORK POLICY "IMPORTER_NETWORK" SET ALLOWED_IP_LIST = ('<address range>');
ALTER USER "IMPORTER" SET NETWORK_POLICY = "IMPORTER_NETWORK";

-- The warehouse's access to the data lake
USE ROLE ACCOUNTADMIN;
CREATE STORAGE INTEGRATION IF NOT EXISTS "LAKE"
  TYPE = EXTERNAL_STAGE
  STORAGE_PROVIDER = 'AZURE'
  ENABLED = TRUE
  AZURE_TENANT_ID = '<tenant id>'
  STORAGE_ALLOWED_LOCATIONS = ('azure://globodevlake.blob.core.windows.net/rawdata/');
GRANT USAGE ON INTEGRATION "LAKE" TO ROLE "IMPORTER";
-- This shows AZURE_CONSENT_URL, which an administrator of Entra ID opens once, and
-- AZURE_MULTI_TENANT_APP_NAME; set snowflake.unload.integrationPrincipal to its object id:
--   DESC STORAGE INTEGRATION "LAKE";

-- Next steps
-- A preview checks the query in this role, so the deployer needs it too:
--   GRANT ROLE "IMPORTER" TO USER <deployer>;
-- Snowflake unloads to the lake's URL only if this parameter is false:
--   SHOW PARAMETERS LIKE 'PREVENT_UNLOAD_TO_INLINE_URL' IN ACCOUNT;
-- Once per tenant, an administrator of Entra ID consents to Snowflake's application, whose
-- application id is fd3f753b-eed3-462c-b6a7-a4b5bb650aad.
