// The grid of answers. Up to `ALL_DRAWN` tiles are all in the document, so that find-in-page and screen readers see
// them; of more, those near the window are, and what is known of them is asked for as they come.

import { Known } from "./known.js";
import { lay, leftOf, MARK_HEIGHT, middleOf, rowAt, rowOf, shown, walked } from "./layout.js";
import { fill, makeTile } from "./tile.js";

const ALL_DRAWN = 300;
const AHEAD = 0.75; // of the window's height, above and below it
const AT_ONCE = 18; // pictures that are loaded before the others

export class Grid {
  #drawn = new Map(); // place -> item
  #layout = { rows: [], markTop: null, total: 0 };
  #current = 0; // the tile that the keyboard is at
  rows = [];
  ratios = [];
  scores = null;
  within = null;
  #middle = null; // where up and down keep to
  #frame = 0;
  #width = 0;

  // `open(row, place, event)` is called for a click on a tile, `alike(row)` for its badge; `fetch(rows)` returns what is
  // known of some rows; `decorate(item, row)` is called for each tile that is drawn.
  constructor(list, { open, alike, fetch, decorate }) {
    Object.assign(this, { list, open, alike, decorate, known: new Known(fetch, () => this.#arrived()) });
    this.mark = document.createElement("li");
    this.mark.className = "mark";
    this.mark.textContent = "Matches end here";
    new ResizeObserver(() => list.clientWidth !== this.#width && this.#place({ keepTop: true })).observe(list);
    addEventListener("scroll", () => this.#drawSoon(), { passive: true });
    addEventListener("resize", () => this.#drawSoon());
    list.addEventListener("click", (event) => this.#clicked(event));
    list.addEventListener("keydown", (event) => this.#pressed(event));
    list.addEventListener("focusin", (event) => {
      const place = this.#placeOf(event.target);
      if (place !== null) this.#setCurrent(place);
    });
  }

  get length() {
    return this.rows.length;
  }

  clear() {
    this.show({ rows: [], ratios: [], scores: null, within: null, alike: [], hits: [] });
  }

  // Answers as { rows, ratios, scores or null, within: how many lie before the mark or null,
  // alike: how many near-duplicates are folded into each, or none, hits: what is known }.
  // More answers to the same query only append, so that nothing on the page moves.
  show({ rows, ratios, scores, within, alike, hits }) {
    const kept = this.rows.length <= rows.length && this.rows.every((row, place) => row === rows[place] && this.scores?.[place] === scores?.[place]);
    this.fresh = kept ? this.rows.length : 0;
    Object.assign(this, { rows, ratios, scores, within, folded: alike });
    if (!kept) {
      for (const item of this.#drawn.values()) item.remove();
      this.#drawn.clear();
      this.known.clear();
      this.#current = 0;
    }
    this.known.add(hits);
    this.list.classList.toggle("long", rows.length > ALL_DRAWN);
    this.#place();
  }

  // What is known of the picture at a place; null if it must be asked for.
  at(place) {
    const known = this.known.get(this.rows[place]);
    return known && this.scores ? { ...known, score: this.scores[place] } : known;
  }

  placeOf(row) {
    return this.rows.indexOf(row);
  }

  focus(row) {
    const place = this.placeOf(row);
    if (place >= 0) this.#goTo(place);
  }

  // Calls `decorate` for all tiles that are drawn.
  redecorate() {
    for (const [place, item] of this.#drawn) this.decorate(item, this.rows[place]);
  }

  #place({ keepTop = false } = {}) {
    if (!this.list.clientWidth) return;
    const before = keepTop ? this.#atTop() : null;
    const style = getComputedStyle(this.list);
    this.#width = this.list.clientWidth;
    const breakAt = this.within > 0 && this.within < this.rows.length ? this.within : -1;
    const gap = parseFloat(style.getPropertyValue("--gap"));
    this.#layout = lay(this.ratios, { width: this.#width, gap, height: parseFloat(style.getPropertyValue("--tile")), breakAt });
    this.gap = gap;
    this.list.style.height = `${this.#layout.total}px`;
    for (const [place, item] of this.#drawn) this.#move(item, place);
    if (before !== null) scrollBy(0, this.#layout.rows[rowOf(this.#layout.rows, before.place)].top - before.top);
    this.#draw();
  }

  #firstInView() {
    const { rows } = this.#layout;
    return rows[Math.min(rowAt(rows, -this.list.getBoundingClientRect().top), rows.length - 1)].first;
  }

  // The first tile in view, and where it lies, if the top of the list is out of view.
  #atTop() {
    const y = -this.list.getBoundingClientRect().top;
    const row = y > 0 ? this.#layout.rows[rowAt(this.#layout.rows, y)] : undefined;
    return row ? { place: row.first, top: row.top } : null;
  }

  // The mark stands before the first tile beyond it, while that is drawn.
  #showMark() {
    const behind = this.#layout.markTop === null ? undefined : this.#drawn.get(this.within);
    if (!behind) return this.mark.remove();
    this.mark.style.top = `${this.#layout.markTop}px`;
    this.mark.style.height = `${MARK_HEIGHT}px`;
    if (behind.previousSibling !== this.mark) this.list.insertBefore(this.mark, behind);
  }

  #drawSoon() {
    if (this.rows.length > ALL_DRAWN) this.#frame ||= requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    const { rows } = this.#layout;
    const [first, last] = this.#wanted(rows);
    for (const [place, item] of this.#drawn) {
      if ((place >= first && place <= last) || item.contains(document.activeElement)) continue;
      item.remove();
      this.#drawn.delete(place);
    }
    const added = [];
    for (let place = first; place <= last; place++) if (!this.#drawn.has(place)) added.push(this.#make(place));
    this.#insert(added);
    this.#showMark();
    if (last >= 0 && !this.#drawn.has(this.#current)) this.#setCurrent(this.#firstInView());
    this.known.want(this.rows.slice(first, last + 1));
  }

  // The first and the last tile to draw.
  #wanted(rows) {
    if (!rows.length) return [0, -1];
    if (this.rows.length <= ALL_DRAWN) return [0, this.rows.length - 1];
    const y = -this.list.getBoundingClientRect().top;
    const from = rows[Math.min(rowAt(rows, y - AHEAD * innerHeight), rows.length - 1)];
    const to = rows[Math.min(rowAt(rows, y + (1 + AHEAD) * innerHeight), rows.length - 1)];
    return [from.first, to.last];
  }

  #make(place) {
    const item = makeTile();
    const isLong = this.rows.length > ALL_DRAWN;
    item.dataset.place = place;
    item.firstChild.dataset.row = this.rows[place];
    item.firstChild.tabIndex = place === this.#current ? 0 : -1;
    if (isLong) Object.assign(item, { ariaSetSize: this.rows.length, ariaPosInSet: place + 1 });
    else item.style.animationDelay = `${Math.min(place - this.fresh, AT_ONCE) * 14}ms`;
    this.#fill(item, place);
    this.#move(item, place);
    this.#drawn.set(place, item);
    return item;
  }

  #fill(item, place) {
    fill(item, this.known.get(this.rows[place]), { place, score: this.scores?.[place], alike: this.folded[place], isEager: place < this.fresh + AT_ONCE || this.rows.length > ALL_DRAWN });
    this.decorate(item, this.rows[place]);
  }

  #move(item, place) {
    const row = this.#layout.rows[rowOf(this.#layout.rows, place)];
    if (!row) return;
    const { style } = item;
    style.left = `${leftOf(row, place, this.ratios, this.gap).toFixed(2)}px`;
    style.top = `${row.top.toFixed(2)}px`;
    style.width = `${(shown(this.ratios[place]) * row.height).toFixed(2)}px`;
    style.height = `${row.height.toFixed(2)}px`;
  }

  // In the order of their places, as they are read and tabbed through.
  #insert(items) {
    const others = [...this.list.children].filter((item) => item !== this.mark);
    let at = 0;
    for (const item of items) {
      while (at < others.length && Number(others[at].dataset.place) < Number(item.dataset.place)) at++;
      this.list.insertBefore(item, others[at] ?? null);
    }
  }

  #arrived() {
    for (const [place, item] of this.#drawn) if (item.classList.contains("waiting") && this.known.get(this.rows[place])) this.#fill(item, place);
    this.#frame ||= requestAnimationFrame(() => this.#draw()); // there may be more to ask for
  }

  #placeOf(element) {
    const item = element.closest("li[data-place]");
    return item ? Number(item.dataset.place) : null;
  }

  #clicked(event) {
    const place = this.#placeOf(event.target);
    if (place === null) return;
    if (event.target.closest(".alike")) this.alike(this.rows[place]);
    else if (event.target.closest(".tile")) this.open(this.rows[place], place, event);
  }

  #pressed(event) {
    const place = this.#placeOf(event.target);
    if (place === null || event.altKey || event.ctrlKey || event.metaKey) return;
    const { rows } = this.#layout;
    this.#middle ??= middleOf(rows[rowOf(rows, place)], place, this.ratios, this.gap);
    const middle = this.#middle;
    const to = walked(event.key, place, middle, { rows, ratios: this.ratios, gap: this.gap });
    if (to === null) return;
    event.preventDefault();
    this.#goTo(to);
    if (/Up|Down/.test(event.key)) this.#middle = middle;
  }

  #goTo(place) {
    const row = this.#layout.rows[rowOf(this.#layout.rows, place)];
    const top = this.list.getBoundingClientRect().top + row.top;
    if (top < 0) scrollBy(0, top - this.gap);
    else if (top + row.height > innerHeight) scrollBy(0, top + row.height - innerHeight + this.gap);
    this.#draw();
    this.#setCurrent(place);
    this.#drawn.get(place)?.firstChild.focus({ preventScroll: true });
  }

  // One tile is in the order of Tab; the arrow keys walk from there.
  #setCurrent(place) {
    const before = this.#drawn.get(this.#current);
    if (before) before.firstChild.tabIndex = -1;
    this.#current = place;
    this.#middle = null;
    const now = this.#drawn.get(place);
    if (now) now.firstChild.tabIndex = 0;
  }
}
