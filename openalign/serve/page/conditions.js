// Conditions on the images (`openalign/search/query/conditions.py`), as the controls of the page make and read them.

const FORM = /^(.*?)(<=|>=|!=|=|<|>)(.*)$/s;
const SIGNS = { "<=": "≤", ">=": "≥", "!=": "≠", "<": "<", ">": ">", "=": "" };
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

export function partsOf(condition) {
  const [, column, operator, value] = FORM.exec(condition) ?? [null, condition, "", ""];
  return { column: column.trim(), operator, value: value.trim() };
}

// Conditions with others of a column, or without any where `conditions` is empty; `isMine` says which are replaced.
export const replaced = (where, isMine, conditions) => [...where.filter((each) => !isMine(partsOf(each))), ...conditions];

export const isOf = (column) => (parts) => parts.column === column;

// The value that a column must equal, if there is such a condition.
export function valueOf(where, column) {
  const found = where.map(partsOf).find((parts) => parts.column === column && parts.operator === "=");
  return found?.value ?? null;
}

export const equals = (column, value) => `${column}=${value}`;

// The first and the last month of a range; null on a side that is open. Where several bound a side, the closest does.
export function monthsOf(where) {
  const range = { from: null, to: null };
  for (const { operator, value } of where.map(partsOf).filter(isRange)) {
    const [first, last] = value.length === 4 ? [`${value}-01`, `${value}-12`] : [value, value];
    const from = { ">=": first, "=": first, ">": after(last) }[operator] ?? null;
    const to = { "<=": last, "=": last, "<": before(first) }[operator] ?? null;
    if (from !== null && (range.from === null || from > range.from)) range.from = from;
    if (to !== null && (range.to === null || to < range.to)) range.to = to;
  }
  return range;
}

export function betweenMonths(from, to) {
  const conditions = [];
  if (from !== null) conditions.push(`date>=${from}`);
  if (to !== null) conditions.push(`date<${after(to)}`);
  return conditions;
}

export const numberOf = (month) => 12 * Number(month.slice(0, 4)) + Number(month.slice(5, 7)) - 1;

export const monthOf = (number) => `${String(Math.floor(number / 12)).padStart(4, "0")}-${String((number % 12) + 1).padStart(2, "0")}`;

const before = (month) => monthOf(numberOf(month) - 1);
const after = (month) => monthOf(numberOf(month) + 1);

export const monthInWords = (month) => `${MONTHS[Number(month.slice(5, 7)) - 1] ?? month} ${month.slice(0, 4)}`;

// What the chips say: all conditions on months are one of them. Returns [{ words, conditions }]; `row` is the picture whose
// near-duplicates are asked for, if they are.
export function described(where) {
  const dates = where.filter((each) => isRange(partsOf(each)));
  const others = where.filter((each) => !dates.includes(each)).map((each) => ({ words: inWords(partsOf(each)), conditions: [each], row: rowOf(partsOf(each)) }));
  return dates.length ? [{ words: rangeInWords(monthsOf(dates)), conditions: dates }, ...others] : others;
}

const rowOf = ({ column, value }) => (column === "alike" && /^\d+$/.test(value) ? value : null);

export const isRange = ({ column, operator, value }) => column === "date" && [">=", ">", "<", "<=", "="].includes(operator) && /^\d{4}(-\d\d)?$/.test(value);

function rangeInWords({ from, to }) {
  if (from === null) return `until ${monthInWords(to)}`;
  if (to === null) return `since ${monthInWords(from)}`;
  if (from === to) return monthInWords(from);
  const isYears = from.endsWith("-01") && to.endsWith("-12");
  const [first, last] = isYears ? [from.slice(0, 4), to.slice(0, 4)] : [monthInWords(from), monthInWords(to)];
  return first === last ? first : `${first} – ${last}`;
}

// What the clusters of the map are called, by their numbers.
export const clusterNames = new Map();

function inWords({ column, operator, value }) {
  if (column === "alike") return "nearly the same";
  if (column === "duplicates" && value === "*") return `${operator === "=" ? "with" : "without"} near-duplicates`;
  if (column === "region") return clusterNames.get(value) ?? "part of the map";
  const name = column.replace(/^fields\./, "");
  if (value === "*") return column === "near" ? (operator === "=" ? "with a place" : "without a place") : `${operator === "=" ? "with" : "without"} ${name}`;
  return [name, SIGNS[operator], value].filter(Boolean).join(" ");
}
