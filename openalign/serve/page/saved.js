// Saved queries: those of the index, which the service keeps, and those that this browser keeps, since the service
// takes no others or they are filters alone.

import { button, element } from "./elements.js";
import { Panel } from "./panel.js";
import * as service from "./service.js";

const KEY = "openalign-saved";
const MOST = 200;
const LONGEST_NAME = 100;

export class Saved {
  #index = { all: [], isWritable: false, isFull: false };

  // `current()` returns { name, address, query } of what is asked, or null; `query` as the service keeps it, or null;
  // `addressOf(query)` is the address of one of these, `go(address)` opens one, `say` tells what was wrong.
  constructor({ opener, panel, ...actions }) {
    Object.assign(this, actions);
    this.panel = new Panel(panel, opener, () => {
      this.#fill();
      this.#read();
    });
  }

  async #read() {
    try {
      const { saved, full, writable } = await service.saved();
      const all = saved.map((each) => ({ name: each.name, address: this.addressOf(each), isOfIndex: true }));
      this.#index = { all, isWritable: writable, isFull: full };
    } catch {
      return; // those of the browser are there in any case
    }
    if (this.panel.isOpen) this.#fill();
  }

  #fill() {
    const all = [...this.#index.all, ...read()];
    const now = this.current();
    const head = element("div", "panel-head");
    head.append(element("h2", "", "Saved queries"), this.panel.closer());
    const list = element("ul", "saved");
    list.append(...all.map((each) => this.#item(each)));
    const parts = [head, list];
    if (now && !all.some((each) => each.address === now.address)) parts.push(this.#saver(now, all));
    else if (!all.length) parts.push(element("p", "hint", "None yet. Search for something, then save it here."));
    const typed = this.panel.element.querySelector("input")?.value;
    const isTyping = this.panel.element.contains(document.activeElement) && document.activeElement.matches("input");
    this.panel.element.replaceChildren(...parts);
    const name = this.panel.element.querySelector("input");
    if (name && typed && isTyping) name.value = typed;
    if (name && isTyping) name.focus();
  }

  #item({ name, address, isOfIndex = false }) {
    const item = document.createElement("li");
    const link = element("a", "", name);
    link.href = address;
    link.dir = "auto";
    link.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      this.panel.close();
      this.go(address);
    });
    const remove = button("", "×", () => this.#forget(name, address, isOfIndex));
    remove.ariaLabel = `Forget ${name}`;
    item.append(link, ...(isOfIndex && !this.#index.isWritable ? [] : [remove]));
    return item;
  }

  #saver(now, all) {
    const form = element("form", "saver");
    const name = document.createElement("input");
    Object.assign(name, { type: "text", maxLength: LONGEST_NAME, value: freeName(now.name, all), ariaLabel: "Name", dir: "auto", autocomplete: "off" });
    const couldBe = now.query !== null && this.#index.isWritable;
    const isForIndex = couldBe && !this.#index.isFull;
    const full = couldBe ? `The index keeps ${this.#index.all.length.toLocaleString("en")} queries at most. ` : "";
    form.append(name, element("button", "ghost", "Save"), element("p", "hint", isForIndex ? "Kept with the index, for everyone who uses it." : `${full}Kept in this browser.`));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#save(freeName(name.value, all), now, isForIndex);
    });
    return form;
  }

  async #save(name, { address, query }, isForIndex) {
    if (!isForIndex) write([{ name, address }, ...read()].slice(0, MOST));
    else await service.save(name, query).catch((error) => this.say(error.message));
    await this.#changed("a");
  }

  async #forget(name, address, isOfIndex) {
    if (!isOfIndex) write(read().filter((each) => each.address !== address));
    else await service.forget(name).catch((error) => this.say(error.message));
    await this.#changed("button");
  }

  async #changed(next) {
    await this.#read();
    this.#fill();
    this.panel.element.querySelector(next)?.focus();
  }
}

// A name as the service takes it, which no other query has: saving one does not replace another.
function freeName(wanted, all) {
  const name = wanted.replace(/[/\\\x00-\x1f\x7f]/g, " ").trim().slice(0, LONGEST_NAME).trim() || "Query";
  const isTaken = (each) => all.some((other) => other.name === each);
  for (let number = 2; ; number++) {
    const next = number === 2 && !isTaken(name) ? name : `${name.slice(0, LONGEST_NAME - 5)} ${number}`;
    if (!isTaken(next)) return next;
  }
}

// Of what others may have written under this name only addresses of this page are taken.
function read() {
  try {
    const all = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return all.filter(({ name, address }) => typeof name === "string" && /^\/(\?|$)/.test(address)).slice(0, MOST);
  } catch {
    return [];
  }
}

function write(all) {
  try {
    localStorage.setItem(KEY, JSON.stringify(all));
  } catch {
    // a browser that keeps nothing
  }
}
