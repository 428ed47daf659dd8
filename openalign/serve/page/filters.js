// The filters: a panel with what this index really has, and a chip for each that is set.

import * as c from "./conditions.js";
import { button, element, picture, thumbnailOf, words } from "./elements.js";
import { Panel } from "./panel.js";

const MANY = 10; // values from which on there is a field to find one
const NAMES = { folder: "Folder", label: "Label", width: "Width", height: "Height", bytes: "File size" };
const UNITS = { width: "pixels", height: "pixels", bytes: "such as 200 kB" };

export class Filters {
  // `change(where)` is called with other conditions.
  constructor({ opener, panel, chips, change }) {
    Object.assign(this, { opener, chips, change, where: [], drawn: new Map() });
    this.panel = new Panel(panel, opener, () => this.#fill());
    this.facets = null;
  }

  // What the index has; without it there is nothing to choose from.
  offer(facets) {
    this.facets = facets;
    this.opener.hidden = false;
  }

  show(where) {
    this.where = where;
    this.#showChips();
    this.opener.classList.toggle("on", where.length > 0);
    if (this.panel.isOpen) this.#fill();
  }

  #showChips() {
    const had = [...this.chips.children].findIndex((chip) => chip.contains(document.activeElement));
    this.chips.replaceChildren(...c.described(this.where).map((each) => this.#chip(each)));
    this.chips.hidden = !this.where.length;
    if (had < 0) return;
    const chips = [...this.chips.children];
    (chips[Math.min(had, chips.length - 1)]?.querySelector("button") ?? this.opener).focus();
  }

  #chip({ words: text, conditions, row = null }) {
    const chip = element("li", "chip filter");
    const remove = button("", "×", () => this.change(this.where.filter((each) => !conditions.includes(each))));
    remove.ariaLabel = `Remove the filter ${text}`;
    chip.append(...(row === null ? [] : [picture(thumbnailOf(row), "")]), words(text), remove);
    return chip;
  }

  #fill() {
    const focused = document.activeElement?.dataset?.is;
    const { columns, numbers, months, placed, duplicates } = this.facets;
    const parts = [
      this.#head(),
      ...(months.length ? [this.#values("date", "Year", yearsOf(months))] : []),
      ...columns.map(({ column, values, more }) => this.#values(column, nameOf(column), values, more)),
      ...(placed ? [this.#known("Place", "near=*", "Where it was taken is known", placed)] : []),
      ...(duplicates ? [this.#known("Near-duplicates", "duplicates=*", "Has near-duplicates", duplicates)] : []),
      ...numbers.map((range) => this.#range(range)),
      this.#own(),
    ];
    const scrolled = this.panel.element.scrollTop;
    this.panel.element.replaceChildren(...parts);
    this.panel.element.scrollTop = scrolled;
    if (focused) this.panel.element.querySelector(`[data-is="${CSS.escape(focused)}"]`)?.focus();
  }

  #head() {
    const head = element("div", "panel-head");
    const title = element("h2", "", "Filters");
    const clear = button("link", "Clear all", () => this.change([]));
    clear.dataset.is = "clear";
    clear.hidden = !this.where.length;
    head.append(title, clear, this.panel.closer());
    return head;
  }

  // One of the values of a column can be chosen: conditions on the same column must all hold.
  #values(column, name, values, more = false) {
    const group = fieldset(name);
    const list = element("div", "values");
    const chosen = c.valueOf(this.where, column);
    const known = chosen === null || chosen === "*" || values.some(({ value }) => value === chosen) ? values : [{ value: chosen, images: null }, ...values];
    for (const { value, images } of known) list.append(this.#value(value, images, `${column}=${value}`, value === chosen, () => this.#choose(column, value === chosen ? null : value)));
    if (known.length > MANY) group.append(finder(list, name));
    group.append(list);
    if (more) group.append(element("p", "hint", `The ${values.length} most frequent.`));
    return group;
  }

  #choose(column, value) {
    const isMine = column === "date" ? c.isRange : ({ operator, ...parts }) => parts.column === column && operator === "=";
    this.change(c.replaced(this.where, isMine, value === null ? [] : [c.equals(column, value)]));
  }

  #value(text, images, key, isChosen, act) {
    const item = button("value", "", act);
    item.ariaPressed = isChosen;
    item.dataset.is = key;
    item.append(words(text), ...(images === null ? [] : [element("span", "images", images.toLocaleString("en"))]));
    return item;
  }

  // Whether something is known of an image: a condition that holds or is not asked for.
  #known(name, condition, text, images) {
    const group = fieldset(name);
    const isOn = this.where.includes(condition);
    const list = element("div", "values");
    list.append(this.#value(text, images, condition, isOn, () => this.change(isOn ? this.where.filter((each) => each !== condition) : [...this.where, condition])));
    group.append(list);
    return group;
  }

  #range({ column, smallest, largest }) {
    const group = fieldset(nameOf(column));
    const row = element("div", "range");
    for (const [operator, end, word] of [[">=", smallest, "at least"], ["<=", largest, "at most"]]) {
      const input = document.createElement("input");
      input.type = "text";
      input.inputMode = column === "bytes" ? "text" : "decimal";
      input.ariaLabel = `${nameOf(column)} ${word}`;
      input.placeholder = column === "bytes" ? inBytes(end) : String(end);
      input.dataset.is = column + operator;
      input.value = this.where.map(c.partsOf).find((parts) => parts.column === column && parts.operator === operator)?.value ?? "";
      input.addEventListener("change", () => {
        const isMine = (parts) => parts.column === column && parts.operator === operator;
        this.change(c.replaced(this.where, isMine, input.value.trim() ? [`${column}${operator}${input.value.trim()}`] : []));
      });
      row.append(...(operator === "<=" ? [element("span", "", "to")] : []), input);
    }
    group.append(row);
    if (column in UNITS) group.append(element("p", "hint", UNITS[column]));
    return group;
  }

  #own() {
    const group = fieldset("A condition of your own");
    const form = element("form", "range");
    const input = document.createElement("input");
    input.type = "text";
    input.maxLength = 1000;
    input.placeholder = "text=*dog*";
    input.ariaLabel = "Condition";
    input.dataset.is = "own";
    const add = element("button", "ghost", "Add");
    form.append(input, add);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const condition = input.value.trim();
      if (condition && !this.where.includes(condition)) this.change([...this.where, condition]);
    });
    group.append(form);
    return group;
  }
}

const nameOf = (column) => NAMES[column] ?? column.replace(/^fields\./, "");

function yearsOf(months) {
  const years = new Map();
  for (const { value, images } of months) years.set(value.slice(0, 4), (years.get(value.slice(0, 4)) ?? 0) + images);
  return [...years].map(([value, images]) => ({ value, images })).reverse();
}

function inBytes(bytes) {
  for (const [unit, size] of [["MB", 1e6], ["kB", 1e3]]) if (bytes >= size) return `${Number((bytes / size).toPrecision(2))} ${unit}`;
  return `${bytes} B`;
}

function finder(list, name) {
  const input = document.createElement("input");
  input.type = "search";
  input.className = "finder";
  input.placeholder = "Find";
  input.ariaLabel = `Find in ${name}`;
  input.addEventListener("input", () => {
    for (const item of list.children) item.hidden = !item.dataset.is.toLowerCase().includes(input.value.trim().toLowerCase());
  });
  return input;
}

function fieldset(name) {
  const group = document.createElement("fieldset");
  group.append(element("legend", "", name));
  return group;
}
