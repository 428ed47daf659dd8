// The page: an address says what is asked and open; every action goes to a new address, and the page follows it.

import { Chips } from "./chips.js";
import { Grid } from "./grid.js";
import * as q from "./query.js";
import * as service from "./service.js";
import { Viewer } from "./viewer.js";

const $ = (id) => document.getElementById(id);
const BUSY_AFTER_MS = 120;

let query = q.EMPTY;
let answered = null; // the query whose answers are on the page
let running = null;
let rows = 0;

const grid = new Grid($("results"), (row) => go({ ...query, view: row }));
const chips = new Chips($("chips"), { change: changeChip, add: addChips, next: $("add-plus") });
const viewer = new Viewer({ close: closeViewer, step, likeThis: (row) => go({ ...q.EMPTY, row }) });

// What the form holds now, typed but not yet searched text included; throws where that is no query.
const asked = () => ({ ...q.typed(query, $("text").value), mistake: null, top: q.PAGE, view: null });

// Goes to what `change` makes of the form and returns true, or says what is wrong with what was typed.
function ask(change, options) {
  let next;
  try {
    next = change(asked());
  } catch (mistake) {
    say(mistake.message);
    return false;
  }
  go(next, options);
  return true;
}

function go(next, { replace = false } = {}) {
  const opened = replace ? history.state?.opened : next.view !== null;
  const memory = { upload: next.upload, opened: next.view !== null && opened };
  history[replace ? "replaceState" : "pushState"](memory, "", q.toAddress(next));
  follow();
}

function follow() {
  query = q.fromAddress();
  const isEmpty = q.asksNothing(query);
  $("ask").classList.toggle("asked", !isEmpty);
  if ($("text").value.trim() !== q.boxOf(query)) $("text").value = q.boxOf(query);
  chips.show(query.chips, (term) => q.usualWeight(term, query));
  showQueryImage();
  document.title = isEmpty ? "openalign" : `${q.inWords(query)} · openalign`;
  if (query.mistake) refuse(query.mistake);
  else if (!q.sameAnswers(answered, query)) search();
  showViewer();
}

async function search() {
  running?.abort();
  const mine = (running = new AbortController());
  const wanted = query;
  const busy = setTimeout(() => setBusy(true), BUSY_AFTER_MS);
  say("");
  try {
    const { hits, milliseconds, nothing_matches: nothing } = await service.answers(wanted, mine.signal);
    if (mine !== running) return;
    if (answered && !sameQuestion(answered, wanted)) scrollTo({ top: 0 });
    answered = wanted;
    grid.show(hits);
    $("status").textContent = milliseconds === undefined ? lookAround(hits) : count(hits, milliseconds, nothing);
    $("more").hidden = !q.canShowMore(wanted, hits.length);
    if (query.view !== null) showViewer();
  } catch (error) {
    if (error.name !== "AbortError") refuse(error.message);
  } finally {
    clearTimeout(busy);
    if (mine === running) setBusy(false);
  }
}

function refuse(sentence) {
  answered = null;
  grid.clear();
  $("status").textContent = "";
  $("more").hidden = true;
  say(sentence);
}

function changeChip(place, term) {
  const changed = (list) => (term === null ? list.toSpliced(place, 1) : list.with(place, term));
  return ask((now) => ({ ...now, chips: changed(now.chips) }), { replace: term !== null }); // no address for each step of a weight
}

function addChips(kind, text) {
  return ask((now) => ({ ...now, chips: [...now.chips, ...q.chipsOf(text, kind === "minus")] }));
}

const sameQuestion = (one, other) => q.sameAnswers({ ...one, top: 0 }, { ...other, top: 0 });
const count = (hits, milliseconds, nothing) =>
  `${nothing && hits.length ? "Nothing matches. The most similar: " : ""}${hits.length.toLocaleString("en")} of ${rows.toLocaleString("en")} images · ${Math.max(1, Math.round(milliseconds))} ms`;
const lookAround = (hits) => (hits.length ? "A look around" : "");

function setBusy(isBusy) {
  $("results").setAttribute("aria-busy", isBusy);
  $("progress").hidden = !isBusy;
}

function say(sentence) {
  $("notice").textContent = sentence;
  $("notice").hidden = !sentence;
}

