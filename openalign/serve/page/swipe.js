// A finger on the stage: to the sides for the picture before or after, down to close. Two fingers zoom, as everywhere.

const STEP = 56; // pixels
const CLOSE = 96;
const BEGUN = 8;

export function swiped(stage, image, { step, close }) {
  let begun = null;
  const moved = (touch) => ({ x: touch.clientX - begun.x, y: touch.clientY - begun.y });
  const end = () => {
    begun = null;
    image.style.translate = "";
    image.style.opacity = "";
  };
  stage.addEventListener("touchstart", (event) => {
    const [touch] = event.touches;
    begun = event.touches.length === 1 && (visualViewport?.scale ?? 1) === 1 ? { x: touch.clientX, y: touch.clientY } : null;
    if (!begun) end();
  }, { passive: true });
  stage.addEventListener("touchmove", (event) => {
    if (!begun) return;
    const { x, y } = moved(event.touches[0]);
    if (Math.hypot(x, y) < BEGUN) return;
    event.preventDefault();
    const isSideways = Math.abs(x) > Math.abs(y);
    image.style.translate = isSideways ? `${x}px 0` : `0 ${Math.max(0, y)}px`;
    image.style.opacity = isSideways ? "" : String(1 - Math.min(0.6, Math.max(0, y) / 400));
  }, { passive: false });
  stage.addEventListener("touchend", (event) => {
    if (!begun) return;
    const { x, y } = moved(event.changedTouches[0]);
    end();
    if (Math.abs(x) > Math.abs(y) && Math.abs(x) > STEP) step(x > 0 ? -1 : 1);
    else if (y > Math.abs(x) && y > CLOSE) close();
  });
  stage.addEventListener("touchcancel", end);
}
