// The page: an address says what is asked and open; every action goes to a new address, and the page follows it.

import { showInfo } from "./about.js";
import { fromAddress, memoryOf, toAddress } from "./address.js";
import { Chips } from "./chips.js";
import { betweenMonths, described, equals, isOf, isRange, monthsOf, replaced, valueOf } from "./conditions.js";
import { DateLine } from "./dates.js";
import { Filters } from "./filters.js";
import { Grid } from "./grid.js";
import { thumbnailOf } from "./elements.js";
import { MapView } from "./map.js";
import { taken, takeImages } from "./own-images.js";
import * as q from "./query.js";
import { Results, say, tell } from "./results.js";
import { Saved } from "./saved.js";
import { Selection } from "./selection.js";
import * as service from "./service.js";
import { addressOf } from "./uploads.js";
import { Viewer } from "./viewer.js";

const $ = (id) => document.getElementById(id);
const TYPED_MS = 250;
const FACETS_MS = 150;

let query = q.EMPTY;
let typing = 0;
let isKnown = false; // whether the service has said what it has
let hasTexts = false; // whether queries can be compared with captions
let late = null; // what the index can be filtered by, if that is not shown yet
let viewed = null; // the row that was opened last
let isTyped = false; // whether the address is of a text that is still being typed

const grid = new Grid($("results"), {
  open: (row, place, event) => selection.clicked(row, place, event) || go({ ...query, view: row }),
  alike: (row) => filter(replaced(query.where, isOf("alike"), [equals("alike", row)])),
  fetch: service.pictures,
  decorate: (item, row) => selection.decorate(item, row),
});
const results = new Results(grid, () => {
  selection.answered();
  map.mark(q.asksNothing(query) ? [] : grid.rows, valueOf(query.where, "region"));
  if (!isKnown) learn().catch(() => null);
  if (query.view !== null) showViewer();
});
const chips = new Chips($("chips"), { change: changeChip, add: addChips, addImages: addImageChips, next: $("add-plus") });
const filters = new Filters({ opener: $("filters"), panel: $("filters-panel"), chips: $("filter-chips"), change: filter });
const dates = new DateLine($("dates"), (from, to) => filter(replaced(query.where, isRange, betweenMonths(from, to))));
const map = new MapView({
  open: (row) => go({ ...query, view: row }),
  choose: (region) => filter(replaced(query.where, isOf("region"), region === null ? [] : [`region=${region}`])),
  show: (isShown) => go({ ...query, map: isShown }),
  named: () => filters.show(query.where),
  say,
});
const selection = new Selection({ grid, bar: $("selection"), opener: $("select"), fetch: service.pictures, say: tell });
const viewer = new Viewer({ close: closeViewer, step, likeThis: (row) => go({ ...q.EMPTY, row, map: query.map }), tell });
new Saved({
  opener: $("saved"),
  panel: $("saved-panel"),
  current: toSave,
  addressOf: (saved) => toAddress({ ...q.typed(q.EMPTY, saved.query), where: saved.where, sort: saved.sort, against: saved.against }),
  say,
  go: (address) => {
    history.pushState({}, "", address);
    follow();
  },
});

// What the form holds now, typed but not yet searched text included; throws where that is no query.
const asked = () => ({ ...q.typed(query, $("text").value), mistake: null, top: q.PAGE, view: null, lost: 0 });

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
  clearTimeout(typing);
  isTyped = false;
  const opened = replace ? history.state?.opened : next.view !== null;
  const memory = { ...memoryOf(next), opened: next.view !== null && opened };
  rememberPlace();
  history[replace ? "replaceState" : "pushState"](memory, "", toAddress(next));
  follow();
}

// Where the window is, for when one comes back to this address.
const rememberPlace = () => history.replaceState({ ...history.state, y: scrollY }, "");

function follow({ y = 0 } = {}) {
  query = fromAddress();
  document.body.classList.remove("starting", "learning");
  if (late) offer(late);
  const isEmpty = q.isHome(query);
  $("ask").classList.toggle("asked", !isEmpty || query.map);
  document.body.classList.toggle("home", isEmpty);
  if ($("text").value.trim() !== q.boxOf(query)) $("text").value = q.boxOf(query);
  chips.show(query.chips, (term) => q.usualWeight(term, query));
  filters.show(query.where);
  dates.show(monthsOf(query.where));
  $("sort").value = query.sort;
  $("sort").options[0].text = q.asksNothing(query) ? "Unsorted" : "Best match";
  $("against").value = query.against;
  $("against").hidden = !hasTexts || q.asksNothing(query);
  showQueryImage();
  map.show(query.map);
  document.title = isEmpty ? "openalign" : `${titleOf(query)} · openalign`;
  if (query.mistake) results.refuse(query.mistake);
  else if (!q.sameAnswers(results.answered, query)) results.ask(query, y);
  if (query.lost) say("An image of this query is not known here: choose, drop or paste it again.");
  showViewer();
}

const titleOf = (asked) => [q.inWords(asked), ...described(asked.where).map((each) => each.words)].filter(Boolean).join(", ") || "All images";

// What is asked as a query to be saved, if it can be: an image of one's own cannot.
function toSave() {
  if (q.isHome(query) || q.uploadsOf(query).length || query.mistake) return null;
  const text = q.textOf(query);
  const { where, sort, against } = query;
  return { name: titleOf(query), address: toAddress({ ...query, view: null, map: false }), query: text ? { query: text, where, sort, against } : null };
}

