// Every method of the official JavaScript client, once: node every_method.mjs URL MASTER_KEY
//
// Prints one JSON object: the faults, and the methods that a newer client has and nobody calls here.
// A method works (its task succeeds), or Miroir refuses it on purpose, and then has to say so.

import { Meilisearch } from "meilisearch";

const [url, masterKey] = process.argv.slice(2);
const client = new Meilisearch({ host: url, apiKey: masterKey });
const DOCUMENTS = Array.from({ length: 12 }, (_, n) => ({ id: n, title: `boat ${n}`, size: n % 5 }));
const OWN = { own: { source: "userProvided", dimensions: 2 } };
const REFUSED = new Set([
  "getChatWorkspaces", "getChatWorkspace", "deleteChatWorkspace", "getDynamicSearchRules",
  "getDynamicSearchRule", "updateDynamicSearchRule", "deleteDynamicSearchRule",
  "deleteAllDynamicSearchRules", "getNetwork", "updateNetwork", "initializeNetwork", "addRemote",
  "removeRemote", "addRemotesToShard", "removeRemotesFromShard", "createDump", "createSnapshot",
  "getTaskDocuments",
]);
// Nodes without a language for functions say so; real ones have one.
const LEFT_TO_NODES = { updateDocumentsByFunction: "edit_documents_by_function_error" };
// Name in the client's methods -> a value.
const SETTINGS = {
  Pagination: { maxTotalHits: 500 },
  Synonyms: { boat: ["ship"] },
  StopWords: ["the"],
  RankingRules: ["words", "typo", "sort", "exactness"],
  DistinctAttribute: "size",
  FilterableAttributes: ["size", "title"],
  SortableAttributes: ["size"],
  SearchableAttributes: ["title"],
  DisplayedAttributes: ["*"],
  TypoTolerance: { enabled: true },
  Faceting: { maxValuesPerFacet: 50 },
  SeparatorTokens: ["&"],
  NonSeparatorTokens: ["@"],
  Dictionary: ["J. R."],
  ProximityPrecision: "byWord",
  Embedders: OWN,
  SearchCutoffMs: 800,
  LocalizedAttributes: [{ attributePatterns: ["title"], locales: ["eng"] }],
  ForeignKeys: [],
  FacetSearch: true,
  PrefixSearch: "indexingTime",
};

const faults = [];
const called = new Set();

function expect(what, condition) {
  if (!condition) faults.push(`${what}: not as expected`);
}

// Calls a method; waits for the task if it answers one; returns its answer, or null if refused.
async function told(owner, name, ...args) {
  called.add(name);
  try {
    const answer = await owner[name](...args);
    if (REFUSED.has(name)) faults.push(`${name}: should be refused`);
    for (const one of Array.isArray(answer) ? answer : [answer]) await succeeds(name, one);
    return answer;
  } catch (error) {
    const code = error?.cause?.code ?? error?.code;
    const wanted = LEFT_TO_NODES[name] ?? (REFUSED.has(name) && "miroir_route_not_supported");
    if (code !== wanted) {
      faults.push(`${name}: ${code ?? ""} ${error?.message ?? error}`);
    }
    return null;
  }
}

async function succeeds(name, answer) {
  if (typeof answer?.taskUid !== "number") return;
  const task = await client.tasks.waitForTask(answer.taskUid, { timeout: 30_000 });
  if (task.status !== "succeeded") faults.push(`${name}: ${JSON.stringify(task.error)}`);
}

async function documents(index) {
  const lines = DOCUMENTS.slice(0, 3);
  const ndjson = lines.map((line) => JSON.stringify(line)).join("\n");
  await told(index, "addDocuments", DOCUMENTS);
  await told(index, "addDocumentsFromString", ndjson, "application/x-ndjson");
  await allOf(index, "addDocumentsInBatches", lines, 2);
  await told(index, "updateDocuments", lines);
  await told(index, "updateDocumentsFromString", "id,title\n40,raft", "text/csv");
  await allOf(index, "updateDocumentsInBatches", lines, 2);
  expect("getDocument", (await told(index, "getDocument", 3))?.title === "boat 3");
  expect("getDocuments", (await told(index, "getDocuments", { limit: 3 }))?.total === 13);
  expect("getStats", (await told(index, "getStats"))?.numberOfDocuments === 13);
  await told(index, "deleteDocument", 40);
}

