// Images of one's own that are searched with: chosen, dropped, pasted.

import { refusal } from "./service.js";
import { keepUpload } from "./uploads.js";

const $ = (id) => document.getElementById(id);

// `searchWith(number)` is called with the number of an image, `say` with what is wrong with one.
export function takeImages({ searchWith, say }) {
  const take = async (file) => {
    const problem = refusal(file);
    if (problem) say(problem);
    else searchWith(await keepUpload(file));
  };
  addEventListener("paste", (event) => {
    const file = imageIn(event.clipboardData);
    if (file) take(file);
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
    if (imageIn(event.dataTransfer)) take(imageIn(event.dataTransfer));
  });
  $("file").addEventListener("change", () => {
    const [file] = $("file").files;
    $("file").value = "";
    if (file) take(file);
  });
}

const imageIn = (transfer) => [...(transfer?.files ?? [])][0];
const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