function changeChip(place, term) {
  const changed = (list) => (term === null ? list.toSpliced(place, 1) : list.with(place, term));
  return ask((now) => ({ ...now, chips: changed(now.chips) }), { replace: term !== null }); // no address for each step of a weight
}

function addChips(kind, text) {
  return ask((now) => ({ ...now, chips: [...now.chips, ...q.chipsOf(text, kind === "minus")] }));
}

// Images as further terms.
async function addImageChips(kind, files) {
  const minus = kind === "minus";
  const numbers = await taken(files, say);
  if (numbers.length) ask((now) => withImages(now, numbers, minus));
}

function withImages(now, numbers, minus = false) {
  if (q.uploadsOf(now).length + numbers.length > q.MOST_UPLOADS) throw new Error(`A query has at most ${q.MOST_UPLOADS} images of one's own.`);
  return { ...now, chips: [...now.chips, ...numbers.map((image) => ({ image, weight: null, minus }))] };
}

function filter(where) {
  if (where.length > q.MOST_CONDITIONS) say(`At most ${q.MOST_CONDITIONS} filters can be set at once.`);
  else if (where.join("\n") !== query.where.join("\n")) ask((now) => ({ ...now, where }));
}

function showQueryImage() {
  const address = addressOf(query.upload) ?? (query.row === null ? null : thumbnailOf(query.row));
  $("query-image").hidden = address === null;
  $("text").placeholder = address === null ? "Describe a picture" : "Add words, or search with the image alone";
  const image = $("query-image").querySelector("img");
  if (address !== null && image.getAttribute("src") !== address) image.src = address;
}

// The viewer

async function showViewer() {
  if (query.view === null) {
    const left = viewer.dialog.open ? viewed : null;
    viewer.hide();
    if (left !== null) grid.focus(left);
    return;
  }
  const wanted = (viewed = query.view);
  const place = grid.placeOf(wanted);
  try {
    const hit = grid.at(place) ?? { ...(await service.picture(wanted)), ...(place >= 0 && grid.scores ? { score: grid.scores[place] } : {}) };
    if (query.view !== wanted) return;
    viewer.dialog.dataset.row = wanted;
    viewer.show(hit, { previous: grid.at(place - 1), next: grid.at(place + 1), isFirst: place <= 0, isLast: place < 0 || place === grid.length - 1 });
  } catch (error) {
    say(error.message);
  }
}

function closeViewer() {
  if (history.state?.opened) history.back();
  else go({ ...query, view: null }, { replace: true });
}

function step(by) {
  const place = grid.placeOf(query.view) + by;
  if (place >= 0 && place < grid.length) go({ ...query, view: grid.rows[place] }, { replace: true });
}

// The controls

takeImages({ searchWith: ([upload, ...others]) => ask((now) => withImages({ ...now, row: null, upload }, others)), say });
$("query-image").querySelector("button").addEventListener("click", (event) => {
  ask((now) => ({ ...now, row: null, upload: null }));
  if (event.detail === 0) $("text").focus(); // the button is gone; a finger wants no keyboard on its screen
});
$("form").addEventListener("submit", (event) => {
  event.preventDefault();
  ask((now) => now, { replace: isTyped });
});
$("text").addEventListener("input", () => {
  clearTimeout(typing);
  if (q.isPlain($("text").value)) typing = setTimeout(searchTyped, TYPED_MS);
});
for (const kind of ["plus", "minus"]) {
  const button = $(`add-${kind}`);
  button.addEventListener("click", () => chips.start(kind, button));
}
$("sort").addEventListener("change", () => ask((now) => ({ ...now, sort: $("sort").value })));
$("against").addEventListener("change", () => ask((now) => ({ ...now, against: $("against").value })));
$("more").addEventListener("click", () => go(q.withMore(query), { replace: true }));
$("all").addEventListener("click", () => go({ ...query, all: true }));
$("nothing-clear").addEventListener("click", () => filter([]));
$("home").addEventListener("click", (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  go(q.EMPTY);
});
addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target.matches("input, select, textarea") || viewer.dialog.open) return;
  event.preventDefault();
  $("text").select();
});
history.scrollRestoration = "manual"; // a browser would restore it before the answers are there
addEventListener("popstate", () => follow({ y: history.state?.y }));
addEventListener("pagehide", rememberPlace);

// While a text is being typed it is one step back, however many letters it has.
function searchTyped() {
  const wasTyped = isTyped;
  if (!q.isPlain($("text").value) || $("text").value.trim() === q.boxOf(query)) return;
  ask((now) => now, { replace: wasTyped });
  isTyped = true;
}

function offer(facets) {
  late = null;
  filters.offer(facets);
  dates.offer(facets.months);
  dates.show(monthsOf(query.where));
  $("sort").hidden = false;
  for (const option of $("sort").options) if (option.value.endsWith("date")) option.hidden = option.disabled = !facets.dated;
}

async function learn() {
  const info = await service.info();
  results.images = info.rows;
  showInfo(info, go);
  hasTexts = info.has_texts;
  $("views").hidden = !info.has_map;
  isKnown = true;
}

// What is not known yet stands above the answers, and would move them: they wait for it, and what is late waits for others.
$("ask").classList.toggle("asked", !q.isHome(fromAddress()) || fromAddress().map);
document.body.classList.toggle("home", q.isHome(fromAddress()));
document.body.classList.replace("starting", "learning");
const facets = service.facets().catch(() => null);
await learn().catch((error) => error instanceof service.Offline || say(error.message));
const found = await Promise.race([facets, new Promise((resolve) => setTimeout(resolve, FACETS_MS))]);
if (found) offer(found);
else facets.then((all) => (late = all));
follow({ y: history.state?.y });
