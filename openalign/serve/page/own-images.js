// Images of one's own that are searched with: chosen, dropped, pasted; several at once are several terms.

import { refusal } from "./service.js";
import { keepUpload } from "./uploads.js";

const $ = (id) => document.getElementById(id);

// Keeps images and returns their numbers; says what is wrong with one, and then takes none.
export async function taken(files, say) {
  const problem = [...files].map(refusal).find(Boolean);
  if (problem) say(problem);
  const numbers = [];
  for (const file of problem ? [] : files) numbers.push(await keepUpload(file));
  return numbers;
}

// `searchWith(numbers)` is called with the numbers of images.
export function takeImages({ searchWith, say }) {
  const take = async (files) => {
    const numbers = files.length ? await taken([...files], say) : [];
    if (numbers.length) searchWith(numbers);
  };
  addEventListener("paste", (event) => {
    if (!event.defaultPrevented) take(event.clipboardData?.files ?? []);
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
    take(event.dataTransfer.files);
  });
  $("file").addEventListener("change", () => {
    const files = [...$("file").files];
    $("file").value = "";
    take(files);
  });
}

const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
