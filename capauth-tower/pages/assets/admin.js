// The administrators' page: which part of it is shown. Each part is a module of its own; what stands behind the `#` of the
// address says which, so that every part has an address and the browser's way back works.

import "./words_admin.js";
import { audit } from "./admin_audit.js";
import { bringBack, forgetAtTheEnd, goBack } from "./admin_again.js";
import { enrolment } from "./admin_enrol.js";
import { key } from "./admin_key.js";
import { keys } from "./admin_keys.js";
import { arrive } from "./admin_news.js";
import { overview } from "./admin_overview.js";
import { at, el } from "./dom.js";
import { say } from "./words.js";

/**
 * Where somebody is. A part answers an element whose first heading names it, and loads the rest until `signal` says that
 * nobody looks any more.
 * @typedef {object} Place
 * @property {string} part `keys` of `#/keys/ABCD?filter=all`
 * @property {string} name `ABCD`; "" if there is none
 * @property {URLSearchParams} query `filter=all`
 * @property {AbortSignal} signal
 * @property {() => void} again shows the part anew
 */

const parts = {
  "": overview,
  keys: (place) => (place.name ? key(place) : keys(place)),
  enrol: enrolment,
  audit,
};

let leaving = new AbortController();

/** Reads the address. `null`: something else, such as the way past the navigation. */
function read() {
  const hash = location.hash || "#/";
  if (!hash.startsWith("#/")) return null;
  const [path, query = ""] = hash.slice(2).split("?");
  const [part, name = ""] = path.split("/");
  return { part, name, query: new URLSearchParams(query) };
}

function show({ focus = true } = {}) {
  const address = read();
  if (!address) return;
  leaving.abort();
  leaving = new AbortController();
  const part = Object.hasOwn(parts, address.part) ? parts[address.part] : nothing;
  const element = part({ ...address, signal: leaving.signal, again: () => show() });
  // A question goes with the part that asked it.
  document.querySelector("dialog[open]")?.close();
  at("view").replaceChildren(element);
  at("again").replaceChildren();
  arrive();
  const heading = element.querySelector("h1");
  document.title = `${heading.textContent} · ${say("admin.title")}`;
  for (const link of document.querySelectorAll("header nav a")) {
    if (link.hash.slice(2) === address.part) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (focus) heading.focus();
  bringBack();
}

function nothing() {
  return el("div", {},
    el("h1", { tabindex: -1 }, say("admin.nothing.title")),
    el("p", {}, say("admin.nothing.what")));
}

// The way past the navigation is no place: the address stays what it was.
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  at("main").focus();
});
window.addEventListener("popstate", () => show());
forgetAtTheEnd();
goBack();
show({ focus: false });
