// Parts of a person's own page.

import { el } from "./dom.js";
import { copyButton } from "./gives.js";
import { armoredBlocks } from "./shell.js";
import { say } from "./words.js";

/** Seen from the page. */
export const API = "v1";

/** The login page, with the way back here. */
export const login = () => `../auth/capauth/login?redirect=${encodeURIComponent(location.pathname)}`;

let last = 0;
/** A name that no other element of the page has. */
export const unique = (name) => `${name}-${last += 1}`;

/** A fingerprint in groups of four, which can be read and compared; copied, it has no other characters than spaces. */
export function fingerprint(text) {
  return el("code", { class: "digits-of-key", translate: "no" }, text.replace(/(.{4})(?=.)/g, "$1 "));
}

// The page's language, as it is written where the person is.
const PAGES = document.documentElement.lang;
const LANGUAGE = navigator.languages.find((language) => language.split("-")[0] === PAGES) ?? PAGES;
const DAY = new Intl.DateTimeFormat(LANGUAGE, { dateStyle: "medium" });
const MINUTE = new Intl.DateTimeFormat(LANGUAGE, { dateStyle: "medium", timeStyle: "short" });
const SINCE = new Intl.RelativeTimeFormat(LANGUAGE, { numeric: "auto" });
const UNITS = [["day", 86_400], ["hour", 3600], ["minute", 60]];

const timed = (text, shown) => el("time", { datetime: text, title: MINUTE.format(new Date(text)) }, shown);

/** A day, with the time when one asks for it. */
export const day = (text) => timed(text, DAY.format(new Date(text)));

/** A day and a time of it. */
export const minute = (text) => timed(text, MINUTE.format(new Date(text)));

/** How long ago, or in how long. */
export function relative(text) {
  const seconds = Math.round((new Date(text) - Date.now()) / 1000);
  // What was within this minute is now.
  const [unit, length] = UNITS.find(([, length]) => Math.abs(seconds) >= length) ?? ["second", Infinity];
  return timed(text, SINCE.format(Math.trunc(seconds / length), unit));
}

/** A sentence of the words with elements, or texts, in the place of its `{braces}`. */
export function sentence(words, values = {}) {
  return words.split(/(\{\w+\})/).map((part) => {
    const name = /^\{(\w+)\}$/.exec(part)?.[1];
    return name in values ? values[name] : part;
  });
}

/** A line that says what happened, to those too who do not see it. */
export function news() {
  const line = el("p", { class: "note", role: "status", hidden: true });
  const tell = (text) => {
    line.hidden = text === "";
    line.textContent = text;
  };
  return { line, tell };
}

/** The same for what went wrong. */
export function trouble() {
  const line = el("p", { class: "trouble", role: "alert", hidden: true });
  const tell = (text) => {
    line.hidden = text === "";
    line.textContent = text;
  };
  return { line, tell };
}

/** A part of the page with a heading, to which the focus can go when what had it is gone. */
export function section(title, ...children) {
  const id = unique("section");
  const heading = el("h2", { id, tabindex: "-1" }, title);
  return { heading, element: el("section", { class: "sheet", "aria-labelledby": id }, heading, ...children) };
}

/** Asks before something that cannot be taken back. @returns {Promise<boolean>} */
export function ask({ title, text, yes }) {
  const id = unique("question");
  const answer = (value) => () => dialog.close(value);
  const dialog = el("dialog", { "aria-labelledby": id, "aria-describedby": `${id}-text` },
    el("h2", { id }, title),
    el("p", { id: `${id}-text` }, text),
    el("div", { class: "row" },
      el("button", { type: "button", class: "bad", onclick: answer("yes") }, yes),
      el("button", { type: "button", autofocus: true, onclick: answer("") }, say("me.keep"))));
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((decided) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      decided(dialog.returnValue === "yes");
    });
  });
}

/** A field of several lines with its label. */
function area(label, attributes) {
  const id = unique("field");
  const fixed = { id, rows: "6", spellcheck: "false", autocomplete: "off", autocapitalize: "off", class: "mono" };
  const field = el("textarea", { ...fixed, ...attributes });
  return { field, parts: [el("label", { for: id }, label), field] };
}

/** A field for a certificate. A secret key does not stay in it. @param {(words: string) => void} complain */
export function certificateArea(label, complain) {
  const { field, parts } = area(label, { required: true });
  field.addEventListener("input", () => {
    if (!field.value) return;
    complain("");
    if (!armoredBlocks(field.value).hasSecret) return;
    field.value = "";
    complain(say("login.secret_key"));
  });
  return { field, parts };
}

/** A command to copy. */
export function command(text) {
  return el("div", { class: "command" }, el("code", { translate: "no" }, text), copyButton(() => text));
}
