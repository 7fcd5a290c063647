// What the phone shows: one screen after another, each with a heading to which the focus goes.

import { forgetShared, sharing } from "./claims.js";
import { at, el, show } from "./dom.js";
import { grouped } from "./figures.js";
import { say, say_with } from "./words.js";

const body = el("div", { class: "sheet phone" });

/** What stands above every screen, in the place of what is there without JavaScript. */
export function begin() {
  at("app").replaceChildren(
    el("header", { class: "asks" },
      el("img", { src: new URL("icon.svg", import.meta.url).href, alt: "", width: 44, height: 44 }),
      el("h1", {}, say("phone.title"))),
    body);
  at("plain").remove();
  show(at("app"));
}

/** Shows a screen. Its heading gets the focus, or the field that is to be corrected; the first is read from the page's top. */
function screen(...children) {
  const isFirst = !body.hasChildNodes();
  body.replaceChildren(...children.filter(Boolean));
  if (isFirst) return;
  scrollTo(0, 0);
  (body.querySelector("[data-first]") ?? body.querySelector("h2")).focus();
}

const title = (words) => el("h2", { tabindex: "-1" }, words);
const link = (words, onclick) => el("button", { type: "button", class: "link", onclick }, words);

/** The end, and what to do next. */
export function finalScreen(heading, words) {
  screen(title(heading), el("p", {}, words));
}

/** Which site asks, where, and since when. */
function asks({ service, timestamp }) {
  const time = new Date(timestamp).toLocaleTimeString();
  const row = (name, value) => el("div", {}, el("dt", {}, name), el("dd", { translate: "no" }, value));
  return el("dl", { class: "facts" },
    row(say("phone.site"), service), row(say("phone.address"), location.host), row(say("phone.since"), time));
}

/** The field for the code. @param {{ code: string, wrong: string, button: string, type: (code: string) => void }} what */
function codeForm({ code, wrong, button, type }) {
  const field = el("input", {
    id: "code", class: "digits", value: code, inputmode: "numeric", maxlength: "12", enterkeyhint: "next",
    autocomplete: "off", autocapitalize: "off", spellcheck: "false", "data-first": Boolean(wrong),
    "aria-describedby": wrong ? "code-trouble code-hint" : "code-hint", "aria-invalid": wrong ? "true" : null,
  });
  const submit = (event) => {
    event.preventDefault();
    type(field.value);
  };
  return el("form", { onsubmit: submit, novalidate: true },
    el("label", { for: "code" }, say("phone.code")),
    field,
    el("p", { class: "hint", id: "code-hint" }, say("phone.code_hint")),
    el("button", { class: "lead wide" }, button));
}

/**
 * Asks for the code. @param {{ asked: object, timer: HTMLElement, declines: boolean, code: string, wrong: string,
 *   type: (code: string) => void, turn: () => void }} what `turn` changes between signing in and declining
 */
export function codeScreen({ asked, timer, declines, code, wrong, type, turn }) {
  const above = declines
    ? [title(say("phone.decline_title")), el("p", {}, say("phone.decline_close")), el("p", {}, say("phone.decline_end"))]
    : [title(say_with("phone.asks", { service: asked.service })), asks(asked),
      el("div", { class: "warning" }, el("p", {}, say("phone.warning")))];
  screen(
    ...above,
    el("div", { role: "alert", id: "code-trouble" }, wrong && el("p", { class: "trouble" }, wrong)),
    codeForm({ code, wrong, type, button: declines ? say("phone.decline_go") : say("phone.go") }),
    timer,
    link(declines ? say("phone.not_decline") : say("phone.decline"), turn));
}

/**
 * How to sign: one way, and the others by name. Answers where the way's panel goes.
 * @param {{ asked: object, timer: HTMLElement, declines: boolean, code: string, ways: object[], way: object,
 *   share: HTMLElement, trouble: HTMLElement, memory: HTMLElement, choose: (way: object) => void, back: () => void }} what
 */
export function signScreen({ asked, timer, declines, code, ways, way, share, trouble, memory, choose, back }) {
  const panel = el("section", { "aria-label": way.title });
  const others = ways.filter((it) => it !== way);
  screen(
    title(declines ? say("phone.decline_title") : say_with("phone.sign_title", { service: asked.service })),
    el("p", { class: "quiet" }, say_with("phone.code_is", { code: grouped(code, 3) }), " ", link(say("phone.code_change"), back)),
    declines ? null : share,
    el("h3", {}, way.title),
    trouble,
    panel,
    memory,
    timer,
    others.length > 0 && el("div", { class: "others" },
      el("h3", {}, say("phone.others")),
      others.map((it) => el("button", { type: "button", class: "wide", onclick: () => choose(it) }, it.title))));
  return panel;
}

/**
 * Nothing but the fingerprint is shared until this is opened. Answers what `sharing` (claims.js) does.
 * @param {() => boolean} remembers whether the person wishes to be remembered
 */
export function sharingPart(service, remembers, changed) {
  let part = null, person = "";
  const open = () => {
    part = sharing(service, { remembers });
    part.person(person);
    part.changed = changed;
    part.element.open = true;
    element.replaceChildren(part.element);
    element.classList.remove("quiet");
    part.element.querySelector("summary").focus();
    changed();
  };
  const element = el("div", { class: "quiet" }, say("phone.share_nothing"), " ", link(say("phone.share"), open));
  return {
    element,
    claims: (fingerprint) => part?.claims(fingerprint) ?? {},
    person(fingerprint) {
      person = fingerprint;
      part?.person(fingerprint);
    },
    succeeded: (fingerprint) => part?.succeeded(fingerprint),
    forget: () => (part ? part.forget() : forgetShared()),
  };
}
