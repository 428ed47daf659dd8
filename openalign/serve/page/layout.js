// Where tiles lie: rows of nearly equal height that fill the width, each tile as wide as its picture.
// It is computed from shapes alone, before a picture loads, so nothing moves when one does.

const NARROWEST = 0.6;
const WIDEST = 2.4;

export const MARK_HEIGHT = 46;

// `ratios`: width by height of each tile; `breakAt`: the tile before which the mark stands, or -1.
// Returns rows as { first, last, top, height } in the order of their tops, and the height of all.
export function lay(ratios, { width, gap, height, breakAt }) {
  const rows = [];
  let top = 0;
  let first = 0;
  let sum = 0;
  let markTop = null;
  const end = (last, rowHeight) => {
    rows.push({ first, last, top, height: rowHeight });
    top += rowHeight + gap;
    first = last + 1;
    sum = 0;
  };
  for (let place = 0; place < ratios.length; place++) {
    if (place === breakAt) {
      if (place > first) end(place - 1, height);
      markTop = top;
      top += MARK_HEIGHT + gap;
    }
    sum += shown(ratios[place]);
    const free = width - gap * (place - first);
    if (sum * height >= free) end(place, free / sum);
  }
  if (first < ratios.length) end(ratios.length - 1, height); // the last row is as high as the others, and not as wide
  return { rows, markTop, total: Math.max(0, top - gap) };
}

export const shown = (ratio) => Math.min(Math.max(ratio || 1, NARROWEST), WIDEST);

// The first row whose end lies below `y`.
export function rowAt(rows, y) {
  let [low, high] = [0, rows.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rows[middle].top + rows[middle].height < y) low = middle + 1;
    else high = middle;
  }
  return low;
}

// The row that has a tile.
export function rowOf(rows, place) {
  let [low, high] = [0, rows.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rows[middle].last < place) low = middle + 1;
    else high = middle;
  }
  return low;
}

// Where a tile begins in its row.
export function leftOf(row, place, ratios, gap) {
  let left = 0;
  for (let before = row.first; before < place; before++) left += shown(ratios[before]) * row.height + gap;
  return left;
}

export const middleOf = (row, place, ratios, gap) => leftOf(row, place, ratios, gap) + (shown(ratios[place]) * row.height) / 2;

// The tile that a key leads to from another one; null for a key that leads nowhere. Up and down keep to `middle`, so
// that a step back leads where one came from.
export function walked(key, place, middle, { rows, ratios, gap }) {
  const at = rowOf(rows, place);
  const screen = Math.max(1, Math.floor(innerHeight / (rows[at].height + gap)) - 1);
  const byRows = { ArrowUp: -1, ArrowDown: 1, PageUp: -screen, PageDown: screen }[key];
  const end = ratios.length - 1;
  if (!byRows) {
    const to = { ArrowLeft: place - 1, ArrowRight: place + 1, Home: 0, End: end }[key];
    return to === undefined ? null : Math.min(Math.max(to, 0), end);
  }
  const to = rows[Math.min(Math.max(at + byRows, 0), rows.length - 1)];
  if (to === rows[at]) return byRows < 0 ? 0 : end;
  let reached = to.first;
  while (reached < to.last && leftOf(to, reached + 1, ratios, gap) <= middle) reached++;
  return reached;
}
