// What is asked and what is open, as an address: shareable, and the back button walks through it.
// A query is one text in the box, one image beside it, and chips: the other terms of the language of queries.
// An image of one's own cannot stand in an address; history remembers a number for it (`uploads.js`).

import { isSigned, parse, write, writeTerm } from "./language.js";
import { hasUpload } from "./uploads.js";

export const PAGE = 30;
const MOST = 200;
const TEXT_BESIDE_IMAGE = 2; // the paper's weight (section 6)
const SORTS = ["score", "-date", "date", "name"];
export const MOST_CONDITIONS = 16;

export const EMPTY = {
  box: "", row: null, chips: [], upload: null, mistake: null, // what is asked
  where: [], sort: "score", alike: null, // among which images, in which order; the row whose near-duplicates are shown
  top: PAGE, all: false, // how many
  view: null, // the row that is open
  map: false, // whether the map of the collection is shown above the answers
};

const plain = (text, minus = false) => ({ text, weight: null, minus });

export function fromAddress() {
  const parameters = new URLSearchParams(location.search);
  const number = (name) => (/^\d+$/.test(parameters.get(name) ?? "") ? Number(parameters.get(name)) : null);
  const upload = history.state?.upload ?? null;
  return {
    ...askedBy(parameters, number, hasUpload(upload) ? upload : null),
    where: [...new Set(parameters.getAll("where").map((each) => each.trim()).filter(Boolean))].slice(0, MOST_CONDITIONS),
    sort: SORTS.find((each) => each === parameters.get("sort")) ?? "score",
    alike: number("alike"),
    top: Math.max(1, Math.min(number("top") ?? PAGE, MOST)),
    all: parameters.get("all") === "1",
    view: number("view"),
    map: parameters.get("show") === "map",
  };
}

function askedBy(parameters, number, upload) {
  const text = parameters.get("query");
  const all = (name) => parameters.getAll(name);
  if (text === null) return { ...ofParts({ text: parameters.get("text"), plus: all("plus"), minus: all("minus"), row: number("row") }), upload };
  try {
    return typed({ ...EMPTY, upload }, text);
  } catch (mistake) {
    return { ...EMPTY, box: text, upload, mistake: mistake.message };
  }
}

// As REST and the examples of an index have it: here every text means itself.
export const ofParts = ({ text, plus, minus, row }) => ({
  ...EMPTY,
  box: text ?? "",
  row,
  chips: [...plus.map((each) => plain(each)), ...minus.map((each) => plain(each, true))],
});

// `query` with what was typed into the box: a first text stays there, the other terms become chips.
// Throws a Mistake where it is no query, and an Error where it names a file.
export function typed(query, text) {
  let { row } = query;
  const [first, ...others] = termsOf(text);
  const isBox = first?.text !== undefined && first.weight === null && !isSigned(text);
  const chips = [];
  for (const term of isBox || !first ? others : [first, ...others]) {
    if (row === null && query.upload === null && term.row !== undefined && term.weight === null && !term.minus) row = term.row;
    else chips.push(term);
  }
  return { ...query, box: isBox ? first.text : "", row, chips: [...query.chips, ...chips] };
}

// Whether the text may be searched for while it is being typed: signs, weights and quotes wait for Enter.
export const isPlain = (text) => !isSigned(text) && (text.trim() === "" || writeTerm(plain(text.trim())) === text.trim());

// What was typed into a chip; for `minus`, all of it is taken away.
export const chipsOf = (text, minus) => termsOf(text).map((term) => ({ ...term, minus: term.minus !== minus }));

function termsOf(text) {
  const terms = parse(text);
  const file = terms.find((term) => term.image !== undefined);
  if (file) throw new Error(`The page opens no file by its name: choose, drop or paste ${file.image}.`);
  return terms;
}

export const boxOf = ({ box, mistake }) => (mistake ? box : box && writeTerm(plain(box)));

export function textOf(query) {
  const { box, row, chips } = query;
  const first = [...(box ? [plain(box)] : []), ...(row === null ? [] : [{ row, weight: null, minus: false }])];
  const text = write([...first, ...chips]);
  const couldBeBox = !first.length && chips.length && chips[0].text !== undefined && chips[0].weight === null && !chips[0].minus;
  return couldBeBox ? `+ ${text}` : text;
}

export const usualWeight = (term, { row, chips, upload }) =>
  term.text !== undefined && (upload !== null || row !== null || chips.some((each) => each.row !== undefined)) ? TEXT_BESIDE_IMAGE : 1;

export function toAddress(query) {
  const address = new URLSearchParams();
  const text = query.mistake ? query.box : textOf(query);
  if (text) address.set("query", text);
  for (const condition of query.where) address.append("where", condition);
  if (query.sort !== "score") address.set("sort", query.sort);
  if (query.alike !== null) address.set("alike", query.alike);
  if (query.top !== PAGE && !query.all) address.set("top", query.top);
  if (query.all) address.set("all", 1);
  if (query.view !== null) address.set("view", query.view);
  if (query.map) address.set("show", "map");
  return address.size ? `/?${address}` : "/";
}

// What the service is asked for.
export function parametersOf(query) {
  const parameters = termsIn(query);
  for (const condition of query.where) parameters.append("where", condition);
  return parameters;
}

function termsIn(query) {
  const { box, row, chips } = query;
  if (chips.some((term) => term.weight !== null || term.text === undefined)) return new URLSearchParams({ query: textOf(query) });
  const parameters = new URLSearchParams();
  for (const text of box ? [box] : []) parameters.append("plus", text);
  for (const { text, minus } of chips) parameters.append(minus ? "minus" : "plus", text);
  if (row !== null) parameters.set("row", row);
  return parameters;
}

// Whether there is nothing to compare images with; there may still be conditions.
export const asksNothing = ({ box, row, chips, upload }) => !box && !chips.length && row === null && upload === null;

export const isHome = (query) => asksNothing(query) && !query.where.length && !query.all && query.sort === "score" && query.alike === null;

// Whether all images are wanted in order, of which the page gets rows and shapes first.
export const wantsAll = (query) => query.all || query.sort !== "score" || (asksNothing(query) && query.where.length > 0);

export const sameQuestion = (one, other) =>
  one !== null &&
  textOf(one) === textOf(other) &&
  one.where.join("\n") === other.where.join("\n") &&
  ["upload", "sort", "alike"].every((each) => one[each] === other[each]);

export const sameAnswers = (one, other) =>
  sameQuestion(one, other) && wantsAll(one) === wantsAll(other) && (wantsAll(other) || one.top === other.top);

export const canShowMore = (query, shown) => !wantsAll(query) && query.alike === null && shown >= query.top && query.top < MOST;

export const withMore = (query) => ({ ...query, top: Math.min(query.top + PAGE, MOST) });

export function inWords({ box, row, chips, upload }) {
  const base = [row !== null || upload !== null ? "image" : "", box].filter(Boolean).join(" + ");
  const words = chips.map((term) => `${term.minus ? "−" : "+"} ${term.weight === null ? "" : `${term.weight} × `}${term.text ?? "image"}`);
  return [base, ...words].filter(Boolean).join(" ");
}
