// What the index says of itself: its name and size, its model, queries to start with, credits.

import { button, picture, thumbnailOf } from "./elements.js";
import { inWords, ofParts } from "./query.js";

const $ = (id) => document.getElementById(id);

// `go(query)` is called for a click on an example.
export function showInfo(info, go) {
  $("holdings").textContent = `${info.name} · ${info.rows.toLocaleString("en")} images`;
  $("model").textContent = info.model;
  for (const example of info.examples) $("examples").append(exampleButton(ofParts(example), go));
  $("examples").hidden = !info.examples.length;
  if (info.credits) $("credits").append(...withLinks(info.credits));
  $("credits").hidden = !info.credits;
}

function exampleButton(example, go) {
  const made = button("example", "", () => go(example));
  const text = inWords(example);
  made.append(...(example.row === null ? [text] : [picture(thumbnailOf(example.row), "image"), text.replace(/^image ?/, "")]));
  return made;
}

function withLinks(text) {
  return text.split(/(https?:\/\/[^\s)<>]+)/).map((part, place) => {
    if (place % 2 === 0) return part;
    const link = document.createElement("a");
    link.href = link.textContent = part;
    link.rel = "noopener noreferrer";
    return link;
  });
}
