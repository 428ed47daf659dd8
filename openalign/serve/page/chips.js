// The terms that are added and taken away: each a chip with its weight and a way to remove it, and a chip that is an
// input while a new one is typed. Chips that stay are not drawn anew, so that focus stays where it was.

import { button, element, picture, thumbnailOf, words } from "./elements.js";
import { HEAVIEST, LIGHTEST, writeTerm } from "./language.js";
import { addressOf } from "./uploads.js";

const SIGNS = { plus: "+", minus: "−" };
const STEP = 0.5;

export class Chips {
  // `change(place, term)` is called with another term for the chip of that place, or with null to remove it;
  // `add(kind, text)` with what was typed. Both return whether it was done. `addImages(kind, files)` is called with
  // images that were chosen or pasted instead. `next` gets the focus of a last chip.
  constructor(list, { change, add, addImages, next }) {
    Object.assign(this, { list, change, add, addImages, next });
    this.drawn = new Map();
  }

  // `usualWeight(term)` is that of a term without one.
  show(terms, usualWeight) {
    const focused = [...this.drawn.values()].findIndex(({ chip }) => chip.contains(document.activeElement));
    const before = this.drawn;
    this.drawn = new Map();
    terms.forEach((term, place) => {
      let key = writeTerm({ ...term, weight: null }) + (term.minus ? "-" : "+");
      while (this.drawn.has(key)) key += " ";
      const drawn = before.get(key) ?? draw(term);
      before.delete(key);
      this.drawn.set(key, drawn);
      this.#update(drawn, term, place, usualWeight(term));
    });
    const hadFocus = [...before.values()].some(({ chip }) => chip.contains(document.activeElement));
    for (const { chip } of before.values()) chip.remove();
    [...this.drawn.values()].forEach(({ chip }, place) => {
      if (this.list.children[place] !== chip) this.list.insertBefore(chip, this.list.children[place] ?? null);
    });
    const neighbours = [...this.drawn.values()];
    if (hadFocus) (neighbours[Math.min(focused, neighbours.length - 1)]?.remove ?? this.next).focus();
  }

  // An empty chip to type into: Enter or leaving it adds it, Escape gives it up. It takes images in place of a text.
  start(kind, opener) {
    const chip = shell(kind);
    const input = document.createElement("input");
    input.maxLength = 1000;
    input.enterKeyHint = "search";
    input.placeholder = kind === "plus" ? "snow" : "people";
    input.ariaLabel = kind === "plus" ? "Show more of" : "Show less of";
    let ended = false;
    const end = (text, focus) => {
      if (ended) return;
      ended = true;
      if (text && !this.add(kind, text)) ended = false; // what was mistyped stays to be mended
      if (!ended) return;
      focus?.focus();
      chip.remove();
    };
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter") event.preventDefault();
      if (event.key === "Enter") end(input.value.trim(), opener);
    });
    chip.addEventListener("keydown", (event) => event.key === "Escape" && end("", opener));
    chip.addEventListener("focusout", ({ relatedTarget }) => {
      if (chip.contains(relatedTarget) || !document.hasFocus()) return; // it has the focus still, or lent it to another window
      end(input.value.trim());
    });
    const take = (files) => {
      end("", opener);
      this.addImages(kind, files);
    };
    input.addEventListener("paste", (event) => {
      if (!event.clipboardData?.files.length) return;
      event.preventDefault();
      take([...event.clipboardData.files]);
    });
    chip.append(input, chooser(kind, take));
    this.list.append(chip);
    input.focus();
  }

  #update({ weight, remove }, term, place, usual) {
    const shown = term.weight ?? usual;
    weight.value = shown;
    weight.style.setProperty("--digits", String(shown).length);
    const set = () => {
      const wanted = weight.valueAsNumber;
      if (wanted === shown) return;
      const isWeight = wanted >= LIGHTEST && wanted <= HEAVIEST;
      if (!isWeight || !this.change(place, { ...term, weight: wanted === usual ? null : wanted })) weight.value = shown;
    };
    weight.onchange = set;
    weight.onkeydown = (event) => {
      if (!["ArrowUp", "ArrowDown", "Enter"].includes(event.key)) return;
      event.preventDefault(); // Enter would search once more for the same
      if (event.key !== "Enter") weight.value = stepped(weight.valueAsNumber, event.key === "ArrowUp");
      set();
    };
    remove.onclick = () => this.change(place, null);
  }
}

// The next multiple of the step; where there is none, the weight as it is.
function stepped(weight, isUp) {
  const next = isUp ? Math.floor(weight / STEP) * STEP + STEP : Math.ceil(weight / STEP) * STEP - STEP;
  return next >= STEP && next <= HEAVIEST ? next : weight;
}

function draw(term) {
  const kind = term.minus ? "minus" : "plus";
  const chip = shell(kind);
  const shown = shownOf(term);
  const name = shown.alt ?? shown.textContent;
  const label = element("label", "weight", "×");
  const weight = document.createElement("input");
  const remove = button("", "×", () => null);
  weight.type = "number";
  Object.assign(weight, { min: LIGHTEST, max: HEAVIEST, step: "any" });
  weight.ariaLabel = `Weight of ${SIGNS[kind]} ${name}`;
  label.append(weight);
  remove.ariaLabel = `Remove ${SIGNS[kind]} ${name}`;
  chip.append(shown, label, remove);
  return { chip, weight, remove };
}

function shownOf({ text, row, image }) {
  if (text !== undefined) return words(text);
  return row === undefined ? picture(addressOf(image), "your image") : picture(thumbnailOf(row), `image ${row}`);
}

const shell = (kind) => element("li", `chip ${kind}`, SIGNS[kind]);

// Opens the browser's choice of files; the text keeps the focus when it is clicked, so that the chip stays.
function chooser(kind, take) {
  const label = element("label", "choose");
  const file = document.createElement("input");
  Object.assign(file, { type: "file", accept: "image/*", multiple: true });
  file.ariaLabel = kind === "plus" ? "Show more of an image" : "Show less of an image";
  label.title = "Choose an image";
  label.append(document.querySelector(".icon-button svg").cloneNode(true), file);
  label.addEventListener("mousedown", (event) => event.preventDefault());
  file.addEventListener("change", () => take([...file.files]));
  return label;
}