async function allOf(owner, name, ...args) {
  called.add(name);
  for (const promise of owner[name](...args)) await succeeds(name, await promise);
}

async function searches(index) {
  const uid = index.uid;
  expect("search", (await told(index, "search", "boat"))?.hits.length === 12);
  expect("searchGet", (await told(index, "searchGet", "boat", { limit: 2 }))?.hits.length === 2);
  const facets = { facetName: "title", facetQuery: "boat 3" };
  expect("facets", (await told(index, "searchForFacetValues", facets))?.facetHits[0]?.count === 1);
  const queries = [{ indexUid: uid, q: "boat", limit: 2 }];
  expect("multi", (await told(client, "multiSearch", { queries }))?.results[0].hits.length === 2);
  await told(index, "updateDocuments", DOCUMENTS.map(({ id }) => ({ id, _vectors: { own: [1, id] } })));
  await told(index, "updateEmbedders", OWN);
  const like = { id: 3, embedder: "own" };
  expect("similar", (await told(index, "searchSimilarDocuments", like))?.hits.length === 11);
  expect("fields", ((await told(index, "getFields"))?.results.length ?? 0) >= 3);
}

async function settings(index) {
  await told(client, "updateExperimentalFeatures", { foreignKeys: true, chatCompletions: true });
  for (const [name, value] of Object.entries(SETTINGS)) {
    await told(index, `update${name}`, value);
    await told(index, `get${name}`);
    await told(index, `reset${name}`);
  }
  await told(index, "updateChat", { description: "boats" });
  expect("getChat", (await told(index, "getChat"))?.description === "boats");
  await told(index, "updateSettings", { stopWords: ["a"] });
  expect("getSettings", (await told(index, "getSettings"))?.stopWords?.[0] === "a");
  await told(index, "resetSettings");
  await told(index, "updateSettings", { filterableAttributes: ["size", "title"] });
}

async function indexes(index) {
  const uid = index.uid;
  expect("getRawInfo", (await told(index, "getRawInfo"))?.primaryKey === "id");
  expect("fetchInfo", (await told(index, "fetchInfo"))?.uid === uid);
  expect("fetchPrimaryKey", (await told(index, "fetchPrimaryKey")) === "id");
  expect("getIndex", (await told(client, "getIndex", uid))?.uid === uid);
  expect("getRawIndex", (await told(client, "getRawIndex", uid))?.uid === uid);
  expect("getIndexes", (await told(client, "getIndexes", { limit: 100 }))?.total >= 1);
  expect("getRawIndexes", (await told(client, "getRawIndexes", { limit: 100 }))?.total >= 1);
  await told(client, "createIndex", "js-b", { primaryKey: "id" });
  await told(client, "createIndex", "js-c");
  await told(client, "updateIndex", "js-c", { primaryKey: "sku" });
  await told(client.index("js-c"), "update", { primaryKey: "id" });
  await told(client, "swapIndexes", [{ indexes: [uid, "js-b"] }]);
  await told(client, "swapIndexes", [{ indexes: [uid, "js-b"] }]);
  await told(client, "deleteIndex", "js-b");
  await told(client.index("js-c"), "delete");
  expect("gone", typeof (await told(client, "deleteIndexIfExists", "js-c")) === "boolean");
}

async function tasks() {
  const newest = (await told(client.tasks, "getTasks", { limit: 1 }))?.results[0];
  expect("getTask", (await told(client.tasks, "getTask", newest.uid))?.uid === newest.uid);
  await told(client.tasks, "waitForTask", newest.uid);
  await told(client.tasks, "waitForTasks", [newest.uid]);
  called.add("waitForTasksIter");
  for await (const task of client.tasks.waitForTasksIter([newest.uid])) {
    expect("waitForTasksIter", task.uid === newest.uid);
  }
  await told(client.tasks, "getTaskDocuments", newest.uid);
  const batch = (await told(client.batches, "getBatches", { limit: 1 }))?.results[0];
  expect("getBatch", (await told(client.batches, "getBatch", batch?.uid))?.uid === batch?.uid);
  await told(client.tasks, "cancelTasks", { statuses: ["enqueued", "processing"] });
  await told(client.tasks, "deleteTasks", { uids: [newest.uid] });
}

