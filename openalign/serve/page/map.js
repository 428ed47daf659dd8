// The map of the collection: moved by drag, wheel, pinch and keys; a lasso or a rectangle asks for what lies in it.

import { clusterNames } from "./conditions.js";
import { Drawing } from "./map_drawing.js";
import { picture } from "./map_pictures.js";
import { Points } from "./map_points.js";
import * as service from "./service.js";

const $ = (id) => document.getElementById(id);
const MOST_ZOOM = 400; // times that at which all is in view
const STEP = 1.6; // of the zoom, for a key or a button
const PAN = 80; // pixels, for a key
const REACH = 14; // pixels from a point that count as the point
const STILL = 4; // pixels that a click may move
const MOST_CORNERS = 60; // a condition has at most 1,000 characters

export class MapView {
  #points = null;
  #view = null;
  #asked = null;
  #region = null;
  #marks = { hits: [], inside: null, corners: [], path: [] };
  #fingers = new Map();
  #lasso = false;
  #hitRows = [];

  // `actions`: open(row), choose(region or null), show(isShown), named(), say(sentence)
  constructor(actions) {
    this.actions = actions;
    this.canvas = $("map-canvas");
    this.drawing = new Drawing(this.canvas, () => this.#draw());
    new ResizeObserver(() => this.#draw()).observe(this.canvas);
    for (const query of ["(prefers-color-scheme: dark)", "(forced-colors: active)"]) {
      matchMedia(query).addEventListener("change", () => (this.drawing.readColours(), this.#draw()));
    }
    this.#listen();
  }

  // Loads the map the first time.
  async show(isShown) {
    $("map").hidden = !isShown;
    $("show-map").setAttribute("aria-pressed", isShown);
    $("show-grid").setAttribute("aria-pressed", !isShown);
    if (!isShown) return;
    try {
      await (this.#asked ??= service.wholeMap().then((buffer) => this.#take(new Points(buffer))));
      this.drawing.readColours();
      this.#draw();
    } catch (error) {
      this.#asked = null;
      this.actions.say(error.message);
    }
  }

  // The images that answer the query; none while nothing is asked.
  mark(rows, region) {
    this.#hitRows = rows;
    this.#region = region;
    this.#remark();
  }

  #take(points) {
    this.#points = points;
    this.canvas.ariaLabel = `Map of ${points.count.toLocaleString("en")} images. Arrow keys move it, plus and minus zoom, 0 shows all. The clusters are also listed below.`;
    points.clusters.forEach(({ name }, number) => clusterNames.set(String(number), name));
    this.actions.named();
    this.#remark();
  }

  #remark() {
    const points = this.#points;
    if (!points) return;
    this.#marks.hits = this.#hitRows.map((row) => points.place.get(row)).filter((place) => place !== undefined);
    this.#marks.inside = this.#region ? points.inside(this.#region) : null;
    this.#marks.corners = this.#region ? points.corners(this.#region) : [];
    this.#list();
    this.#draw();
  }

  // The clusters as buttons, each with the small ones in it while it is chosen.
  #list() {
    const { clusters } = this.#points;
    const chosen = /^\d+$/.test(this.#region ?? "") ? Number(this.#region) : -1;
    const open = clusters[chosen]?.parent >= 0 ? clusters[chosen].parent : chosen;
    const numbers = clusters.flatMap(({ parent }, number) =>
      parent >= 0 ? [] : [number, ...(number === open ? clusters.flatMap((each, inner) => (each.parent === number ? [inner] : [])) : [])]);
    const focused = this.canvas.getRootNode().activeElement?.dataset.cluster;
    $("clusters").replaceChildren(...numbers.map((number) => this.#button(number, number === chosen)));
    if (focused !== undefined) $("clusters").querySelector(`[data-cluster="${focused}"]`)?.focus();
  }

  #button(number, isChosen) {
    const { name, images, parent } = this.#points.clusters[number];
    const item = document.createElement("li");
    const button = document.createElement("button");
    const count = document.createElement("small");
    button.type = "button";
    button.className = parent < 0 ? "cluster" : "cluster inner";
    button.dataset.cluster = number;
    button.setAttribute("aria-pressed", isChosen);
    button.dir = "auto";
    count.textContent = images.toLocaleString("en");
    button.append(name, " ", count);
    button.addEventListener("click", () => this.actions.choose(isChosen ? null : String(number)));
    item.append(button);
    return item;
  }

  #draw() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      const { clientWidth: width, clientHeight: height } = this.canvas;
      if (!this.#points || !width || !height) return;
      const fit = Math.min(width, height) * 0.92;
      this.#view ??= { ...this.#middle(), zoom: fit, fit };
      this.#view.zoom *= fit / this.#view.fit; // the window may have another size now
      this.#view.fit = fit;
      this.drawing.draw(this.#points, this.#view, this.#marks);
    });
  }

  #middle() {
    const most = (values) => values.reduce((one, other) => Math.max(one, other), 0);
    return { x: most(this.#points.x) / 2, y: most(this.#points.y) / 2 };
  }

  // Gestures

  #listen() {
    const { canvas } = this;
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.#zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), ...this.#position(event));
    }, { passive: false });
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    canvas.addEventListener("pointerup", (event) => this.#up(event));
    canvas.addEventListener("pointercancel", (event) => this.#forget(event));
    canvas.addEventListener("pointerleave", () => ($("map-hover").hidden = true));
    canvas.addEventListener("keydown", (event) => this.#key(event));
    $("show-map").addEventListener("click", () => this.actions.show(true));
    $("show-grid").addEventListener("click", () => this.actions.show(false));
    $("map-in").addEventListener("click", () => this.#zoom(STEP));
    $("map-out").addEventListener("click", () => this.#zoom(1 / STEP));
    $("map-all").addEventListener("click", () => this.#all());
    $("map-lasso").addEventListener("click", () => this.#setLasso(!this.#lasso));
  }

  #setLasso(isOn) {
    this.#lasso = isOn;
    $("map-lasso").setAttribute("aria-pressed", isOn);
    this.canvas.classList.toggle("lasso", isOn);
  }

  #down(event) {
    if (event.button !== 0 || !this.#view) return;
    this.canvas.setPointerCapture(event.pointerId);
    const at = this.#position(event);
    this.#fingers.set(event.pointerId, at);
    const isFirst = this.#fingers.size === 1;
    this.drag = isFirst ? { from: at, far: 0, kind: event.shiftKey ? "rectangle" : this.#lasso ? "lasso" : "pan" } : { far: STILL + 1, kind: "pinch" };
    this.#marks.path = [];
    $("map-hover").hidden = true;
  }

  #move(event) {
    if (!this.#view) return;
    const at = this.#position(event);
    const before = this.#fingers.get(event.pointerId);
    if (!before) return event.pointerType === "mouse" ? this.#hover(at) : undefined;
    const other = [...this.#fingers].find(([id]) => id !== event.pointerId)?.[1];
    this.#fingers.set(event.pointerId, at);
    this.drag.far = Math.max(this.drag.far, this.drag.from ? Math.hypot(at[0] - this.drag.from[0], at[1] - this.drag.from[1]) : 0);
    if (this.drag.kind === "pinch") {
      if (!other) return;
      const away = (one) => Math.max(Math.hypot(one[0] - other[0], one[1] - other[1]), 1);
      this.#pan((at[0] - before[0]) / 2, (at[1] - before[1]) / 2);
      this.#zoom(away(at) / away(before), (at[0] + other[0]) / 2, (at[1] + other[1]) / 2);
    } else if (this.drag.kind === "pan") {
      this.#pan(at[0] - before[0], at[1] - before[1]);
    } else {
      const [[left, top], [right, bottom]] = [this.drag.from, at];
      if (this.drag.kind === "lasso") this.#marks.path.push(this.#onMap(at));
      else this.#marks.path = [[left, top], [right, top], [right, bottom], [left, bottom]].map((corner) => this.#onMap(corner));
      this.#draw();
    }
  }

  #up(event) {
    const { drag } = this;
    const at = this.#fingers.get(event.pointerId);
    if (!at) return;
    const { path } = this.#marks;
    this.#forget(event);
    if (drag.far <= STILL) {
      const place = this.#at(at);
      if (place >= 0) this.actions.open(this.#points.rows[place]);
    } else if (path.length > 2) {
      this.#setLasso(false);
      const every = Math.ceil(path.length / MOST_CORNERS);
      const corners = path.filter((_, number) => number % every === 0).map(this.#points.toService);
      this.actions.choose(corners.flat().map((value) => Number(value.toFixed(2))).join(","));
    }
  }

  #forget(event) {
    this.#fingers.delete(event.pointerId);
    this.#marks.path = [];
    this.#draw();
  }

  #hover(at) {
    const place = this.#at(at);
    const box = $("map-hover");
    box.hidden = place < 0;
    this.canvas.classList.toggle("over", place >= 0);
    if (place < 0) return;
    const row = this.#points.rows[place];
    const bitmap = picture(row, [row], () => this.hovered === row && this.#hover(at));
    this.hovered = row;
    const shown = box.querySelector("canvas");
    box.hidden = !bitmap;
    if (!bitmap) return;
    [shown.width, shown.height] = [bitmap.width, bitmap.height];
    shown.getContext("2d").drawImage(bitmap, 0, 0);
    box.style.left = `${Math.min(Math.max(at[0] + 14, 0), this.canvas.clientWidth - bitmap.width - 12)}px`;
    box.style.top = `${at[1] + 14 + bitmap.height > this.canvas.clientHeight ? at[1] - bitmap.height - 20 : at[1] + 14}px`;
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const moves = { ArrowLeft: [PAN, 0], ArrowRight: [-PAN, 0], ArrowUp: [0, PAN], ArrowDown: [0, -PAN] };
    const zooms = { "+": STEP, "=": STEP, "-": 1 / STEP };
    if (moves[event.key]) this.#pan(...moves[event.key]);
    else if (zooms[event.key]) this.#zoom(zooms[event.key]);
    else if (event.key === "0") this.#all();
    else return;
    event.preventDefault();
  }

  // The view

  #position(event) {
    const { left, top } = this.canvas.getBoundingClientRect();
    return [event.clientX - left, event.clientY - top];
  }

  #onMap([x, y]) {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    return [(x - width / 2) / this.#view.zoom + this.#view.x, (y - height / 2) / this.#view.zoom + this.#view.y];
  }

  // The place of the point under the pointer, or of the picture there; -1 for none.
  #at([x, y]) {
    const shown = this.drawing.pictures.find(({ left, top, size }) => x >= left && y >= top && x <= left + size && y <= top + size);
    return shown ? shown.place : this.#points.nearest(...this.#onMap([x, y]), REACH / this.#view.zoom);
  }

  #pan(x, y) {
    if (!this.#view) return;
    const within = (value) => Math.min(Math.max(value, 0), 1);
    this.#view.x = within(this.#view.x - x / this.#view.zoom);
    this.#view.y = within(this.#view.y - y / this.#view.zoom);
    this.#draw();
  }

  // What lies at (x, y) stays there.
  #zoom(by, x = this.canvas.clientWidth / 2, y = this.canvas.clientHeight / 2) {
    if (!this.#view) return;
    const before = this.#onMap([x, y]);
    this.#view.zoom = Math.min(Math.max(this.#view.zoom * by, this.#view.fit * 0.8), this.#view.fit * MOST_ZOOM);
    const after = this.#onMap([x, y]);
    this.#view.x += before[0] - after[0];
    this.#view.y += before[1] - after[1];
    this.#draw();
  }

  #all() {
    this.#view = null;
    this.#draw();
  }
}
