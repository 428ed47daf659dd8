// What is known of pictures: remembered for as many as a person looks at, and asked for as they come near the window.

const MOST = 4000; // pictures of which all is remembered
const AT_ONCE = 120; // rows in one request
const WAIT_MS = 60;

export class Known {
  #hits = new Map(); // row -> all that is known
  #isAsking = false;
  #timer = 0;
  #round = 0; // of the answers that are on the page

  // `fetch(rows)` returns what is known of some rows; `arrived(isSame)` is called when it has, and whether the same
  // answers are on the page.
  constructor(fetch, arrived) {
    Object.assign(this, { fetch, arrived });
  }

  clear() {
    this.#hits.clear();
    this.#round++;
  }

  add(hits) {
    for (const hit of hits) this.#hits.set(hit.row, hit);
  }

  get(row) {
    return this.#hits.get(row) ?? null;
  }

  // Asks for those of some rows that are not known, when they have been wanted for a moment.
  want(rows) {
    clearTimeout(this.#timer);
    const missing = rows.filter((row) => !this.#hits.has(row)).slice(0, AT_ONCE);
    if (missing.length && !this.#isAsking) this.#timer = setTimeout(() => this.#ask(missing), WAIT_MS);
  }

  async #ask(missing) {
    const round = this.#round;
    this.#isAsking = true;
    const hits = await this.fetch(missing).catch(() => []); // the tiles stay empty until they are asked for again
    this.#isAsking = false;
    const isSame = round === this.#round;
    if (isSame) this.add(hits);
    for (const row of this.#hits.keys()) {
      if (this.#hits.size <= MOST) break;
      this.#hits.delete(row);
    }
    if (hits.length || !isSame) this.arrived();
  }
}
