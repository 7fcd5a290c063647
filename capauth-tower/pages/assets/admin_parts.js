// What the parts of the page are made of: keys, times, states, and things to do.

import { SignInAgain, why } from "./admin_api.js";
import { askToSignIn } from "./admin_again.js";
import { announce } from "./admin_news.js";
import { at, el } from "./dom.js";
import { say } from "./words.js";

const WHEN = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });
const NUMBER = new Intl.NumberFormat("en-GB");

/** After so many milliseconds somebody is told that it takes a while. */
const PATIENCE = 600;

export const number = (value) => NUMBER.format(value);

/** A fingerprint in groups of four. What is copied of it has no gaps. */
export function fingerprint(text) {
  const groups = text.match(/.{1,4}/g) ?? [];
  return el("span", { class: "mono fingerprint" }, groups.map((group) => el("span", {}, group)));
}

/** A fingerprint that leads to its key. */
export const keyLink = (text) => el("a", { href: `#/keys/${text}`, class: "key" }, fingerprint(text));

/** A button that copies; `label` says what, for whoever does not see where it stands. */
export function copyButton(text, label) {
  const button = el("button", { type: "button", class: "small", "aria-label": label }, say("admin.copy"));
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      announce(say("admin.copied"));
    } catch {
      announce(say("admin.not_copied"));
    }
  });
  return button;
}

/** A time as people read it; `none` where there is none. */
export function time(text, none = say("admin.never")) {
  const date = new Date(text ?? "");
  if (Number.isNaN(date.getTime())) return el("span", { class: "quiet" }, text ?? none);
  return el("time", { datetime: text, title: text }, WHEN.format(date));
}

/** What a key is now: `kind` for the eye, `words` for everybody. The first decides whether it signs in. */
export function states(entry) {
  const all = [];
  if (entry.revoked_at) all.push({ kind: "bad", words: say("admin.state.revoked") });
  else if (entry.replaced_at) all.push({ kind: "gone", words: say("admin.state.replaced") });
  else if (entry.suspended) all.push({ kind: "warn", words: say("admin.state.suspended") });
  else if (!entry.approved) all.push({ kind: "warn", words: say("admin.state.pending") });
  else all.push({ kind: "good", words: say("admin.state.approved") });
  if (entry.linked_to) all.push({ kind: "also", words: say("admin.state.linked") });
  if (entry.replaced_soon) all.push({ kind: "warn", words: say("admin.state.replaced_soon") });
  return all;
}

/** The same as marks. */
export const marks = (entry) =>
  el("span", { class: "marks" }, states(entry).map(({ kind, words }) => el("span", { class: `mark ${kind}` }, words)));

/** Names in a row; a dash for none. */
export const names = (list) =>
  list.length ? el("span", { class: "chips" }, list.map((name) => el("span", { class: "chip" }, name)))
    : el("span", { class: "quiet" }, "–");

/** A sheet with a heading. */
export function sheet(title, ...children) {
  const heading = el("h2", { tabindex: -1 }, title);
  return el("section", { class: "sheet" }, heading, ...children);
}

/** Where a form says why something did not work: read out when it is filled. */
export const troubleSlot = () => el("p", { class: "trouble", role: "alert" });

let fields = 0;

/** A field with its label and a hint: `[label, hint, field]`. */
export function labelled(words, field, hint) {
  fields += 1;
  field.id = `field-${fields}`;
  if (!hint) return [el("label", { for: field.id }, words), field];
  field.setAttribute("aria-describedby", `hint-${fields}`);
  return [el("label", { for: field.id }, words), field, el("p", { class: "hint", id: `hint-${fields}` }, hint)];
}

/**
 * Does something at the server. The button waits, and is pressed once; `trouble` says why it was refused, the news that it
 * is done. Answers whether it is.
 * @param {{ button: HTMLElement, trouble: HTMLElement, work: () => Promise<any>, done: string | ((answer: any) => string),
 *   refusals?: Record<string, string> }} task `refusals`: words for the errors that mean something here
 */
export async function perform({ button, trouble, work, done, refusals = {} }) {
  if (button.getAttribute("aria-busy") === "true") return false;
  button.setAttribute("aria-busy", "true");
  trouble.textContent = "";
  announce("");
  const slow = setTimeout(() => announce(say("admin.working")), PATIENCE);
  let news = "";
  try {
    const answer = await work();
    news = typeof done === "function" ? done(answer) : done;
    return true;
  } catch (error) {
    if (error instanceof SignInAgain) askToSignIn();
    else trouble.textContent = why(error, refusals);
    return false;
  } finally {
    clearTimeout(slow);
    announce(news);
    button.removeAttribute("aria-busy");
  }
}

/**
 * Loads what a part shows. While nobody looks any more nothing happens; what fails is said in the part's place.
 * @param {Element} into @param {AbortSignal} signal @param {() => Promise<(Element | string)[]>} work
 */
export async function load(into, signal, work) {
  into.setAttribute("aria-busy", "true");
  try {
    const shown = await work();
    if (!signal.aborted) into.replaceChildren(...shown);
    return !signal.aborted;
  } catch (error) {
    if (signal.aborted) return false;
    into.replaceChildren();
    if (error instanceof SignInAgain) askToSignIn();
    else into.replaceChildren(el("p", { class: "trouble", role: "alert" }, why(error)));
    return false;
  } finally {
    if (!signal.aborted) into.removeAttribute("aria-busy");
  }
}

/**
 * Asks before something that cannot be undone. Resolves to true when it is wanted.
 * @param {{ title: string, words: (Element | string)[], action: string, typed?: { label: string, expected: string,
 *   wrong: string } }} question `typed`: what has to be typed for it
 */
export function confirmed({ title, words, action, typed }) {
  return new Promise((resolve) => {
    const trouble = troubleSlot();
    const field = typed && el("input", { autocomplete: "off", autocapitalize: "characters", spellcheck: "false" });
    const plain = (text) => text.replaceAll(/\s/g, "").toUpperCase();
    let wanted = false;
    const dialog = el("dialog", { class: "sheet", "aria-labelledby": "question" },
      el("form", {
        onsubmit: (event) => {
          event.preventDefault();
          wanted = !typed || plain(field.value) === plain(typed.expected);
          if (wanted) return dialog.close();
          trouble.textContent = typed.wrong;
          field.focus();
        },
      },
      el("h2", { id: "question" }, title), words.map((part) => el("p", {}, part)),
      typed && labelled(typed.label, field), trouble,
      el("div", { class: "row" },
        el("button", { type: "button", onclick: () => dialog.close() }, say("admin.cancel")),
        el("button", { class: "bad" }, action))));
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(wanted);
    });
    at("main").append(dialog);
    dialog.showModal();
  });
}
