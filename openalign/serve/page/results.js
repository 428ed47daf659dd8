// The answers to what is asked: asks the service, and says how it went. While the service is gone, what was answered
// stays, and the page asks again by itself, less and less often.

import * as q from "./query.js";
import * as service from "./service.js";

const BUSY_AFTER_MS = 120;
const WAITS = [1, 2, 4, 8, 15, 30, 60]; // seconds; then a click is waited for
const $ = (id) => document.getElementById(id);

export class Results {
  answered = null; // the query whose answers are on the page
  images = 0; // in the index
  #running = null;
  #tries = 0;
  #timer = 0;

  // `shown(hasNewAnswers)` is called when answers are on the page.
  constructor(grid, shown) {
    Object.assign(this, { grid, shown });
    $("retry").addEventListener("click", () => this.#again());
    addEventListener("online", () => this.#wanted && this.#again());
  }

  #wanted = null; // the query that was not answered

  // `y` is where the window was when these answers were on the page.
  async ask(wanted, y = 0) {
    this.#running?.abort();
    const mine = (this.#running = new AbortController());
    $("results").setAttribute("aria-busy", true);
    const busy = setTimeout(() => showSlow(true), BUSY_AFTER_MS);
    say("");
    try {
      const answers = await service.answers(wanted, mine.signal);
      if (mine !== this.#running) return;
      this.#connected();
      const isOther = !q.sameQuestion(this.answered, wanted);
      this.answered = wanted;
      this.grid.show(answers);
      if (isOther) scrollTo({ top: y });
      this.#sayHow(wanted, answers);
      this.shown();
    } catch (error) {
      if (error.name === "AbortError" || mine !== this.#running) return;
      if (error instanceof service.Offline) this.#disconnected(wanted);
      else this.refuse(error.message);
    } finally {
      clearTimeout(busy);
      if (mine === this.#running) {
        setIdle();
        document.body.classList.remove("unanswered");
      }
    }
  }

  refuse(sentence) {
    this.#connected();
    document.body.classList.remove("unanswered");
    this.answered = null;
    this.grid.clear();
    $("status").textContent = "";
    for (const id of ["more", "all", "nothing"]) $(id).hidden = true;
    say(sentence);
    this.shown();
  }

  #sayHow(wanted, { milliseconds, within, rows, note }) {
    const took = milliseconds === undefined ? "" : ` · ${Math.max(1, Math.round(milliseconds))} ms`;
    const [shown, all] = [rows.length, this.images].map((each) => each.toLocaleString("en"));
    const isUnmatched = within === 0 && rows.length > 0;
    if (q.isHome(wanted)) $("status").textContent = rows.length ? "A look around" : "";
    else $("status").textContent = `${isUnmatched ? "Nothing matches. The most similar: " : ""}${shown} of ${all} images${q.asksNothing(wanted) ? "" : took}${note ? `. ${note}` : ""}`;
    $("more").hidden = !q.canShowMore(wanted, rows.length);
    $("all").hidden = !q.canShowAll(wanted, rows.length, this.images);
    $("nothing").hidden = rows.length > 0;
    $("nothing-said").textContent = this.images ? "No image meets these filters." : "This index has no images yet.";
    $("nothing-clear").hidden = !wanted.where.length;
  }

  #disconnected(wanted) {
    this.#wanted = wanted;
    const seconds = WAITS[this.#tries];
    $("offline").hidden = false;
    clearTimeout(this.#timer);
    this.#count(seconds);
  }

  #count(seconds) {
    $("offline-said").textContent = seconds === undefined ? "The service does not answer. Is it still running?" : `The service does not answer. Trying again in ${seconds} s.`;
    if (seconds === undefined) return;
    this.#timer = setTimeout(() => (seconds > 1 ? this.#count(seconds - 1) : this.#again()), 1000);
  }

  #again() {
    clearTimeout(this.#timer);
    this.#tries++;
    if (this.#wanted) this.ask(this.#wanted);
  }

  #connected() {
    clearTimeout(this.#timer);
    this.#tries = 0;
    this.#wanted = null;
    $("offline").hidden = true;
  }
}

export function say(sentence) {
  $("notice").textContent = sentence;
  $("notice").hidden = !sentence;
}

let told = 0;

// A sentence that goes by itself: something was done.
export function tell(sentence) {
  clearTimeout(told);
  (document.querySelector("dialog[open]") ?? document.querySelector("main")).append($("toast")); // over what is open
  $("toast").textContent = sentence;
  $("toast").hidden = false;
  told = setTimeout(() => ($("toast").hidden = true), 4000);
}

function setIdle() {
  $("results").setAttribute("aria-busy", false);
  showSlow(false);
}

function showSlow(isSlow) {
  $("results").classList.toggle("slow", isSlow);
  $("progress").hidden = !isSlow;
}