function showQueryImage() {
  const upload = q.uploadOf(query);
  const address = upload?.address ?? (query.row === null ? null : `/api/thumbnails/${query.row}`);
  $("query-image").hidden = address === null;
  $("text").placeholder = address === null ? "Describe a picture" : "Add words, or search with the image alone";
  const image = $("query-image").querySelector("img");
  if (address !== null && image.getAttribute("src") !== address) image.src = address;
}

// The viewer

async function showViewer() {
  if (query.view === null) {
    const left = viewer.dialog.open ? viewer.dialog.dataset.row : null;
    viewer.hide();
    if (left) grid.focus(left);
    return;
  }
  const place = grid.hits.findIndex((hit) => hit.row === query.view);
  const wanted = query.view;
  try {
    const hit = place >= 0 ? grid.hits[place] : await service.picture(wanted);
    if (query.view !== wanted) return;
    viewer.dialog.dataset.row = wanted;
    viewer.show(hit, { isFirst: place <= 0, isLast: place < 0 || place === grid.hits.length - 1 });
  } catch (error) {
    say(error.message);
  }
}

function closeViewer() {
  if (history.state?.opened) history.back();
  else go({ ...query, view: null }, { replace: true });
}

function step(by) {
  const place = grid.hits.findIndex((hit) => hit.row === query.view) + by;
  if (grid.hits[place]) go({ ...query, view: grid.hits[place].row }, { replace: true });
}

// Images of one's own: chosen, dropped, pasted

function searchWith(file) {
  const problem = service.refusal(file);
  if (problem) say(problem);
  else ask((now) => ({ ...now, row: null, upload: q.keepUpload(file) }));
}

const imageIn = (transfer) => [...(transfer?.files ?? [])][0];
const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");

addEventListener("paste", (event) => {
  const file = imageIn(event.clipboardData);
  if (file) searchWith(file);
});
addEventListener("dragover", (event) => {
  if (!carriesFiles(event)) return;
  event.preventDefault();
  $("drop").hidden = false;
});
addEventListener("dragleave", (event) => {
  if (event.relatedTarget === null) $("drop").hidden = true;
});
addEventListener("drop", (event) => {
  if (!carriesFiles(event)) return;
  event.preventDefault();
  $("drop").hidden = true;
  if (imageIn(event.dataTransfer)) searchWith(imageIn(event.dataTransfer));
});
$("file").addEventListener("change", () => {
  const [file] = $("file").files;
  $("file").value = "";
  if (file) searchWith(file);
});
$("query-image").querySelector("button").addEventListener("click", (event) => {
  ask((now) => ({ ...now, row: null, upload: null }));
  if (event.detail === 0) $("text").focus(); // the button is gone; a finger wants no keyboard on its screen
});

// The rest of the controls

$("form").addEventListener("submit", (event) => {
  event.preventDefault();
  ask((now) => now);
});
for (const kind of ["plus", "minus"]) {
  const button = $(`add-${kind}`);
  button.addEventListener("click", () => chips.start(kind, button));
}
$("more").addEventListener("click", () => go(q.withMore(query), { replace: true }));
$("home").addEventListener("click", (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  go(q.EMPTY);
});
addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target.tagName === "INPUT" || viewer.dialog.open) return;
  event.preventDefault();
  $("text").select();
});
addEventListener("popstate", follow);

function showInfo(info) {
  rows = info.rows;
  $("holdings").textContent = `${info.name} · ${rows.toLocaleString("en")} images`;
  $("model").textContent = info.model;
  for (const example of info.examples) $("examples").append(exampleButton(q.ofParts(example)));
  $("examples").hidden = !info.examples.length;
  if (info.credits) $("credits").append(...withLinks(info.credits));
  $("credits").hidden = !info.credits;
}

function exampleButton(example) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "example";
  const words = q.inWords(example);
  button.append(...(example.row === null ? [words] : [smallImage(example.row), words.replace(/^image ?/, "")]));
  button.addEventListener("click", () => go(example));
  return button;
}

function smallImage(row) {
  const image = new Image();
  image.alt = "image";
  image.src = `/api/thumbnails/${row}`;
  return image;
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

try {
  showInfo(await service.info());
} catch (error) {
  say(error.message);
}
follow();
