// The service's answers as promises; a failure is an Error with the service's own sentence.

import { parametersOf } from "./address.js";
import { isHome, uploadsOf, wantsAll } from "./query.js";
import { uploadOf } from "./uploads.js";

const MOST_BYTES = 20 * 1024 * 1024;
const MOST_TRIES = 4;
const STORED_KEY = "openalign-key"; // for this tab, and no cookie: it goes with our own requests only

export class Offline extends Error {}

async function ask(address, options = {}, read = (response) => response.json()) {
  for (let tries = 1; ; tries++) {
    const key = sessionStorage.getItem(STORED_KEY);
    const headers = { ...options.headers, ...(key === null ? {} : { "X-Api-Key": key }) };
    const response = await answer(address, { ...options, headers });
    if (response.ok) return read(response);
    const reply = await response.json().catch(() => ({ error: `The service answered with status ${response.status}.` }));
    const again = tries < MOST_TRIES;
    if (again && response.status === 401 && hasAnotherKey(key)) continue;
    const seconds = Number(response.headers.get("Retry-After"));
    if (!again || ![429, 503].includes(response.status) || !seconds) throw new Error(reply.error);
    await pause(seconds, options.signal);
  }
}

async function answer(address, options) {
  try {
    return await fetch(address, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Offline("The service does not answer. Is it still running?");
  }
}

function hasAnotherKey(refused) {
  if (sessionStorage.getItem(STORED_KEY) !== refused) return true; // given for a request beside this one
  const given = prompt(refused === null ? "The key of this service:" : "That is not the key of this service. Its key:");
  if (given === null) return false;
  sessionStorage.setItem(STORED_KEY, given.replace(/[^!-~]/g, "")); // a header takes no other characters
  return true;
}

function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, 1000 * seconds);
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    signal?.addEventListener("abort", stop, { once: true });
  });
}

export const info = () => ask("/api/info");

// Where all images lie on the map, in bytes (`map_points.js`).
export const wholeMap = () => ask("/api/map", {}, (response) => response.arrayBuffer());

export const thumbnail = (row) => ask(`/api/thumbnails/${row}`, {}, (response) => response.blob());

export const picture = (row) => ask(`/api/rows/${row}`);

export const facets = () => ask("/api/facets");

// What is known of some rows.
export async function pictures(rows) {
  const parameters = new URLSearchParams(rows.map((row) => ["row", row]));
  return (await ask(`/api/rows?${parameters}`)).images;
}

// Answers in the form that `Grid.show` takes, with `milliseconds` where something was searched for.
export async function answers(query, signal) {
  if (isHome(query)) return ofHits((await ask(`/api/browse?count=${query.top}`, { signal })).images);
  const parameters = parametersOf(query);
  if (wantsAll(query)) return { ...(await send("/api/listing", parameters, query, signal)), hits: [] };
  const { hits, milliseconds, note } = await send("/api/search", parameters, query, signal);
  return { ...ofHits(hits), milliseconds, note };
}

function send(address, parameters, query, signal) {
  const uploads = uploadsOf(query).map(uploadOf);
  if (!uploads.length) return ask(`${address}?${parameters}`, { signal });
  const form = new FormData();
  for (const [name, value] of parameters) form.append(name, value);
  for (const { file } of uploads) form.append("image", file);
  return ask(address, { method: "POST", body: form, signal });
}

function ofHits(hits) {
  const isScored = hits.length > 0 && "score" in hits[0];
  const beyond = hits.findIndex((hit) => !hit.within);
  return {
    rows: hits.map((hit) => hit.row),
    ratios: hits.map((hit) => hit.width / hit.height),
    scores: isScored ? hits.map((hit) => hit.score) : null,
    alike: hits.map((hit) => hit.alike ?? 0),
    note: null,
    within: isScored ? (beyond < 0 ? hits.length : beyond) : null,
    hits,
  };
}

// Queries that the index has, and whether this service takes more. All of them, since a new one must replace none.
export async function saved() {
  const all = [];
  for (let after = ""; ; ) {
    const { saved, next, full, writable } = await ask(`/api/saved?${new URLSearchParams({ after, count: 200 })}`);
    all.push(...saved);
    if (next === null) return { saved: all, full, writable };
    after = next;
  }
}

export const save = (name, query) =>
  ask(`/api/saved/${encodeURIComponent(name)}`, { method: "PUT", headers: { "Content-Type": "application/json" }, body: JSON.stringify(query) });

export const forget = (name) => ask(`/api/saved/${encodeURIComponent(name)}`, { method: "DELETE" });

export function labels(row, names, signal) {
  const form = new FormData();
  form.append("row", row);
  for (const name of names) form.append("labels", name);
  return ask("/api/classify", { method: "POST", body: form, signal });
}

export function refusal(file) {
  if (!file.type.startsWith("image/")) return `${file.name} is not an image.`;
  return file.size > MOST_BYTES ? `${file.name} is larger than 20 MB; take a smaller image.` : null;
}
