// The points of the map as the service sends them, and what lies where. Positions are 0 to 1 along the longer side.

const NONE = 65535;
const BUCKETS = 256;

export class Points {
  constructor(buffer) {
    const length = new DataView(buffer).getUint32(0, true);
    const about = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
    const { count, low, step, clusters } = about;
    Object.assign(this, { count, low, side: step * NONE, clusters });
    let at = 4 + length;
    this.rows = new Uint32Array(buffer, at, count);
    const column = () => new Uint16Array(buffer, (at += at === 4 + length ? 4 * count : 2 * count), count);
    this.x = Float32Array.from(column(), (value) => value / NONE);
    this.y = Float32Array.from(column(), (value) => value / NONE);
    this.cluster = column();
    this.place = new Map(Array.from(this.rows, (row, place) => [row, place]));
    this.#sort();
  }

  // The number of the large cluster of a point, or -1.
  large(place) {
    const number = this.cluster[place];
    if (number === NONE) return -1;
    const { parent } = this.clusters[number];
    return parent < 0 ? number : parent;
  }

  // Where on the map something of the service's is: its positions are in other units.
  fromService = (x, y) => [(x - this.low[0]) / this.side, (y - this.low[1]) / this.side];
  toService = ([x, y]) => [this.low[0] + x * this.side, this.low[1] + y * this.side];

  // The place of the nearest point within `radius`, or -1.
  nearest(x, y, radius) {
    let best = -1;
    let least = radius * radius;
    const [left, right, top, bottom] = [x - radius, x + radius, y - radius, y + radius].map(bucket);
    for (let row = top; row <= bottom; row++) {
      for (let at = this.start[row * BUCKETS + left]; at < this.start[row * BUCKETS + right + 1]; at++) {
        const place = this.order[at];
        const away = (this.x[place] - x) ** 2 + (this.y[place] - y) ** 2;
        if (away < least) [best, least] = [place, away];
      }
    }
    return best;
  }

  // One byte for each point: whether it is in a region as the address has it.
  inside(region) {
    const numbers = region.split(",").map(Number);
    const found = new Uint8Array(this.count);
    const test = numbers.length === 1 ? this.#inCluster(numbers[0]) : inPolygon(this.corners(region), this.x, this.y);
    for (let place = 0; place < this.count; place++) found[place] = test(place);
    return found;
  }

  // The corners of a region; none for a cluster.
  corners(region) {
    const numbers = region.split(",").map(Number);
    if (numbers.length < 6) return [];
    return Array.from({ length: numbers.length >> 1 }, (_, at) => this.fromService(numbers[2 * at], numbers[2 * at + 1]));
  }

  #inCluster(number) {
    return (place) => Number(this.cluster[place] === number || this.large(place) === number);
  }

  #sort() {
    const of = (place) => bucket(this.y[place]) * BUCKETS + bucket(this.x[place]);
    this.start = new Uint32Array(BUCKETS * BUCKETS + 1);
    for (let place = 0; place < this.count; place++) this.start[of(place) + 1]++;
    for (let at = 1; at < this.start.length; at++) this.start[at] += this.start[at - 1];
    const next = this.start.slice();
    this.order = new Uint32Array(this.count);
    for (let place = 0; place < this.count; place++) this.order[next[of(place)]++] = place;
  }
}

const bucket = (position) => Math.min(Math.max(Math.floor(position * BUCKETS), 0), BUCKETS - 1);

function inPolygon(corners, xs, ys) {
  return (place) => {
    const [x, y] = [xs[place], ys[place]];
    let inside = 0;
    let [x1, y1] = corners.at(-1);
    for (const [x2, y2] of corners) {
      if (y1 > y !== y2 > y && x < x1 + ((y - y1) * (x2 - x1)) / (y2 - y1)) inside ^= 1;
      [x1, y1] = [x2, y2];
    }
    return inside;
  };
}
