// A query as an address: shareable, and the back button walks through it. An image of one's own cannot stand in an
// address; history remembers a number for each (`uploads.js`).

import { isSigned, parse } from "./language.js";
import * as q from "./query.js";
import { hasUpload } from "./uploads.js";

const oneOf = (values, value) => values.find((each) => each === value) ?? values[0];

export function fromAddress() {
  const parameters = new URLSearchParams(location.search);
  const number = (name) => (/^\d{1,15}$/.test(parameters.get(name) ?? "") ? Number(parameters.get(name)) : null);
  return {
    ...askedBy(parameters, number("row")),
    where: [...new Set(parameters.getAll("where").map((each) => each.trim()).filter(Boolean))].slice(0, q.MOST_CONDITIONS),
    sort: oneOf(q.SORTS, parameters.get("sort")),
    against: oneOf(q.AGAINST, parameters.get("against")),
    top: Math.max(1, Math.min(number("top") ?? q.PAGE, q.MOST)),
    all: parameters.get("all") === "1",
    view: number("view"),
    map: parameters.get("show") === "map",
  };
}

function askedBy(parameters, row) {
  const known = history.state?.upload ?? null;
  const upload = hasUpload(known) ? known : null;
  const text = parameters.get("query");
  const all = (name) => parameters.getAll(name);
  if (text === null) return { ...q.ofParts({ text: parameters.get("text"), plus: all("plus"), minus: all("minus"), row }), upload };
  try {
    const terms = parse(text);
    const found = terms.map(withUpload).filter((term) => term !== null);
    return { ...q.withTerms({ ...q.EMPTY, upload }, found, isSigned(text)), lost: terms.length - found.length };
  } catch (mistake) {
    return { ...q.EMPTY, box: text, upload, mistake: mistake.message };
  }
}

// `img:2` is the second image that history remembers; null where this tab has none, as in a link from elsewhere.
function withUpload(term) {
  if (term.image === undefined) return term;
  const number = history.state?.uploads?.[Number(term.image) - 1] ?? null;
  return hasUpload(number) ? { ...term, image: number } : null;
}

// What history has to remember beside the address.
export const memoryOf = (query) => ({ upload: query.upload, uploads: q.uploadsOf(query) });

export function toAddress(query) {
  const address = new URLSearchParams();
  const text = query.mistake ? query.box : q.textOf(query);
  if (text) address.set("query", text);
  for (const condition of query.where) address.append("where", condition);
  if (query.sort !== "score") address.set("sort", query.sort);
  if (query.against !== "image") address.set("against", query.against);
  if (query.top !== q.PAGE && !query.all) address.set("top", query.top);
  if (query.all) address.set("all", 1);
  if (query.view !== null) address.set("view", query.view);
  if (query.map) address.set("show", "map");
  return address.size ? `/?${address}` : "/";
}

// What the service is asked for.
export function parametersOf(query) {
  const parameters = termsIn(query);
  for (const condition of query.where) parameters.append("where", condition);
  parameters.set("sort", query.sort);
  if (query.against !== "image") parameters.set("against", query.against);
  if (!q.wantsAll(query)) parameters.set("top", query.top);
  return parameters;
}

function termsIn(query) {
  const { box, row, chips } = query;
  if (chips.some((term) => term.weight !== null || term.text === undefined)) return new URLSearchParams({ query: q.textOf(query) });
  const parameters = new URLSearchParams();
  for (const text of box ? [box] : []) parameters.append("plus", text);
  for (const { text, minus } of chips) parameters.append(minus ? "minus" : "plus", text);
  if (row !== null) parameters.set("row", row);
  return parameters;
}
