// The service's answers as promises; a failure is an Error with the service's own sentence.

import { asksNothing, parametersOf, uploadOf } from "./query.js";

const MOST_BYTES = 20 * 1024 * 1024;

async function ask(address, options = {}) {
  let response;
  try {
    response = await fetch(address, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The service does not answer. Is it still running?");
  }
  const reply = await response.json().catch(() => ({ error: `The service answered with status ${response.status}.` }));
  if (!response.ok) throw new Error(reply.error);
  return reply;
}

export const info = () => ask("/api/info");

export const picture = (row) => ask(`/api/rows/${row}`);

export async function answers(query, signal) {
  if (asksNothing(query)) return { hits: (await ask(`/api/browse?count=${query.top}`, { signal })).images };
  const parameters = parametersOf(query);
  parameters.set("top", query.top);
  const upload = uploadOf(query);
  if (upload === null) return ask(`/api/search?${parameters}`, { signal });
  const form = new FormData();
  for (const [name, value] of parameters) form.append(name, value);
  form.append("image", upload.file);
  return ask("/api/search", { method: "POST", body: form, signal });
}

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
