-- Lets the import raw_house_data into Snowflake; made by `python -m importer grants raw_house_data`.
-- It can be run again; the addresses of the network policy are then those given here.
-- Replace before it is run:
--   <tenant id>: the tenant of the importer's identity in Entra ID (--tenant-id, or AZURE_TENANT_ID)
--   <object id>: the object id of the importer's managed identity, or of the OAuth client's service principal (--object-id)
--   <address range>: where the importer comes from, as Snowflake sees it (--address, as often as needed)

-- The role, which may run the query and nothing else
USE ROLE SECURITYADMIN;
CREATE ROLE IF NOT EXISTS "IMPORTER";
GRANT USAGE ON WAREHOUSE "IMPORT_WH" TO ROLE "IMPORTER";
GRANT USAGE ON DATABASE "GLOBOREALTY" TO ROLE "IMPORTER";
GRANT USAGE ON SCHEMA "GLOBOREALTY"."REAL_ESTATE" TO ROLE "IMPORTER";
-- Of a view, or another kind of table, write the kind in place of TABLE.
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

-- Where the user may come from
CREATE NETWORK POLICY IF NOT EXISTS "IMPORTER_NETWORK" ALLOWED_IP_LIST = ('<address range>');
ALTER NETWORK POLICY "IMPORTER_NETWORK" SET ALLOWED_IP_LIST = ('<address range>');
ALTER USER "IMPORTER" SET NETWORK_POLICY = "IMPORTER_NETWORK";

-- What opens the data lake to the warehouse
USE ROLE ACCOUNTADMIN;
CREATE STORAGE INTEGRATION IF NOT EXISTS "LAKE"
  TYPE = EXTERNAL_STAGE
  STORAGE_PROVIDER = 'AZURE'
  ENABLED = TRUE
  AZURE_TENANT_ID = '<tenant id>'
  STORAGE_ALLOWED_LOCATIONS = ('azure://globodevlake.blob.core.windows.net/rawdata/');
GRANT USAGE ON INTEGRATION "LAKE" TO ROLE "IMPORTER";
-- This shows AZURE_CONSENT_URL, for an administrator of Entra ID to open once, and
-- AZURE_MULTI_TENANT_APP_NAME, whose object id is for snowflake.unload.integrationPrincipal:
--   DESC STORAGE INTEGRATION "LAKE";

-- Afterwards
-- The query is checked in a preview by whoever deploys, in this role:
--   GRANT ROLE "IMPORTER" TO USER <deployer>;
-- Snowflake may write to an address only where this is false:
--   SHOW PARAMETERS LIKE 'PREVENT_UNLOAD_TO_INLINE_URL' IN ACCOUNT;
-- Once for the tenant, an administrator of Entra ID consents to Snowflake's application there:
-- its application id is fd3f753b-eed3-462c-b6a7-a4b5bb650aad.
