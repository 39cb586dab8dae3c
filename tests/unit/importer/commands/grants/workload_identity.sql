-- Lets the import raw_house_data into Snowflake; made by `python -m importer grants raw_house_data`.
-- It can be run again; the addresses of the network policy are then those given here.

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
  WORKLOAD_IDENTITY = (TYPE = AZURE ISSUER = 'https://login.microsoftonline.com/11111111-1111-1111-1111-111111111111/v2.0' SUBJECT = '22222222-2222-2222-2222-222222222222');
GRANT ROLE "IMPORTER" TO USER "IMPORTER";

-- Where the user may come from
CREATE NETWORK POLICY IF NOT EXISTS "IMPORTER_NETWORK" ALLOWED_IP_LIST = ('203.0.113.7', '198.51.100.0/24');
ALTER NETWORK POLICY "IMPORTER_NETWORK" SET ALLOWED_IP_LIST = ('203.0.113.7', '198.51.100.0/24');
ALTER USER "IMPORTER" SET NETWORK_POLICY = "IMPORTER_NETWORK";

-- Afterwards
-- The query is checked in a preview by whoever deploys, in this role:
--   GRANT ROLE "IMPORTER" TO USER <deployer>;
-- Once for the tenant, an administrator of Entra ID consents to Snowflake's application there:
-- its application id is fd3f753b-eed3-462c-b6a7-a4b5bb650aad.
