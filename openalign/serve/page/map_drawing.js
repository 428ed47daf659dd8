// Draws the map: points into a buffer of pixels (100,000 in a few milliseconds), then pictures, names and marks.

import { picture } from "./map_pictures.js";

const COLOURS = 8;
const PICTURE = 56; // pixels of a picture where the zoom is a power of 2; up to twice as much before more appear
const MOST_POINTS = 600; // in view, from which on pictures are shown
const NEAR = 8; // times the zoom at which all is in view; from there on pictures are shown in any case
const MOST_PICTURES = 150;
const SMALL_NAMES = 2.5; // times that zoom, from which on the small clusters have names

export class Drawing {
  constructor(canvas, redraw) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.redraw = redraw;
    this.pictures = []; // of the last frame: { place, left, top, size }
    this.readColours();
  }

  readColours() {
    const style = getComputedStyle(this.canvas);
    const probe = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    const of = (name) => {
      probe.fillStyle = style.getPropertyValue(name).trim();
      probe.fillRect(0, 0, 1, 1);
      return new Uint32Array(probe.getImageData(0, 0, 1, 1).data.buffer)[0];
    };
    const names = Array.from({ length: COLOURS }, (_, at) => `--map-${at}`);
    this.colours = Uint32Array.from([...names, "--map-none"], of);
    this.paper = of("--map-paper");
    this.dim = of("--map-dim");
    this.style = { ink: style.getPropertyValue("--ink"), paper: style.getPropertyValue("--map-paper"), accent: style.getPropertyValue("--accent"), font: style.fontFamily };
  }

  // `view`: { x, y (the middle), zoom (pixels for the whole map), fit }; `marks`: { hits (places), inside, corners, path }
  draw(points, view, marks) {
    const { canvas, context } = this;
    const ratio = Math.min(devicePixelRatio, 2);
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      [canvas.width, canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
      this.image = null;
    }
    if (!canvas.width || !canvas.height) return;
    const visible = this.#points(points, view, marks, ratio);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.at = (x, y) => [(x - view.x) * view.zoom + width / 2, (y - view.y) * view.zoom + height / 2];
    this.#region(marks);
    this.#pictures(points, view, marks, visible);
    this.#hits(points, marks);
    this.#names(points, view, width, height);
    canvas.dataset.zoom = (view.zoom / view.fit).toFixed(2);
    canvas.dataset.visible = visible.length;
    canvas.dataset.pictures = this.pictures.length;
    const [first] = visible;
    if (first !== undefined) canvas.dataset.first = JSON.stringify({ row: points.rows[first], at: this.at(points.x[first], points.y[first]) });
  }

  #points(points, view, marks, ratio) {
    const { width, height } = this.canvas;
    this.image ??= this.context.createImageData(width, height);
    const pixels = new Uint32Array(this.image.data.buffer);
    pixels.fill(this.paper);
    const [zoom, left, top] = [view.zoom * ratio, width / 2 - view.x * view.zoom * ratio, height / 2 - view.y * view.zoom * ratio];
    const size = Math.min(Math.max(Math.round(ratio * (1.5 + Math.log2(view.zoom / view.fit + 1) + 2.5 * (points.count < 5000))), 2), 14);
    const visible = [];
    const isDim = (place) => (marks.inside ? !marks.inside[place] : marks.hits.length > 0);
    for (const dim of [true, false]) {
      for (let place = 0; place < points.count; place++) {
        if (isDim(place) !== dim) continue;
        const x = Math.round(points.x[place] * zoom + left - size / 2);
        const y = Math.round(points.y[place] * zoom + top - size / 2);
        if (x < -size || y < -size || x >= width || y >= height) continue;
        visible.push(place);
        const large = points.large(place);
        const colour = dim ? this.dim : this.colours[large < 0 ? COLOURS : large % COLOURS];
        for (let row = Math.max(y, 0); row < Math.min(y + size, height); row++) {
          const cut = size > 3 && (row === y || row === y + size - 1) ? 1 : 0; // round corners
          for (let column = Math.max(x + cut, 0); column < Math.min(x + size - cut, width); column++) pixels[row * width + column] = colour;
        }
      }
    }
    this.context.putImageData(this.image, 0, 0);
    return visible;
  }

  #region({ corners, path }) {
    const { context } = this;
    context.strokeStyle = this.style.accent;
    context.lineWidth = 1.5;
    for (const [outline, dashes] of [[corners, []], [path, [5, 4]]]) {
      if (outline.length < 2) continue;
      context.setLineDash(dashes);
      context.beginPath();
      for (const [x, y] of outline) context.lineTo(...this.at(x, y));
      context.closePath();
      context.stroke();
    }
    context.setLineDash([]);
  }

  // One picture for each cell of a grid that lies still while the map is moved; hits come first.
  #pictures(points, view, marks, visible) {
    this.pictures = [];
    if (visible.length > MOST_POINTS && view.zoom < NEAR * view.fit) return;
    const cell = PICTURE / 2 ** Math.floor(Math.log2(view.zoom));
    const size = cell * view.zoom * 0.86;
    const taken = new Set();
    const hits = new Set(marks.hits);
    const first = marks.hits.length ? [...visible.filter((place) => hits.has(place)), ...visible] : visible;
    for (const place of first) {
      if (marks.inside && !marks.inside[place]) continue;
      const [column, row] = [Math.floor(points.x[place] / cell), Math.floor(points.y[place] / cell)];
      const key = column * 1e6 + row;
      if (taken.has(key) || taken.size >= MOST_PICTURES) continue;
      taken.add(key);
      const [left, top] = this.at((column + 0.5) * cell, (row + 0.5) * cell);
      this.pictures.push({ place, left: left - size / 2, top: top - size / 2, size });
    }
    const wanted = this.pictures.map(({ place }) => points.rows[place]);
    this.pictures.forEach((each, at) => this.#picture(each, picture(wanted[at], wanted, this.redraw), hits.has(each.place)));
  }

  #picture({ left, top, size }, bitmap, isHit) {
    if (!bitmap) return;
    const { context } = this;
    const scale = size / Math.max(bitmap.width, bitmap.height);
    const [width, height] = [bitmap.width * scale, bitmap.height * scale];
    const [x, y] = [left + (size - width) / 2, top + (size - height) / 2];
    context.drawImage(bitmap, x, y, width, height);
    if (!isHit) return;
    context.strokeStyle = this.style.accent;
    context.lineWidth = 3;
    context.strokeRect(x, y, width, height);
  }

  #hits(points, marks) {
    const { context } = this;
    const shown = new Set(this.pictures.map(({ place }) => place));
    context.fillStyle = this.style.accent;
    context.strokeStyle = this.style.paper;
    context.lineWidth = 1.5;
    for (const place of marks.hits) {
      if (shown.has(place)) continue;
      context.beginPath();
      context.arc(...this.at(points.x[place], points.y[place]), 5, 0, 2 * Math.PI);
      context.fill();
      context.stroke();
    }
  }

  // Names that do not cover each other: large clusters first, then the small ones as far as there is room.
  #names(points, view, width, height) {
    const { context } = this;
    const boxes = [];
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.lineJoin = "round";
    const order = points.clusters.map((cluster, number) => ({ ...cluster, number }));
    order.sort((one, other) => (one.parent >= 0) - (other.parent >= 0) || other.images - one.images);
    for (const { name, parent, x, y } of order) {
      if (parent >= 0 && (view.zoom < SMALL_NAMES * view.fit || points.clusters[parent].name === name)) continue;
      const [left, top] = this.at(...points.fromService(x, y));
      const size = parent < 0 ? 15 : 12;
      context.font = `${parent < 0 ? 600 : 500} ${size}px ${this.style.font}`;
      const half = context.measureText(name).width / 2 + 4;
      if (left < -half || left > width + half || top < 0 || top > height) continue;
      const middle = Math.min(Math.max(left, half), width - half);
      const box = [middle - half, top - size * 0.75, middle + half, top + size * 0.75];
      if (boxes.some((other) => box[0] < other[2] && other[0] < box[2] && box[1] < other[3] && other[1] < box[3])) continue;
      boxes.push(box);
      context.strokeStyle = this.style.paper;
      context.lineWidth = 4;
      context.strokeText(name, middle, top);
      context.fillStyle = this.style.ink;
      context.fillText(name, middle, top);
    }
    this.canvas.dataset.names = boxes.length;
  }
}
