// Calls the unmodified @backstage/catalog-client for a test: one call per line of standard input, one answer per
// line of standard output, in the same order.
//
//   {"baseUrl", "token", "method", "args"}  ->  {"value"}, {"absent": true} for undefined, or {"error"}
//
// What JSON cannot say is said by an object with one key: {"$exists": true} for the symbol CATALOG_FILTER_EXISTS in
// an argument, {"$absent": true} for undefined inside an answer. Streams come back as the list of their pages.

import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const require = createRequire(import.meta.url);
const { CATALOG_FILTER_EXISTS, CatalogClient } = require('@backstage/catalog-client');

const revive = (_key, value) => (value && value.$exists === true ? CATALOG_FILTER_EXISTS : value);
const mark = value => (Array.isArray(value) ? value.map(v => (v === undefined ? { $absent: true } : mark(v)))
  : value && typeof value === 'object' ? Object.fromEntries(Object.entries(value).map(([k, v]) => [k, mark(v)]))
  : value);

async function collected(value) {
  if (value && typeof value[Symbol.asyncIterator] === 'function') {
    const pages = [];
    for await (const page of value) pages.push(page);
    return pages;
  }
  return value;
}

async function answer({ baseUrl, token, method, args }) {
  const client = new CatalogClient({ discoveryApi: { getBaseUrl: async id => `${baseUrl}/api/${id}` } });
  try {
    // Options come after the request, which is therefore never left out, not even where it may be.
    const value = await collected(await client[method](...args, token ? { token } : undefined));
    return value === undefined ? { absent: true } : { value: mark(value) };
  } catch (error) {
    return {
      error: { name: error.name, message: error.message, status: error.statusCode ?? null, cause: error.cause?.name ?? null },
    };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await answer(JSON.parse(line, revive)))}\n`);
}
