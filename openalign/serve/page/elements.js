// Elements, with the text that they have.

export function element(tag, className, text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

export function button(className, text, act) {
  const made = element("button", className, text);
  made.type = "button";
  made.addEventListener("click", act);
  return made;
}

// Texts of others go in their own direction.
export function words(text) {
  const made = element("span", "words", text);
  made.dir = "auto";
  return made;
}

export function picture(address, alt) {
  const image = new Image();
  image.alt = alt;
  image.src = address;
  return image;
}

export const thumbnailOf = (row) => `/api/thumbnails/${row}`;
