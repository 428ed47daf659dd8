// What pointers, the wheel and keys do on the map: one finger moves it or draws an outline, two zoom.

const STEP = 1.6; // of the zoom, for a key
const PAN = 80; // pixels, for a key
const STILL = 4; // pixels that a click may move

// `actions`, with positions in pixels from the corner of the canvas: pan(x, y), zoom(by, at), all(), tapped(at),
// hovered(at or null), drawn(path of positions) while an outline grows, enclosed(path) at its end;
// isLasso() is whether a drag draws.
export class Gestures {
  #fingers = new Map();
  #drag = null;

  constructor(canvas, actions) {
    Object.assign(this, { canvas, actions });
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      actions.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), this.#at(event));
    }, { passive: false });
    canvas.addEventListener("pointerdown", (event) => event.button === 0 && this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    canvas.addEventListener("pointerup", (event) => this.#up(event));
    canvas.addEventListener("pointercancel", (event) => this.#end(event));
    canvas.addEventListener("pointerleave", () => actions.hovered(null));
    canvas.addEventListener("keydown", (event) => this.#pressed(event));
  }

  #at(event) {
    const { left, top } = this.canvas.getBoundingClientRect();
    return [event.clientX - left, event.clientY - top];
  }

  #down(event) {
    this.canvas.setPointerCapture(event.pointerId);
    const at = this.#at(event);
    this.#fingers.set(event.pointerId, at);
    const kind = this.#fingers.size > 1 ? "pinch" : event.shiftKey ? "rectangle" : this.actions.isLasso() ? "lasso" : "pan";
    this.#drag = { kind, from: at, far: kind === "pinch" ? STILL + 1 : 0, path: [] };
    this.actions.drawn([]);
    this.actions.hovered(null);
  }

  #move(event) {
    const at = this.#at(event);
    const before = this.#fingers.get(event.pointerId);
    if (!before) return event.pointerType === "mouse" ? this.actions.hovered(at) : undefined;
    this.#fingers.set(event.pointerId, at);
    const drag = this.#drag;
    drag.far = Math.max(drag.far, Math.hypot(at[0] - drag.from[0], at[1] - drag.from[1]));
    if (drag.kind === "pinch") this.#pinch(event.pointerId, before, at);
    else if (drag.kind === "pan") this.actions.pan(at[0] - before[0], at[1] - before[1]);
    else this.#outline(at);
  }

  #pinch(finger, before, at) {
    const other = [...this.#fingers].find(([id]) => id !== finger)?.[1];
    if (!other) return;
    const away = (one) => Math.max(Math.hypot(one[0] - other[0], one[1] - other[1]), 1);
    this.actions.pan((at[0] - before[0]) / 2, (at[1] - before[1]) / 2);
    this.actions.zoom(away(at) / away(before), [(at[0] + other[0]) / 2, (at[1] + other[1]) / 2]);
  }

  #outline(at) {
    const drag = this.#drag;
    const [[left, top], [right, bottom]] = [drag.from, at];
    if (drag.kind === "lasso") drag.path.push(at);
    else drag.path = [[left, top], [right, top], [right, bottom], [left, bottom]];
    this.actions.drawn(drag.path);
  }

  #up(event) {
    const at = this.#fingers.get(event.pointerId);
    if (!at) return;
    const { far, path } = this.#drag;
    if (far > STILL && path.length > 2) this.actions.enclosed(path);
    this.#end(event);
    if (far <= STILL) this.actions.tapped(at);
  }

  #end(event) {
    this.#fingers.delete(event.pointerId);
    this.actions.drawn([]);
  }

  #pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const moves = { ArrowLeft: [PAN, 0], ArrowRight: [-PAN, 0], ArrowUp: [0, PAN], ArrowDown: [0, -PAN] };
    const zooms = { "+": STEP, "=": STEP, "-": 1 / STEP };
    if (moves[event.key]) this.actions.pan(...moves[event.key]);
    else if (zooms[event.key]) this.actions.zoom(zooms[event.key]);
    else if (event.key === "0") this.actions.all();
    else return;
    event.preventDefault();
  }
}
