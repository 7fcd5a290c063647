// Pieces of the panel of this browser's keys.

import { el } from "./dom.js";
import { say } from "./words.js";

/** Enough of a fingerprint to know a key by. */
export const short = (fingerprint) =>
  `${fingerprint.slice(0, 8).match(/.{4}/g).join(" ")} … ${fingerprint.slice(-8).match(/.{4}/g).join(" ")}`;

/** All of it, in groups of four. */
export const grouped = (fingerprint) => fingerprint.match(/.{1,4}/g).join(" ");

/** The page's language as it is spoken where the person is. */
function locale() {
  const { lang } = document.documentElement;
  return navigator.languages?.find((language) => language.startsWith(lang)) ?? lang;
}

/** A day as people write it. */
export const day = (time) => new Intl.DateTimeFormat(locale(), { dateStyle: "long" }).format(new Date(time));

/** A time of today's. */
export const clock = (time) => new Intl.DateTimeFormat(locale(), { timeStyle: "short" }).format(time);

/** A heading to which the focus goes when the view is entered. */
export const heading = (words) => el("h3", { tabindex: "-1" }, words);

/** A button that looks like a link. */
export const link = (words, onclick) => el("button", { type: "button", class: "link", onclick }, words);

/** A field's words when something is wrong with what stands in it. */
function complaint(input, id) {
  const element = el("p", { class: "field-trouble", id, role: "alert" });
  return {
    element,
    tell(words) {
      element.textContent = words;
      if (words) input.setAttribute("aria-invalid", "true");
      else input.removeAttribute("aria-invalid");
      if (words) input.focus();
    },
  };
}

/**
 * A labelled field. `complain` says what is wrong with it, and "" takes that back, as typing does. It has no name, so that
 * no form could ever send it.
 */
export function field({ id, label, hint, tag = "input", after = null, ...attributes }) {
  const described = [hint && `${id}-hint`, `${id}-trouble`].filter(Boolean).join(" ");
  const input = el(tag, { id, autocapitalize: "off", spellcheck: "false", ...attributes, "aria-describedby": described });
  const trouble = complaint(input, `${id}-trouble`);
  input.addEventListener("input", () => trouble.tell(""));
  const name = el("label", { for: id }, label);
  const element = el("div", {}, name, after ? el("div", { class: "with-button" }, input, after) : input,
    hint && el("p", { class: "hint", id: `${id}-hint` }, hint), trouble.element);
  return { element, input, complain: trouble.tell, relabel: (words) => { name.textContent = words; } };
}

/** A field for a passphrase, with a button that shows what stands in it. */
export function passphraseField({ onShown, ...wanted }) {
  const toggle = el("button", {
    type: "button", "aria-pressed": "false", "aria-controls": wanted.id, "aria-label": say("browser.show_passphrase"),
  }, say("browser.show"));
  const it = field({ ...wanted, type: "password", maxlength: 1024, after: toggle });
  it.shows = (shown) => {
    it.input.type = shown ? "text" : "password";
    toggle.setAttribute("aria-pressed", String(shown));
    onShown?.(shown);
  };
  toggle.addEventListener("click", () => it.shows(it.input.type === "password"));
  /** Nothing stands in it any more, and what is typed next is not seen. */
  it.clear = () => {
    it.input.value = "";
    it.complain("");
    it.shows(false);
  };
  return it;
}

/** While something is done, the button says so, and nothing is done twice. */
export function busyButton(words, busyWords, attributes = {}) {
  const button = el("button", { class: "lead wide", ...attributes }, words);
  let busy = false;
  button.during = async (work) => {
    if (busy) return;
    busy = true;
    button.setAttribute("aria-disabled", "true");
    button.textContent = busyWords;
    try {
      await work();
    } finally {
      busy = false;
      button.removeAttribute("aria-disabled");
      button.textContent = words;
    }
  };
  return button;
}

/** A form that goes nowhere. */
export const form = (onsubmit, ...children) => el("form", {
  novalidate: true,
  onsubmit: (event) => {
    event.preventDefault();
    onsubmit();
  },
}, ...children);

/** Gives out a text as a file. */
export function download(name, text) {
  const address = URL.createObjectURL(new Blob([text], { type: "application/pgp-keys" }));
  el("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

/** The name of a key's file. */
export const fileName = (fingerprint, half) => `key-${fingerprint.slice(-8).toLowerCase()}-${half}.asc`;
