// One tile of the grid. Its picture is known at once for the first answers, and follows for those of a long list.

import { element } from "./elements.js";

const SHOWN_WORDS = 300; // characters; longer texts are for the viewer

export const nameOf = (hit) => hit.image.split(/[\\/]/).filter(Boolean).at(-1) ?? hit.image;

export function makeTile() {
  const item = document.createElement("li");
  const button = document.createElement("button");
  button.type = "button";
  button.className = "tile";
  item.append(button);
  return item;
}

// Fills a tile with a picture: `hit` has all that is known, or is null while it is being asked for.
export function fill(item, hit, { place, score, alike = 0, isEager }) {
  const button = item.firstChild;
  button.replaceChildren();
  for (const other of item.querySelectorAll(".alike")) other.remove();
  item.classList.toggle("waiting", hit === null);
  if (hit === null) {
    button.ariaLabel = `Picture ${place + 1}`;
    return;
  }
  button.ariaLabel = null;
  button.append(picture(hit, isEager));
  if (hit.text) button.append(words(hit.text));
  if (score !== undefined) button.append(badge(score));
  const check = document.createElement("span");
  check.className = "check";
  check.ariaHidden = "true";
  button.append(check);
  if (alike > 0) item.append(alikeBadge(alike));
}

function picture(hit, isEager) {
  const image = new Image();
  image.loading = isEager ? "eager" : "lazy";
  image.decoding = "async";
  image.draggable = false;
  image.alt = (hit.text ?? nameOf(hit)).slice(0, SHOWN_WORDS);
  image.onerror = () => image.classList.add("broken");
  image.src = hit.thumbnail;
  return image;
}

function words(text) {
  const shade = document.createElement("span");
  shade.className = "words";
  shade.ariaHidden = "true";
  const line = document.createElement("span");
  line.dir = "auto";
  line.textContent = text.slice(0, SHOWN_WORDS);
  shade.append(line);
  return shade;
}

function badge(value) {
  const score = document.createElement("span");
  score.className = "score";
  score.title = "Cosine similarity";
  score.textContent = value.toFixed(2);
  return score;
}

function alikeBadge(count) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "alike";
  button.append(element("span", "", `+${count}`));
  button.title = button.ariaLabel = `${count} nearly the same as this picture: show ${count === 1 ? "it" : "them"}`;
  return button;
}