async function keysAndWebhooks() {
  const key = await told(client, "createKey", { actions: ["search"], indexes: ["*"], expiresAt: null });
  expect("getKey", (await told(client, "getKey", key?.uid))?.key === key?.key);
  expect("getKeys", (await told(client, "getKeys", { limit: 100 }))?.total >= 1);
  expect("updateKey", (await told(client, "updateKey", key?.uid, { name: "m" }))?.name === "m");
  await told(client, "deleteKey", key?.uid);
  const hook = await told(client, "createWebhook", { url: "http://127.0.0.1:9/", headers: {} });
  expect("getWebhook", (await told(client, "getWebhook", hook?.uuid))?.uuid === hook?.uuid);
  expect("getWebhooks", (await told(client, "getWebhooks"))?.results.length >= 1);
  await told(client, "updateWebhook", hook?.uuid, { url: "http://127.0.0.1:9/x" });
  await told(client, "deleteWebhook", hook?.uuid);
}

async function theWhole(index) {
  expect("health", (await told(client, "health"))?.status === "available");
  expect("isHealthy", (await told(client, "isHealthy")) === true);
  expect("getVersion", Boolean((await told(client, "getVersion"))?.pkgVersion));
  expect("getStats", index.uid in ((await told(client, "getStats"))?.indexes ?? {}));
  await told(client, "updateExperimentalFeatures", { renderRoute: true });
  const template = { kind: "inlineDocumentTemplate", inline: "a {{doc.title}}" };
  const input = { kind: "indexDocument", id: "3", indexUid: index.uid };
  const shown = await told(client, "renderTemplate", { template, input });
  expect("renderTemplate", shown?.rendered === "a boat 3");
  const edit = { editDocumentsByFunction: true };
  await told(client, "updateExperimentalFeatures", edit);
  const features = await told(client, "getExperimentalFeatures");
  expect("getExperimentalFeatures", features?.editDocumentsByFunction === true);
  await told(index, "updateDocumentsByFunction", { function: "doc.size = 9" });
  await told(index, "deleteDocuments", { filter: "size = 4" });
  await told(index, "deleteAllDocuments");
}

async function refused(index) {
  await told(index, "compact");
  await told(client, "createDump");
  await told(client, "createSnapshot");
  await told(client, "getChatWorkspaces");
  await told(client, "getChatWorkspace", "w");
  await told(client, "deleteChatWorkspace", "w");
  await told(client, "getDynamicSearchRules");
  await told(client, "getDynamicSearchRule", "r");
  await told(client, "updateDynamicSearchRule", "r", {});
  await told(client, "deleteDynamicSearchRule", "r");
  await told(client, "deleteAllDynamicSearchRules");
  await told(client, "getNetwork");
  await told(client, "updateNetwork", { self: "a" });
  const remotes = { a: { url: "http://127.0.0.1:9" } };
  await told(client, "initializeNetwork", { self: "a", remotes, shards: { s: { remotes: ["a"] } } });
  await told(client, "addRemote", { name: "b", remote: { url: "http://127.0.0.1:9" } });
  await told(client, "removeRemote", { name: "b" });
  await told(client, "addRemotesToShard", "s", ["b"]);
  await told(client, "removeRemotesFromShard", "s", ["b"]);
}

// Names of methods; an accessor such as `client.tasks` is none.
function methodsOf(prototype) {
  const properties = Object.entries(Object.getOwnPropertyDescriptors(prototype));
  return properties.filter(([, p]) => typeof p.value === "function").map(([name]) => name);
}

async function everything() {
  await told(client, "createIndex", "js-a", { primaryKey: "id" });
  const index = client.index("js-a");
  await settings(index);
  await documents(index);
  await searches(index);
  await indexes(index);
  await keysAndWebhooks();
  await theWhole(index);
  await refused(index);
  await tasks();
  const owners = [client, index, client.tasks, client.batches].map(Object.getPrototypeOf);
  // `index` and `chat` only make objects; a chat is refused where it asks.
  const apart = new Set(["constructor", "index", "chat"]);
  const uncalled = owners.flatMap(methodsOf).filter((n) => !called.has(n) && !apart.has(n));
  console.log(JSON.stringify({ faults, uncalled }));
}

await everything();
