// What is asked and what is open, as an address: shareable, and the back button walks through it.
// A query is one text in the box, one image beside it, and chips: the other terms of the language of queries.
// An image of one's own cannot stand in an address; history remembers a number for it while the page lives.

import { isSigned, parse, write, writeTerm } from "./language.js";

export const PAGE = 30;
const MOST = 200;
const TEXT_BESIDE_IMAGE = 2; // the paper's weight (section 6)
const uploads = new Map();

export const EMPTY = { box: "", row: null, chips: [], upload: null, top: PAGE, view: null, mistake: null };

const plain = (text, minus = false) => ({ text, weight: null, minus });

export function fromAddress() {
  const parameters = new URLSearchParams(location.search);
  const number = (name) => (/^\d+$/.test(parameters.get(name) ?? "") ? Number(parameters.get(name)) : null);
  const upload = history.state?.upload ?? null;
  return {
    ...askedBy(parameters, number, uploads.has(upload) ? upload : null),
    top: Math.max(1, Math.min(number("top") ?? PAGE, MOST)),
    view: number("view"),
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
  if (query.top !== PAGE) address.set("top", query.top);
  if (query.view !== null) address.set("view", query.view);
  return address.size ? `/?${address}` : "/";
}

// What the service is asked for.
export function parametersOf(query) {
  const { box, row, chips } = query;
  if (chips.some((term) => term.weight !== null || term.text === undefined)) return new URLSearchParams({ query: textOf(query) });
  const parameters = new URLSearchParams();
  for (const text of box ? [box] : []) parameters.append("plus", text);
  for (const { text, minus } of chips) parameters.append(minus ? "minus" : "plus", text);
  if (row !== null) parameters.set("row", row);
  return parameters;
}

export const asksNothing = ({ box, row, chips, upload }) => !box && !chips.length && row === null && upload === null;

export const sameAnswers = (one, other) =>
  one !== null && textOf(one) === textOf(other) && one.upload === other.upload && one.top === other.top;

export const canShowMore = (query, shown) => shown >= query.top && query.top < MOST;

export const withMore = (query) => ({ ...query, top: Math.min(query.top + PAGE, MOST) });

export function keepUpload(file) {
  const number = `${Date.now()}.${uploads.size}`; // never that of an upload before a reload, which history still knows
  uploads.set(number, { file, address: URL.createObjectURL(file) });
  return number;
}

export const uploadOf = (query) => uploads.get(query.upload) ?? null;

export function inWords({ box, row, chips, upload }) {
  const base = [row !== null || upload !== null ? "image" : "", box].filter(Boolean).join(" + ");
  const words = chips.map((term) => `${term.minus ? "−" : "+"} ${term.weight === null ? "" : `${term.weight} × `}${term.text ?? "image"}`);
  return [base, ...words].filter(Boolean).join(" ");
}
