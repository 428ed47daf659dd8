// The date line: how many images each month has. A range is drawn with the pointer, or set with two sliders.

import { monthInWords, monthOf, numberOf } from "./conditions.js";

const MOST_BARS = 480; // beyond, a bar is a year
const LOWEST = 0.06; // of the height, for a month with images

export class DateLine {
  // `change(from, to)` is called with months, or null on a side that is open.
  constructor(element, change) {
    Object.assign(this, { element, change });
    this.bars = element.querySelector(".bars-of-months");
    this.from = element.querySelector("#date-from");
    this.to = element.querySelector("#date-to");
    this.said = element.querySelector(".range-said");
    for (const slider of [this.from, this.to]) {
      slider.addEventListener("input", () => this.#slid(slider));
      slider.addEventListener("change", () => this.#done());
    }
    this.bars.addEventListener("pointerdown", (event) => this.#drawn(event));
  }

  get isShown() {
    return !this.element.hidden;
  }

  // `months`: [{ value: "2024-05", images }], sorted. A single month is no line.
  offer(months) {
    if (months.length < 2) return;
    this.first = numberOf(months[0].value);
    this.last = numberOf(months.at(-1).value);
    this.step = this.last - this.first < MOST_BARS ? 1 : 12;
    if (this.step === 12) [this.first, this.last] = [this.first - (this.first % 12), this.last - (this.last % 12) + 11];
    const counts = new Array(Math.ceil((this.last - this.first + 1) / this.step)).fill(0);
    for (const { value, images } of months) counts[Math.floor((numberOf(value) - this.first) / this.step)] += images;
    this.counts = counts;
    for (const slider of [this.from, this.to]) Object.assign(slider, { min: 0, max: counts.length - 1, step: 1 });
    this.#draw(months);
    this.element.hidden = false;
    this.show({ from: null, to: null });
  }

  show({ from, to }) {
    if (!this.counts) return;
    const place = (month, open) => (month === null ? open : Math.min(Math.max(Math.floor((numberOf(month) - this.first) / this.step), 0), this.counts.length - 1));
    this.from.value = place(from, 0);
    this.to.value = place(to, this.counts.length - 1);
    this.#update();
  }

  #draw() {
    const most = Math.max(...this.counts);
    this.bars.replaceChildren(
      ...this.counts.map((images) => {
        const bar = document.createElement("i");
        bar.style.setProperty("--share", images ? Math.max(LOWEST, Math.sqrt(images / most)).toFixed(3) : 0);
        return bar;
      }),
    );
    const years = this.element.querySelector(".years");
    const [first, last] = [this.first, this.last].map((month) => Math.floor(month / 12));
    const every = Math.max(1, Math.ceil((last - first + 1) / 8));
    const labels = [];
    for (let year = first; year <= last; year++) {
      if ((year - first) % every) continue;
      const label = document.createElement("span");
      label.textContent = year;
      label.style.left = `${Math.max(0, ((12 * year - this.first) / (this.last - this.first + 1)) * 100).toFixed(2)}%`;
      if (12 * year >= this.first || year === first) labels.push(label);
    }
    years.replaceChildren(...labels);
  }

  #slid(slider) {
    if (Number(this.from.value) > Number(this.to.value)) {
      if (slider === this.from) this.from.value = this.to.value;
      else this.to.value = this.from.value;
    }
    this.#update();
  }

  #drawn(event) {
    if (event.button !== 0) return;
    const begun = this.#placeAt(event.clientX);
    const move = ({ clientX }) => {
      const now = this.#placeAt(clientX);
      [this.from.value, this.to.value] = [Math.min(begun, now), Math.max(begun, now)];
      this.#update();
    };
    this.bars.setPointerCapture(event.pointerId);
    this.bars.addEventListener("pointermove", move);
    const end = (ended) => {
      this.bars.removeEventListener("pointermove", move);
      this.bars.removeEventListener("pointercancel", end);
      this.bars.removeEventListener("pointerup", end);
      if (ended.type === "pointerup") this.#done();
    };
    this.bars.addEventListener("pointerup", end);
    this.bars.addEventListener("pointercancel", end);
    move(event);
  }

  #placeAt(x) {
    const { left, width } = this.bars.getBoundingClientRect();
    return Math.min(Math.max(Math.floor(((x - left) / width) * this.counts.length), 0), this.counts.length - 1);
  }

  #months() {
    const from = this.first + Number(this.from.value) * this.step;
    const to = this.first + Number(this.to.value) * this.step + this.step - 1;
    return [monthOf(from), monthOf(to)];
  }

  #update() {
    const [from, to] = [Number(this.from.value), Number(this.to.value)];
    [...this.bars.children].forEach((bar, place) => bar.classList.toggle("out", place < from || place > to));
    const months = this.#months();
    const images = this.counts.slice(from, to + 1).reduce((sum, each) => sum + each, 0);
    const isAll = from === 0 && to === this.counts.length - 1;
    this.element.style.setProperty("--from", from / this.counts.length);
    this.element.style.setProperty("--to", (to + 1) / this.counts.length);
    this.from.setAttribute("aria-valuetext", monthInWords(months[0]));
    this.to.setAttribute("aria-valuetext", monthInWords(months[1]));
    this.said.textContent = `${monthInWords(months[0])} – ${monthInWords(months[1])} · ${images.toLocaleString("en")} images`;
    this.element.classList.toggle("ranged", !isAll);
  }

  #done() {
    const [from, to] = this.#months();
    this.change(Number(this.from.value) === 0 ? null : from, Number(this.to.value) === this.counts.length - 1 ? null : to);
  }
}
