// The + and − texts: each a chip with a way to remove it, and a chip that is an input while a new one is typed.

const SIGNS = { plus: "+", minus: "−" };

export class Chips {
  // `change(kind, texts)` is called with the new list of that kind.
  constructor(list, change) {
    this.list = list;
    this.change = change;
    this.texts = { plus: [], minus: [] };
  }

  show(plus, minus) {
    this.texts = { plus, minus };
    const chips = ["plus", "minus"].flatMap((kind) => this.texts[kind].map((text) => this.#chip(kind, text)));
    this.list.replaceChildren(...chips);
  }

  // An empty chip to type into: Enter or leaving it adds it, Escape gives it up.
  start(kind) {
    const chip = shell(kind);
    const input = document.createElement("input");
    input.maxLength = 1000;
    input.enterKeyHint = "search";
    input.placeholder = kind === "plus" ? "snow" : "people";
    input.ariaLabel = kind === "plus" ? "Show more of" : "Show less of";
    let ended = false;
    const end = (text) => {
      if (ended) return;
      ended = true;
      chip.remove();
      if (text) this.change(kind, [...this.texts[kind], text]);
    };
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter") event.preventDefault();
      if (event.key === "Enter") end(input.value.trim());
      if (event.key === "Escape") end("");
    });
    input.addEventListener("blur", () => end(input.value.trim()));
    chip.append(input);
    this.list.append(chip);
    input.focus();
  }

  #chip(kind, text) {
    const chip = shell(kind);
    const words = document.createElement("span");
    const remove = document.createElement("button");
    words.textContent = text;
    remove.type = "button";
    remove.textContent = "×";
    remove.ariaLabel = `Remove ${SIGNS[kind]} ${text}`;
    remove.addEventListener("click", () => this.change(kind, this.texts[kind].filter((each) => each !== text)));
    chip.append(words, remove);
    return chip;
  }
}

function shell(kind) {
  const chip = document.createElement("li");
  chip.className = `chip ${kind}`;
  chip.append(SIGNS[kind]);
  return chip;
}
