// What just happened.

import { at } from "./dom.js";

let later = "";

/** Says it to the eye and to a screen reader; "" takes it back. */
export function announce(words) {
  at("news").textContent = words;
}

/** Says it once the next part of the page is there. */
export function announceThere(words) {
  later = words;
}

/** The next part of the page is there: what happened before is over. */
export function arrive() {
  announce(later);
  later = "";
}
