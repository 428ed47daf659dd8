// What is asked and what is open, as an address: shareable, and the back button walks through it.
// An image of one's own cannot stand in an address; history remembers a number for it while the page lives.

export const PAGE = 30;
const MOST = 200;
const uploads = new Map();

export const EMPTY = { text: "", plus: [], minus: [], row: null, upload: null, top: PAGE, view: null };

export function fromAddress() {
  const parameters = new URLSearchParams(location.search);
  const number = (name) => (/^\d+$/.test(parameters.get(name) ?? "") ? Number(parameters.get(name)) : null);
  const upload = history.state?.upload ?? null;
  return {
    text: parameters.get("text") ?? "",
    plus: parameters.getAll("plus"),
    minus: parameters.getAll("minus"),
    row: number("row"),
    upload: uploads.has(upload) ? upload : null,
    top: Math.max(1, Math.min(number("top") ?? PAGE, MOST)),
    view: number("view"),
  };
}

export function toAddress(query) {
  const address = parametersOf(query);
  if (query.top !== PAGE) address.set("top", query.top);
  if (query.view !== null) address.set("view", query.view);
  return address.size ? `/?${address}` : "/";
}

export function parametersOf({ text, plus, minus, row }) {
  const parameters = new URLSearchParams();
  if (text) parameters.set("text", text);
  for (const each of plus) parameters.append("plus", each);
  for (const each of minus) parameters.append("minus", each);
  if (row !== null) parameters.set("row", row);
  return parameters;
}

export const asksNothing = ({ text, plus, minus, row, upload }) =>
  !text && !plus.length && !minus.length && row === null && upload === null;

export const sameAnswers = (one, other) =>
  one !== null && ["text", "plus", "minus", "row", "upload", "top"].every((key) => String(one[key]) === String(other[key]));

export const canShowMore = (query, shown) => shown >= query.top && query.top < MOST;

export const withMore = (query) => ({ ...query, top: Math.min(query.top + PAGE, MOST) });

export function keepUpload(file) {
  const number = `${Date.now()}.${uploads.size}`; // never that of an upload before a reload, which history still knows
  uploads.set(number, { file, address: URL.createObjectURL(file) });
  return number;
}

export const uploadOf = (query) => uploads.get(query.upload) ?? null;

export function inWords({ text, plus, minus, row, upload }) {
  const base = [row !== null || upload !== null ? "image" : "", text].filter(Boolean).join(" + ");
  return [base, ...plus.map((each) => `+ ${each}`), ...minus.map((each) => `− ${each}`)].filter(Boolean).join(" ");
}
