// The map of the collection: moved by drag, wheel, pinch and keys; a lasso or a rectangle asks for what lies in it.

import { clusterNames } from "./conditions.js";
import { button, element } from "./elements.js";
import { Drawing } from "./map_drawing.js";
import { Gestures } from "./map_gestures.js";
import { picture } from "./map_pictures.js";
import { Points } from "./map_points.js";
import * as service from "./service.js";

const $ = (id) => document.getElementById(id);
const MOST_ZOOM = 400; // times that at which all is in view
const STEP = 1.6; // of the zoom, for a button
const REACH = 14; // pixels from a point that count as the point
const MOST_CORNERS = 60; // a condition has at most 1,000 characters

export class MapView {
  #points = null;
  #view = null;
  #asked = null;
  #region = null;
  #marks = { hits: [], inside: null, corners: [], path: [] };
  #hoveredRow;
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
    const made = button(parent < 0 ? "cluster" : "cluster inner", `${name} `, () => this.actions.choose(isChosen ? null : String(number)));
    made.dataset.cluster = number;
    made.setAttribute("aria-pressed", isChosen);
    made.dir = "auto";
    made.append(element("small", "", images.toLocaleString("en")));
    item.append(made);
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

  // What is done on it

  #listen() {
    const hasView = (act) => (...given) => this.#view && act(...given);
    new Gestures(this.canvas, {
      isLasso: () => this.#lasso,
      pan: (x, y) => this.#pan(x, y),
      zoom: (by, at) => this.#zoom(by, at),
      all: () => this.#all(),
      tapped: hasView((at) => this.#tapped(at)),
      hovered: hasView((at) => this.#hovered(at)),
      drawn: hasView((path) => {
        this.#marks.path = path.map((at) => this.#onMap(at));
        this.#draw();
      }),
      enclosed: hasView((path) => this.#enclosed(path)),
    });
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

  #tapped(at) {
    const place = this.#at(at);
    if (place >= 0) this.actions.open(this.#points.rows[place]);
  }

  #enclosed(path) {
    this.#setLasso(false);
    const every = Math.ceil(path.length / MOST_CORNERS);
    const corners = path.filter((_, number) => number % every === 0).map((at) => this.#points.toService(this.#onMap(at)));
    this.actions.choose(corners.flat().map((value) => Number(value.toFixed(2))).join(","));
  }

  // A picture beside the pointer; `at` is null where it left.
  #hovered(at) {
    const place = at ? this.#at(at) : -1;
    const row = this.#points.rows[place];
    const bitmap = place < 0 ? null : picture(row, [row], () => this.#hoveredRow === row && this.#hovered(at));
    this.#hoveredRow = row;
    this.canvas.classList.toggle("over", place >= 0);
    const box = $("map-hover");
    box.hidden = !bitmap;
    if (!bitmap) return;
    const shown = box.querySelector("canvas");
    [shown.width, shown.height] = [bitmap.width, bitmap.height];
    shown.getContext("2d").drawImage(bitmap, 0, 0);
    box.style.left = `${Math.min(Math.max(at[0] + 14, 0), this.canvas.clientWidth - bitmap.width - 12)}px`;
    box.style.top = `${at[1] + 14 + bitmap.height > this.canvas.clientHeight ? at[1] - bitmap.height - 20 : at[1] + 14}px`;
  }

  // The view

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
  #zoom(by, [x, y] = [this.canvas.clientWidth / 2, this.canvas.clientHeight / 2]) {
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
