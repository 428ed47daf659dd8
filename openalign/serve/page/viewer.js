// One picture, large: what is known about it, the way to others like it, and which labels fit.

import { copied } from "./copy.js";
import * as service from "./service.js";
import { swiped } from "./swipe.js";
import { nameOf } from "./tile.js";

const MOST_ENLARGED = 4;
const $ = (id) => document.getElementById(id);

export class Viewer {
  #hit = null;
  #labels = [];
  #asking = null;

  // `actions`: close(), step(by), likeThis(row), tell(sentence)
  constructor(actions) {
    this.dialog = $("viewer");
    this.dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      actions.close();
    });
    this.dialog.addEventListener("close", () => this.#hit && actions.close());
    this.dialog.addEventListener("click", (event) => event.target === this.dialog && actions.close());
    this.dialog.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (by && event.target.tagName !== "INPUT") actions.step(by);
    });
    swiped(this.dialog.querySelector(".stage"), $("viewer-image"), { step: (by) => actions.step(by), close: () => actions.close() });
    $("viewer-copy").addEventListener("click", async () => {
      actions.tell((await copied(this.#hit.image)) ? "The path is copied." : "The browser does not let the page copy.");
    });
    $("close").addEventListener("click", () => actions.close());
    $("previous").addEventListener("click", () => actions.step(-1));
    $("next").addEventListener("click", () => actions.step(1));
    $("like-this").addEventListener("click", () => actions.likeThis(this.#hit.row));
    $("labels-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#labels = [...new Set(namesIn($("labels").value))];
      this.#ask();
    });
  }

  // `previous` and `next` are what is known of the pictures beside it, or null.
  show(hit, { previous, next, isFirst, isLast }) {
    this.#hit = hit;
    const image = $("viewer-image");
    image.alt = hit.text ?? nameOf(hit);
    image.onerror = () => {
      image.onerror = null;
      image.src = hit.thumbnail; // the file is gone or has changed; the index still knows what it looked like
    };
    image.style.maxWidth = `${MOST_ENLARGED * hit.width}px`;
    image.style.maxHeight = `${MOST_ENLARGED * hit.height}px`;
    image.src = hit.original;
    $("viewer-text").textContent = hit.text ?? "Without a text";
    $("viewer-text").classList.toggle("none", !hit.text);
    $("viewer-text").scrollTop = 0;
    $("viewer-facts").replaceChildren(...factsOf(hit));
    $("viewer-open").href = hit.original;
    $("viewer-open").hidden = !isWhole(hit.image);
    for (const beside of [previous, next]) if (beside) new Image().src = beside.original; // it is there when it is wanted
    $("previous").disabled = isFirst;
    $("next").disabled = isLast;
    $("bars").replaceChildren();
    $("labels-notice").hidden = true;
    if (!this.dialog.open) this.dialog.showModal();
    if (this.#labels.length) this.#ask();
  }

  hide() {
    this.#hit = null;
    this.#asking?.abort();
    if (this.dialog.open) this.dialog.close();
    $("viewer-image").removeAttribute("src");
  }

  async #ask() {
    this.#asking?.abort();
    const asking = (this.#asking = new AbortController());
    const notice = $("labels-notice");
    notice.hidden = true;
    if (!this.#labels.length) {
      $("bars").replaceChildren();
      return;
    }
    try {
      const reply = await service.labels(this.#hit.row, this.#labels, asking.signal);
      if (asking === this.#asking) $("bars").replaceChildren(...reply.labels.map(barOf));
    } catch (error) {
      if (error.name === "AbortError") return;
      notice.textContent = error.message;
      notice.hidden = false;
    }
  }
}

// An absolute path, which only a service of this machine tells.
const isWhole = (path) => /^(\/|[A-Za-z]:[\\/])/.test(path);

function factsOf(hit) {
  const folder = hit.image.slice(0, -nameOf(hit).length).replace(/[\\/]+$/, "");
  const facts = [["File", nameOf(hit)]];
  if (folder) facts.push(["Folder", folder]);
  if (hit.date) facts.push(["Taken", hit.date.slice(0, 16).replace("T", ", ")]);
  facts.push(["Size", `${hit.width} × ${hit.height}`]);
  if ("score" in hit) facts.unshift(["Similarity", hit.score.toFixed(3)]);
  const shown = facts.flatMap(([name, value]) => pair(name, document.createTextNode(value)));
  if (!URL.canParse(hit.page)) return shown;
  const link = document.createElement("a");
  link.href = hit.page;
  link.target = "_blank";
  link.rel = "noopener noreferrer";
  link.textContent = new URL(hit.page).host;
  return [...shown, ...pair("Page", link)];
}

function pair(name, value) {
  const term = document.createElement("dt");
  const description = document.createElement("dd");
  term.textContent = name;
  description.dir = "auto";
  description.append(value);
  return [term, description];
}

// As on the command line: names between commas; one that has a comma stands in double quotes.
function namesIn(text) {
  const found = text.matchAll(/\s*("(?:[^"]|"")*"\s*|[^,]+)(?:,|$)/g);
  const names = [...found].map(([, name]) => name.trim());
  const isQuoted = (name) => name.length > 1 && name.startsWith('"') && name.endsWith('"');
  return names.map((name) => (isQuoted(name) ? name.slice(1, -1).replaceAll('""', '"').trim() : name)).filter(Boolean);
}

function barOf({ label, probability }) {
  const item = document.createElement("li");
  const name = document.createElement("span");
  const share = document.createElement("output");
  const track = document.createElement("span");
  const fill = document.createElement("i");
  name.textContent = label;
  share.textContent = `${(100 * probability).toFixed(1)} %`;
  track.className = "track";
  fill.style.setProperty("--share", `${(100 * probability).toFixed(2)}%`);
  track.append(fill);
  item.append(name, share, track);
  return item;
}
