// When the login has become too old: the way to the login page and back, on which nothing is lost that was typed. It waits in
// this tab's storage for whoever typed it, for some minutes, and is taken out of it at once. What was decided meanwhile
// stands: what was typed as a change of something else is left out.

import { announce } from "./admin_news.js";
import { at, el, settings } from "./dom.js";
import { say } from "./words.js";

const PLACE = "capauth.admin.typed";

/** For how long it is kept, in milliseconds. */
const LIFETIME = 15 * 60_000;

/** Says that one has to sign in again, and leads there. */
export function askToSignIn() {
  const back = location.pathname + location.search + location.hash;
  const way = `../auth/capauth/login?redirect=${encodeURIComponent(back)}`;
  const link = el("a", { class: "button lead", href: way, onclick: keep }, say("admin.again.link"));
  at("again").replaceChildren(
    el("section", { class: "warning", "aria-labelledby": "again-title" },
      el("h2", { id: "again-title" }, say("admin.again.title")),
      el("p", {}, say("admin.again.why")),
      el("p", {}, link)));
  link.focus();
}

/** Fields of the forms that keep what is typed, by the form's name and their own. */
function fields() {
  const all = [...at("view").querySelectorAll("form[data-draft] [name]")];
  return all.map((field) => [`${field.form.dataset.draft} ${field.name}`, field]);
}

/** What a field held at first. */
function initial(field) {
  const chosen = field.options && [...field.options].find((option) => option.defaultSelected)?.value;
  return field.dataset.initial ?? chosen ?? field.defaultValue;
}

/** What the server said when the field was filled in: what is typed is a change of that. */
const basis = (field) => field.dataset.basis ?? initial(field);

function keep() {
  const changed = fields().filter(([, field]) => field.value !== initial(field));
  const typed = Object.fromEntries(changed.map(([name, field]) => [name, { basis: basis(field), value: field.value }]));
  try {
    const kept = { key: settings.key, since: Date.now(), hash: location.hash, typed };
    sessionStorage.setItem(PLACE, JSON.stringify(kept));
  } catch {
    // A browser that keeps nothing: it has to be typed again.
  }
}

function forget() {
  try {
    sessionStorage.removeItem(PLACE);
  } catch {
    // Nor is anything there.
  }
}

/** What this administrator typed lately, if anything is kept. Anybody else's, and what is older, goes. */
function keptBefore() {
  let kept = null;
  try {
    kept = JSON.parse(sessionStorage.getItem(PLACE));
  } catch {
    // Not ours.
  }
  const age = Date.now() - kept?.since;
  if (kept?.key === settings.key && age >= 0 && age < LIFETIME) return kept;
  forget();
  return null;
}

/** Who signs out leaves nothing to whoever uses this tab next. */
export function forgetAtTheEnd() {
  document.querySelector("header form[action$=logout]").addEventListener("submit", forget);
}

/** Who comes back, and did not say where to, is where they were. */
export function goBack() {
  const kept = keptBefore();
  if (kept?.hash && !location.hash) history.replaceState(null, "", kept.hash);
}

/** Puts what was typed before into the fields that are there now. Parts that load call it once they have. */
export function bringBack() {
  const kept = keptBefore();
  if (!kept) return;
  if (kept.hash !== location.hash) return forget();
  const there = fields();
  if (!there.length) return;
  forget();
  const found = new Set(there.map(([name, field]) => refill(field, kept.typed[name])));
  const words = [found.has("back") && say("admin.again.back"), found.has("overtaken") && say("admin.again.overtaken")];
  if (words.some(Boolean)) announce(words.filter(Boolean).join(" "));
}

/** `back`: what was typed is in the field. `overtaken`: somebody changed what it was typed for. */
function refill(field, typed) {
  if (typeof typed?.value !== "string" || typed.value === field.value) return "same";
  if (typed.basis !== basis(field)) return "overtaken";
  field.value = typed.value;
  field.dispatchEvent(new Event("typed"));
  return "back";
}
