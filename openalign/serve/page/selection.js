// Choosing pictures, and taking them along: as CSV, as paths, as a link to the query. Nothing chosen stands for all.

import { copied } from "./copy.js";
import { csvOf } from "./csv.js";

const AT_ONCE = 200; // rows in one request

export class Selection {
  #rows = new Set();
  #anchor = 0;
  #isOn = false;

  // `bar` has the actions; `fetch(rows)` returns what is known of some rows.
  constructor({ grid, bar, opener, fetch, say }) {
    Object.assign(this, { grid, bar, opener, fetch, say });
    const part = (name) => bar.querySelector(`[data-do="${name}"]`);
    this.count = bar.querySelector(".count");
    opener.addEventListener("click", () => (this.#isOn ? this.end() : this.begin()));
    part("csv").addEventListener("click", () => this.#csv());
    part("paths").addEventListener("click", () => this.#paths());
    part("link").addEventListener("click", () => this.#tell(location.href, "The link is copied."));
    part("end").addEventListener("click", () => this.end());
    addEventListener("keydown", (event) => this.#pressed(event));
  }

  get isOn() {
    return this.#isOn;
  }

  begin() {
    this.#isOn = true;
    this.#show();
  }

  end() {
    const isInside = this.bar.contains(document.activeElement);
    this.#isOn = false;
    this.#rows.clear();
    this.#show();
    if (isInside) this.opener.focus();
  }

  // Other answers: what was chosen and is no longer there is not chosen.
  answered() {
    if (!this.#rows.size) return this.#show();
    const here = new Set(this.grid.rows);
    for (const row of this.#rows) if (!here.has(row)) this.#rows.delete(row);
    this.#show();
  }

  // A click on a tile; returns whether it was for choosing.
  clicked(row, place, event) {
    if (!this.#isOn && !event.ctrlKey && !event.metaKey) return false;
    this.#isOn = true;
    if (event.shiftKey) {
      const [from, to] = [Math.min(this.#anchor, place), Math.max(this.#anchor, place)];
      for (const each of this.grid.rows.slice(from, to + 1)) this.#rows.add(each);
    } else {
      if (!this.#rows.delete(row)) this.#rows.add(row);
      this.#anchor = place;
    }
    this.#show();
    return true;
  }

  decorate(item, row) {
    const isChosen = this.#rows.has(row);
    item.classList.toggle("chosen", isChosen);
    if (this.#isOn) item.firstChild.ariaPressed = isChosen;
    else item.firstChild.ariaPressed = null;
  }

  #show() {
    this.grid.list.classList.toggle("choosing", this.#isOn);
    this.bar.hidden = !this.#isOn;
    this.opener.ariaPressed = this.#isOn;
    const all = this.grid.length;
    this.count.textContent = this.#rows.size ? `${this.#rows.size.toLocaleString("en")} selected` : `All ${all.toLocaleString("en")} shown`;
    this.grid.redecorate();
  }

  #pressed(event) {
    const { target } = event;
    if (target.matches("input, textarea, select") || document.querySelector("dialog[open], :popover-open")) return;
    if (event.key === "Escape" && this.#isOn) this.end();
    const isAll = event.key.toLowerCase() === "a" && (event.ctrlKey || event.metaKey);
    if (!isAll || !this.grid.length || !(this.#isOn || this.grid.list.contains(target))) return;
    event.preventDefault();
    this.#isOn = true;
    for (const row of this.grid.rows) this.#rows.add(row);
    this.#show();
  }

  async #csv() {
    const hits = await this.#hits();
    if (!hits) return;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob(["\ufeff", csvOf(hits)], { type: "text/csv" }));
    link.download = "images.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    this.say(`${number(hits.length)} saved as images.csv.`);
  }

  async #paths() {
    const hits = await this.#hits();
    if (hits) await this.#tell(hits.map((hit) => hit.image).join("\n"), `${number(hits.length, "path")} copied.`);
  }

  async #tell(text, sentence) {
    this.say((await copied(text)) ? sentence : "The browser does not let the page copy.");
  }

  // All that is known of the pictures, in the order of the grid; null if the service does not answer.
  async #hits() {
    const places = [...this.grid.rows.keys()].filter((place) => !this.#rows.size || this.#rows.has(this.grid.rows[place]));
    const { scores } = this.grid;
    const known = new Map(places.map((place) => [this.grid.rows[place], this.grid.at(place)]));
    const missing = [...known].filter(([, hit]) => hit === null).map(([row]) => row);
    try {
      for (let at = 0; at < missing.length; at += AT_ONCE) {
        if (at) this.count.textContent = `${number(at)} of ${missing.length.toLocaleString("en")} read`;
        for (const hit of await this.fetch(missing.slice(at, at + AT_ONCE))) known.set(hit.row, hit);
      }
    } catch (error) {
      this.say(error.message);
      return null;
    } finally {
      this.#show();
    }
    return places.map((place) => ({ ...known.get(this.grid.rows[place]), ...(scores ? { score: scores[place] } : {}) }));
  }
}

const number = (count, noun = "picture") => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
