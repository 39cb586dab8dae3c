// Azurite's blob service with four changes: it accepts any account name, acknowledged writes are on disk, shared
// access signatures work for directories, and an upload takes a fifth of the CPU time.
// Arguments are Azurite's own: https://learn.microsoft.com/azure/storage/common/storage-use-azurite
"use strict";

const { existsSync } = require("fs");
const { dirname } = require("path");
const { setDefaultHighWaterMark } = require("stream");
const AccountDataStore = require("azurite/dist/src/common/AccountDataStore").default;
const BlobSASAuthenticator = require("azurite/dist/src/blob/authentication/BlobSASAuthenticator").default;
const { BlobSASResourceType } = require("azurite/dist/src/blob/authentication/BlobSASResourceType");
const BlobRequestListenerFactory = require("azurite/dist/src/blob/BlobRequestListenerFactory").default;
const { EMULATOR_ACCOUNT_KEY } = require("azurite/dist/src/blob/utils/constants");
const utils = require("azurite/dist/src/common/utils/utils");

// By default Azurite writes 16 KiB at a time, each in another thread.
setDefaultHighWaterMark(false, 2 ** 20);

const READ_METHODS = new Set(["GET", "HEAD", "OPTIONS"]);

// The accounts are those of the local Azure; Azurite would need their list at its start.
AccountDataStore.prototype.getAccount = (name) => ({ name, key1: EMULATOR_ACCOUNT_KEY });

// Azurite keeps its metadata in two LokiJS databases and saves them every 5 seconds: a killed process loses
// acknowledged writes. Here the response to a write waits until they are saved. Requests that arrive during a
// save share the next one (LokiJS).
const createRequestListener = BlobRequestListenerFactory.prototype.createRequestListener;
BlobRequestListenerFactory.prototype.createRequestListener = function () {
  const blobs = this.metadataStore.db;
  saveFirst(this.extentStore.getMetadataStore(), blobs);
  const listener = createRequestListener.call(this);
  return (request, response) => {
    if (!READ_METHODS.has(request.method)) endAfterSave(response, blobs);
    listener(request, response);
  };
};

// A saved blob refers to extents, so each save of the blobs first saves the extents; except at the start, when the
// blobs are loaded and saved before the extents are loaded.
function saveFirst(extents, blobs) {
  const adapter = blobs.persistenceAdapter;
  const save = adapter.saveDatabase.bind(adapter);
  adapter.saveDatabase = (file, content, callback) => {
    if (!extents.isInitialized()) return save(file, content, callback);
    extents.db.saveDatabase((error) => (error ? callback(error) : save(file, content, callback)));
  };
}

// Delay the end of a response until `database` is saved; if that fails, the connection is closed without a response.
function endAfterSave(response, database) {
  const end = response.end.bind(response);
  response.end = (...last) => {
    database.saveDatabase((error) => {
      if (!error) return end(...last);
      console.error(`cannot save ${database.filename}: ${error.message}`);
      response.destroy();
    });
    return response;
  };
}

// The signature of a directory (sr=d) replaces that of a snapshot. It signs the first `sdd` names of a blob's path,
// or of the listed prefix.
// https://learn.microsoft.com/rest/api/storageservices/create-user-delegation-sas
BlobSASResourceType.BlobSnapshot = "d";
const readSignature = BlobSASAuthenticator.prototype.getBlobSASSignatureValuesFromRequest;
BlobSASAuthenticator.prototype.getBlobSASSignatureValuesFromRequest = function (request, container, blob, context) {
  const values = readSignature.call(this, request, container, blob, context);
  if (!values || values.signedResource !== "d") return values;
  const names = (blob || decodeURIComponent(request.getQuery("prefix") || "")).split("/");
  return { ...values, blobName: names.slice(0, Number(request.getQuery("sdd"))).join("/") };
};

// Azurite reads each block again to compute its CRC64 in JavaScript, which takes longer than encoding the block as
// Parquet. A checksum that a client sends is still verified.
const computeChecksums = utils.computeTransactionalChecksums;
utils.computeTransactionalChecksums = async (stream, expected, force) => {
  if (expected.md5 || expected.crc64 || force?.md5) return computeChecksums(stream, expected, { ...force, crc64: false });
  stream.destroy();
  return {};
};

// Like the other services, end when the local cloud's directory is deleted, since `stop` could not find this one.
const location = process.argv[process.argv.indexOf("--location") + 1];
setInterval(() => existsSync(dirname(location)) || process.exit(1), 1000).unref();

require("azurite/dist/src/blob/main");
