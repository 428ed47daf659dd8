// Thumbnails for the map: loaded a few at a time, those that are in view, and kept while there is room.

import { thumbnail } from "./service.js";

const AT_ONCE = 6;
const KEPT = 800;
const SIDE = 128; // pixels of the longer side: enough for a screen with two pixels for one

const kept = new Map(); // row -> ImageBitmap, or null while it is loaded, or if it cannot be
let wanted = [];
let loading = 0;

// The picture of a row if it is there; else `loaded` is called when it is. `inView` are the rows that are wanted now.
export function picture(row, inView, loaded) {
  const found = kept.get(row);
  if (found !== undefined) return found;
  wanted = inView.filter((each) => !kept.has(each));
  next(loaded);
  return null;
}

async function next(loaded) {
  while (loading < AT_ONCE && wanted.length) {
    const row = wanted.shift();
    if (kept.has(row)) continue;
    kept.set(row, null);
    loading++;
    load(row).then((bitmap) => {
      kept.set(row, bitmap);
      loading--;
      forget();
      loaded();
      next(loaded);
    });
  }
}

async function load(row) {
  try {
    const whole = await createImageBitmap(await thumbnail(row));
    const scale = Math.min(1, SIDE / Math.max(whole.width, whole.height));
    if (scale === 1) return whole;
    const small = await createImageBitmap(whole, { resizeWidth: Math.max(1, Math.round(whole.width * scale)), resizeQuality: "medium" });
    whole.close();
    return small;
  } catch {
    return null; // it stays a point
  }
}

function forget() {
  for (const [row, bitmap] of kept) {
    if (kept.size <= KEPT) return;
    if (bitmap === null) continue;
    kept.delete(row);
    bitmap.close();
  }
}
