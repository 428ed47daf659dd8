// The grid of answers: rows of equal height, every tile as wide as its picture; sizes are known before it loads.

const NARROWEST = 0.6;
const WIDEST = 2.4;
const AT_ONCE = 18;

export class Grid {
  constructor(list, open) {
    this.list = list;
    this.open = open;
    this.hits = [];
  }

  // More answers to the same query only append, so that nothing on the page moves.
  show(hits) {
    const kept = this.hits.length <= hits.length && this.hits.every((hit, place) => same(hit, hits[place]));
    const first = kept ? this.hits.length : 0;
    if (!kept) this.list.replaceChildren();
    hits.slice(first).forEach((hit, place) => {
      if (hit.within === false && hits[first + place - 1]?.within) this.list.append(mark());
      this.list.append(this.#tile(hit, place));
    });
    this.hits = hits;
  }

  clear() {
    this.show([]);
  }

  focus(row) {
    this.list.querySelector(`[data-row="${row}"]`)?.focus();
  }

  #tile(hit, place) {
    const item = document.createElement("li");
    const ratio = Math.min(Math.max(hit.width / hit.height, NARROWEST), WIDEST);
    item.style.setProperty("--ratio", ratio.toFixed(3));
    item.style.animationDelay = `${Math.min(place, AT_ONCE) * 14}ms`;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "tile";
    button.dataset.row = hit.row;
    button.addEventListener("click", () => this.open(hit.row));
    const image = new Image();
    image.loading = place < AT_ONCE ? "eager" : "lazy";
    image.draggable = false;
    image.alt = hit.text ?? nameOf(hit);
    image.src = hit.thumbnail;
    button.append(image);
    if (hit.text) button.append(words(hit.text));
    if ("score" in hit) button.append(score(hit.score));
    item.append(button);
    return item;
  }
}

export const nameOf = (hit) => hit.image.split(/[\\/]/).filter(Boolean).at(-1) ?? hit.image;

const same = (one, other) => one.row === other.row && one.score === other.score;

function mark() {
  const line = document.createElement("li");
  line.className = "mark";
  line.textContent = "Matches end here";
  return line;
}

function words(text) {
  const shade = document.createElement("span");
  shade.className = "words";
  shade.ariaHidden = "true";
  const line = document.createElement("span");
  line.textContent = text;
  shade.append(line);
  return shade;
}

function score(value) {
  const badge = document.createElement("span");
  badge.className = "score";
  badge.title = "Cosine similarity";
  badge.textContent = value.toFixed(2);
  return badge;
}
