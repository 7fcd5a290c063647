// Digits as people read them.

/** In groups of this size. */
export const grouped = (text, size) => text.match(new RegExp(`.{1,${size}}`, "g"))?.join(" ") ?? "";

/** Minutes and seconds. */
export function clock(milliseconds) {
  const seconds = Math.ceil(milliseconds / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}
