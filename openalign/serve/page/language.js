// The language of queries, as `openalign/search/query/language.py` describes and reads it; tests compare the two.
// A term is { text | image | row, weight, minus }: one of the first three, and null where no weight is written.

const BLANK = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000"; // Python's, not those of \s
const END = `(?=[${BLANK}]|$)`;
const SIGN = new RegExp(`[+-]${END}`, "y");
const SIGN_AFTER_BLANK = new RegExp(`(?<=[${BLANK}])[+-]${END}`, "g");
const WEIGHT = new RegExp(`([0-9]+(?:\\.[0-9]*)?|\\.[0-9]+)\\*(?=[^${BLANK}0-9*])`, "y");
const PATH = new RegExp(`[^${BLANK}"][^${BLANK}]*`, "y");
const ROW = new RegExp(`[0-9]{1,15}${END}`, "y");
const QUOTED = /"((?:[^"]|"")*)"(?!")/y;
const BLANKS = new RegExp(`[${BLANK}]*`, "y");
const OUTER_BLANKS = new RegExp(`^[${BLANK}]+|[${BLANK}]+$`, "g");
export const [LIGHTEST, HEAVIEST] = [0.001, 1000];

export const trimmed = (text) => text.replace(OUTER_BLANKS, "");

export const isSigned = (text) => at(SIGN, trimmed(text), 0) !== null;

export class Mistake extends Error {
  constructor(text, at, reason) {
    super(`The query, character ${[...text.slice(0, at)].length + 1} (“${[...text.slice(at)].slice(0, 20).join("")}”): ${reason}.`);
    this.place = [...text.slice(0, at)].length + 1;
  }
}

// The terms of a text; throws a Mistake where it is no query.
export function parse(text) {
  const reader = new Reader(text);
  const terms = [];
  reader.skipBlanks();
  while (reader.at < text.length) {
    const minus = reader.sign() === "-";
    terms.push({ ...reader.term(), minus });
    reader.skipBlanks();
  }
  return terms;
}

export const write = (terms) => terms.map((term) => `${term.minus ? "-" : "+"} ${writeTerm(term)}`).join(" ").replace(/^\+ /, "");

export function writeTerm({ text, image, row, weight }) {
  const factor = weight === null ? "" : `${weight}*`;
  if (row !== undefined) return `${factor}row:${row}`;
  if (image !== undefined) return `${factor}img:${at(PATH, image, 0)?.[0] === image ? image : inQuotes(image)}`;
  return factor + (meansItself(text, factor !== "") ? text : inQuotes(text));
}

function meansItself(text, isWeighted) {
  if (text !== trimmed(text) || /^("|img:|row:)/.test(text)) return false;
  const isReadBack = isWeighted ? at(WEIGHT, `1*${text}`, 0) : !at(WEIGHT, text, 0);
  return isReadBack && !at(SIGN, text, 0) && text.search(SIGN_AFTER_BLANK) < 0;
}

const inQuotes = (text) => `"${text.replaceAll('"', '""')}"`;

function at(expression, text, place) {
  expression.lastIndex = place;
  return expression.exec(text);
}

class Reader {
  constructor(text) {
    this.text = text;
    this.at = 0;
  }

  sign() {
    const place = this.at;
    const found = at(SIGN, this.text, place);
    if (!found) return "";
    this.at += 1;
    this.skipBlanks();
    if (this.at === this.text.length) this.#fail(`nothing follows the ${found[0]}; a text that has it stands in quotation marks`, place);
    if (at(SIGN, this.text, this.at)) this.#fail("two signs follow each other; a text that has them stands in quotation marks", place);
    return found[0];
  }

  term() {
    const weight = this.#weight();
    const place = this.at;
    const kind = this.text.slice(place, place + 4);
    if (kind !== "img:" && kind !== "row:") return { text: this.#text(), weight };
    this.at += kind.length;
    return kind === "img:" ? { image: this.#path(place), weight } : { row: this.#row(place), weight };
  }

  skipBlanks() {
    this.at = this.#blanksEnd();
  }

  #weight() {
    const found = at(WEIGHT, this.text, this.at);
    if (!found) return null;
    const weight = Number(found[1]);
    if (!(weight >= LIGHTEST && weight <= HEAVIEST)) {
      this.#fail(`a weight is ${LIGHTEST} to ${HEAVIEST}, with a minus between blanks before it`);
    }
    this.at += found[0].length;
    return weight;
  }

  #text() {
    const begin = this.at;
    if (this.text[begin] === '"') {
      const quoted = this.#quoted();
      if (this.#isEndOfTerm()) {
        if (!trimmed(quoted)) this.#fail("there is no text between the quotation marks", begin);
        return quoted;
      }
    }
    this.at = at(SIGN_AFTER_BLANK, this.text, this.at)?.index ?? this.text.length;
    return trimmed(this.text.slice(begin, this.at));
  }

  #path(term) {
    let path;
    if (this.text[this.at] === '"') {
      path = this.#quoted();
    } else {
      path = at(PATH, this.text, this.at)?.[0] ?? "";
      this.at += path.length;
    }
    if (!trimmed(path)) this.#fail('img: is followed by the path of an image, as in img:beach.jpg or img:"my beach.jpg"', term);
    this.#endTerm("after a path comes + or - between blanks; one with blanks stands in quotation marks");
    return path;
  }

  #row(term) {
    const found = at(ROW, this.text, this.at);
    if (!found) this.#fail("row: is followed by the number of a row, as in row:17; a text stands in quotation marks", term);
    this.at += found[0].length;
    this.#endTerm("after a row comes + or - between blanks");
    return Number(found[0]);
  }

  #quoted() {
    const found = at(QUOTED, this.text, this.at);
    if (!found) this.#fail("this quotation mark has no closing one; a text that has one doubles it");
    this.at += found[0].length;
    return found[1].replaceAll('""', '"');
  }

  #endTerm(reason) {
    if (this.#isEndOfTerm()) return;
    this.skipBlanks();
    this.#fail(reason);
  }

  #isEndOfTerm() {
    const after = this.#blanksEnd();
    return after === this.text.length || (after > this.at && at(SIGN, this.text, after) !== null);
  }

  #blanksEnd() {
    return this.at + at(BLANKS, this.text, this.at)[0].length;
  }

  #fail(reason, place = this.at) {
    throw new Mistake(this.text, place, reason);
  }
}
