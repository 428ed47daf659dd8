// What is asked and what is open. A query is one text in the box, one image beside it, and chips: the other terms of the
// language of queries. `address.js` writes it as an address.

import { isSigned, parse, write, writeTerm } from "./language.js";

export const PAGE = 30;
export const MOST = 200;
const TEXT_BESIDE_IMAGE = 2; // the paper's weight (section 6)
export const SORTS = ["score", "-date", "date", "name"];
export const AGAINST = ["image", "text", "both"];
export const MOST_CONDITIONS = 16;
export const MOST_UPLOADS = 16;

// An image of one's own is a number that `uploads.js` knows: `upload` for that of the box, `image` of a chip's term.
export const EMPTY = {
  box: "", row: null, chips: [], upload: null, mistake: null, lost: 0, // what is asked; `lost`: images of an address
  where: [], sort: "score", against: "image", // among which images, in which order, compared with what of them
  top: PAGE, all: false, // how many
  view: null, // the row that is open
  map: false, // whether the map of the collection is shown above the answers
};

export const plain = (text, minus = false) => ({ text, weight: null, minus });

// As REST and the examples of an index have it: here every text means itself.
export const ofParts = ({ text, plus, minus, row }) => ({
  ...EMPTY,
  box: text ?? "",
  row,
  chips: [...plus.map((each) => plain(each)), ...minus.map((each) => plain(each, true))],
});

// `query` with what was typed into the box: a first text stays there, the other terms become chips.
// Throws a Mistake where it is no query, and an Error where it names a file.
export const typed = (query, text) => withTerms(query, noFiles(parse(text)), isSigned(text));

export function withTerms(query, terms, areAllChips) {
  let { row } = query;
  const [first, ...others] = terms;
  const isBox = first?.text !== undefined && first.weight === null && !areAllChips;
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
export const chipsOf = (text, minus) => noFiles(parse(text)).map((term) => ({ ...term, minus: term.minus !== minus }));

function noFiles(terms) {
  const file = terms.find((term) => term.image !== undefined);
  if (file) throw new Error(`The page opens no file by its name: choose, drop or paste ${file.image}.`);
  return terms;
}

export const boxOf = ({ box, mistake }) => (mistake ? box : box && writeTerm(plain(box)));

// The numbers of all images of one's own, in the order in which they are sent: `img:1` is the first.
export const uploadsOf = ({ upload, chips }) => [upload, ...chips.map((term) => term.image ?? null)].filter((each) => each !== null);

// The query in the language; without the image of the box if that is an upload, which the service adds by itself.
export function textOf(query) {
  const { box, row, chips } = query;
  const sent = uploadsOf(query);
  const numbered = chips.map((term) => (term.image === undefined ? term : { ...term, image: String(sent.indexOf(term.image) + 1) }));
  const first = [...(box ? [plain(box)] : []), ...(row === null ? [] : [{ row, weight: null, minus: false }])];
  const text = write([...first, ...numbered]);
  const couldBeBox = !first.length && chips.length && chips[0].text !== undefined && chips[0].weight === null && !chips[0].minus;
  return couldBeBox ? `+ ${text}` : text;
}

export const usualWeight = (term, { row, chips, upload }) =>
  term.text !== undefined && (upload !== null || row !== null || chips.some((each) => each.text === undefined)) ? TEXT_BESIDE_IMAGE : 1;

// Whether there is nothing to compare images with; there may still be conditions.
export const asksNothing = ({ box, row, chips, upload }) => !box && !chips.length && row === null && upload === null;

export const isHome = (query) => asksNothing(query) && !query.where.length && !query.all && query.sort === "score";

// Whether all images are wanted in order, of which the page gets rows and shapes first.
export const wantsAll = (query) => (asksNothing(query) ? !isHome(query) : query.all || query.sort !== "score");

export const sameQuestion = (one, other) =>
  one !== null &&
  textOf(one) === textOf(other) &&
  one.where.join("\n") === other.where.join("\n") &&
  ["sort", "against"].every((each) => one[each] === other[each]) &&
  uploadsOf(one).join() === uploadsOf(other).join();

export const sameAnswers = (one, other) =>
  sameQuestion(one, other) && wantsAll(one) === wantsAll(other) && (wantsAll(other) || one.top === other.top);

export const canShowMore = (query, shown) => !wantsAll(query) && shown >= query.top && query.top < MOST;

// Whether there is a list of all images to go on to; the page looks around without one.
export const canShowAll = (query, shown, images) => !wantsAll(query) && shown < images && shown >= query.top;

export const withMore = (query) => ({ ...query, top: Math.min(query.top + PAGE, MOST) });

export function inWords({ box, row, chips, upload }) {
  const base = [row !== null || upload !== null ? "image" : "", box].filter(Boolean).join(" + ");
  const words = chips.map((term) => `${term.minus ? "−" : "+"} ${term.weight === null ? "" : `${term.weight} × `}${term.text ?? "image"}`);
  return [base, ...words].filter(Boolean).join(" ");
}
