// Images of one's own that are searched with: large ones are made small in the browser, with more pixels than a model
// takes, and all are kept for the tab, so that they survive a reload.

const SMALL_BYTES = 256 * 1024;
const LONGEST = 768; // pixels
const QUALITY = 0.9;
const KEPT = 16;
const KEY = "openalign-upload-";
const uploads = new Map(); // number -> { file, address }

export const hasUpload = (number) => number !== null && (uploads.has(number) || restore(number));

export const uploadOf = (number) => (hasUpload(number) ? uploads.get(number) : null);

export const addressOf = (number) => uploadOf(number)?.address ?? null;

// The number of an image, which history can remember.
export async function keepUpload(file) {
  const number = `${Date.now()}.${uploads.size}`; // never that of an upload before a reload, which history still knows
  const kept = file.size <= SMALL_BYTES ? file : ((await smaller(file)) ?? file);
  uploads.set(number, { file: kept, address: URL.createObjectURL(kept) });
  await store(number, kept);
  return number;
}

// A JPEG of the image with its longer side at most `LONGEST`; null where the browser cannot read it.
async function smaller(file) {
  try {
    const image = await createImageBitmap(file);
    const scale = Math.min(1, LONGEST / Math.max(image.width, image.height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(image.width * scale));
    canvas.height = Math.max(1, Math.round(image.height * scale));
    const context = canvas.getContext("2d");
    context.fillStyle = "#fff";
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.imageSmoothingQuality = "high";
    context.drawImage(image, 0, 0, canvas.width, canvas.height);
    image.close();
    return await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));
  } catch {
    return null;
  }
}

async function store(number, blob) {
  if (blob.size > 4 * SMALL_BYTES) return; // the browser cannot read it, and the service will hardly
  const reader = new FileReader();
  await new Promise((resolve) => {
    reader.onloadend = resolve;
    reader.readAsDataURL(blob);
  });
  try {
    forget(KEPT - 1);
    sessionStorage.setItem(KEY + number, reader.result);
  } catch {
    forget(0); // no room: it will not survive a reload
  }
}

function forget(most) {
  const kept = Object.keys(sessionStorage).filter((key) => key.startsWith(KEY)).sort();
  for (const key of kept.slice(0, Math.max(0, kept.length - most))) sessionStorage.removeItem(key);
}

function restore(number) {
  const address = sessionStorage.getItem(KEY + number);
  if (address === null) return false;
  const bytes = Uint8Array.from(atob(address.slice(address.indexOf(",") + 1)), (character) => character.charCodeAt(0));
  const file = new File([bytes], "image", { type: /^data:([^;,]*)/.exec(address)[1] });
  uploads.set(number, { file, address: URL.createObjectURL(file) });
  return true;
}
