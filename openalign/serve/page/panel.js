// A panel that a button opens beside itself, or from below on a narrow screen; Escape and a click elsewhere close it.

const MARGIN = 8;
const NARROW = matchMedia("(max-width: 760px)");

export class Panel {
  // `fill()` is called each time before it is shown.
  constructor(element, opener, fill) {
    Object.assign(this, { element, opener });
    element.popover = "auto";
    opener.popoverTargetElement = element;
    opener.ariaHasPopup = "dialog";
    opener.ariaExpanded = false;
    element.addEventListener("beforetoggle", (event) => {
      if (event.newState === "open") fill();
    });
    element.addEventListener("toggle", (event) => {
      opener.ariaExpanded = event.newState === "open";
      if (event.newState === "open") this.#place();
    });
    addEventListener("resize", () => this.isOpen && this.#place());
  }

  get isOpen() {
    return this.element.matches(":popover-open");
  }

  close() {
    this.element.hidePopover();
  }

  closer() {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "close-panel";
    button.textContent = "×";
    button.ariaLabel = "Close";
    button.addEventListener("click", () => {
      this.close();
      this.opener.focus();
    });
    return button;
  }

  #place() {
    const { style } = this.element;
    if (NARROW.matches) {
      style.left = style.top = style.maxHeight = "";
      return;
    }
    const { left, right, bottom } = this.opener.getBoundingClientRect();
    const width = this.element.offsetWidth;
    const isFitting = left + width + MARGIN <= document.documentElement.clientWidth;
    style.left = `${Math.max(MARGIN, isFitting ? left : right - width)}px`;
    style.top = `${bottom + MARGIN}px`;
    style.maxHeight = `${Math.max(240, innerHeight - bottom - 2 * MARGIN)}px`;
  }
}
