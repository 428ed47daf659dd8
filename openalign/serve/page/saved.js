// Saved queries: addresses with names, kept by this browser.

import { Panel } from "./panel.js";

const KEY = "openalign-saved";
const MOST = 200;

export class Saved {
  // `current()` returns { name, address } of what is asked, or null; `go(address)` opens one.
  constructor({ opener, panel, current, go }) {
    Object.assign(this, { current, go });
    this.panel = new Panel(panel, opener, () => this.#fill());
  }

  #fill() {
    const all = read();
    const now = this.current();
    const head = document.createElement("div");
    head.className = "panel-head";
    const title = document.createElement("h2");
    title.textContent = "Saved queries";
    head.append(title, this.panel.closer());
    const list = document.createElement("ul");
    list.className = "saved";
    list.append(...all.map((each) => this.#item(each)));
    const parts = [head, list];
    if (!all.length) parts.push(hint("None yet. What you save stays in this browser."));
    if (now && !all.some((each) => each.address === now.address)) parts.push(this.#saver(now));
    this.panel.element.replaceChildren(...parts);
  }

  #item({ name, address }) {
    const item = document.createElement("li");
    const link = document.createElement("a");
    link.href = address;
    link.textContent = name;
    link.dir = "auto";
    link.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      this.panel.close();
      this.go(address);
    });
    const remove = document.createElement("button");
    remove.type = "button";
    remove.textContent = "×";
    remove.ariaLabel = `Forget ${name}`;
    remove.addEventListener("click", () => {
      write(read().filter((each) => each.address !== address));
      this.#fill();
      this.panel.element.querySelector("button")?.focus();
    });
    item.append(link, remove);
    return item;
  }

  #saver({ name, address }) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "wide";
    button.textContent = "Save this query";
    button.addEventListener("click", () => {
      write([{ name, address }, ...read()].slice(0, MOST));
      this.#fill();
      this.panel.element.querySelector("a")?.focus();
    });
    return button;
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

function hint(text) {
  const line = document.createElement("p");
  line.className = "hint";
  line.textContent = text;
  return line;
}
