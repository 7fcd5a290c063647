// Who the person is: the fingerprint of their key, asked once, and remembered by this browser if they like.

import { el, show } from "./dom.js";
import { keep, recall } from "./store.js";
import { say, say_with } from "./words.js";

const FORM = /^([0-9A-F]{40}|[0-9A-F]{64})$/;

/** A fingerprint as it is written in requests, out of what somebody typed or pasted; "" if there is none in it. */
export function readFingerprint(text) {
  if (typeof text !== "string" || text.length > 4000) return "";
  const whole = text.toUpperCase().replace(/[\s:]/g, "").replace(/^0X/, "");
  if (FORM.test(whole)) return whole;
  // What `gpg --fingerprint` prints: one line of it is nothing but the fingerprint, in groups.
  const lines = text.toUpperCase().split(/[\r\n]+/).map((line) => line.replace(/^.*=/, "").replace(/\s/g, ""));
  return lines.find((line) => FORM.test(line)) ?? "";
}

/** Groups of four. */
const grouped = (fingerprint) => fingerprint.match(/.{4}/g)?.join(" ") ?? "";

/** Enough of it to know it by. */
export const shortened = (fingerprint) => `${grouped(fingerprint.slice(0, 8))} … ${grouped(fingerprint.slice(-8))}`;

/**
 * Who the page takes the person for. `element` asks or says it and stands wherever that is needed; `memory` says what this
 * browser keeps. `changed` is called when it is somebody else, `forgotten` when this browser is to remember nobody.
 */
export function whoIs() {
  let fingerprint = readFingerprint(recall("fingerprint") ?? "");
  const who = {
    changed: () => {},
    forgotten: () => {},
    fingerprint: () => fingerprint,
    /** Whether the person wishes to be remembered. */
    remembers: () => memory.wanted(),
    set(value) {
      fingerprint = value;
      draw();
      who.changed();
    },
    /** Somebody signed in as this: now it may be remembered. */
    succeeded(value, way) {
      const wanted = memory.wanted();
      keep("fingerprint", wanted ? value : null);
      keep("way", wanted ? way : null);
      if (!wanted) who.forgotten();
    },
  };
  const asking = askingForm((value) => {
    who.set(value);
    focusNext(who.element);
  });
  const saying = sayingLine(() => {
    who.set("");
    asking.focus();
  });
  const memory = memoryLine(() => {
    keep("fingerprint", null);
    keep("way", null);
    who.forgotten();
    who.set("");
  });
  /** Takes what was typed elsewhere. */
  who.typed = (text) => {
    const read = readFingerprint(text);
    if (read) who.set(read);
    else asking.fill(text);
  };
  who.element = el("div", { class: "who" }, asking.element, saying.element);
  who.memory = memory.element;
  who.ask = (words) => asking.complain(words);

  function draw() {
    show(asking.element, !fingerprint);
    show(saying.element, Boolean(fingerprint));
    saying.draw(fingerprint);
    memory.draw(readFingerprint(recall("fingerprint") ?? ""));
  }
  draw();
  return who;
}

/** The person goes on behind the question that they answered. */
function focusNext(element) {
  const after = element.closest(".way-panel")?.querySelectorAll("button.lead:not([disabled])") ?? [];
  [...after].find((it) => !element.contains(it) && it.offsetParent !== null)?.focus();
}

function askingForm(done) {
  const field = el("input", {
    id: "fingerprint", autocomplete: "off", autocapitalize: "characters", spellcheck: "false", class: "mono",
    maxlength: 4000, "aria-describedby": "fingerprint-hint fingerprint-trouble",
  });
  const trouble = el("p", { id: "fingerprint-trouble", class: "field-trouble", role: "alert" });
  const complain = (words) => {
    trouble.textContent = words;
    if (words) field.setAttribute("aria-invalid", "true");
    else field.removeAttribute("aria-invalid");
    if (words) field.focus();
  };
  const element = el("form", {
    novalidate: true,
    onsubmit: (event) => {
      event.preventDefault();
      const read = readFingerprint(field.value);
      const wrong = field.value.trim() ? say("login.fingerprint_wrong") : say("login.fingerprint_empty");
      complain(read ? "" : wrong);
      if (read) done(read);
    },
  },
  el("label", { for: "fingerprint" }, say("login.fingerprint")), field, trouble,
  el("p", { class: "hint", id: "fingerprint-hint" }, say("login.fingerprint_hint"), " ", el("code", {}, "gpg -K")),
  el("div", { class: "row" }, el("button", { class: "lead wide" }, say("login.continue"))));
  field.addEventListener("input", () => complain(""));
  // Pasting a whole fingerprint says all there is to say.
  field.addEventListener("paste", (event) => {
    const read = readFingerprint(event.clipboardData?.getData("text") ?? "");
    if (!read) return;
    event.preventDefault();
    field.value = grouped(read);
    complain("");
    done(read);
  });
  const fill = (text) => {
    field.value = text;
  };
  return { element, complain, fill, focus: () => field.focus() };
}

function sayingLine(another) {
  const text = el("span", { class: "mono", translate: "no" });
  let whole = false, fingerprint = "";
  const more = el("button", { type: "button", class: "link", onclick: () => {
    whole = !whole;
    draw(fingerprint);
  } });
  function draw(value) {
    fingerprint = value;
    text.textContent = whole ? grouped(value) : shortened(value);
    more.textContent = whole ? say("login.show_less") : say("login.show_whole");
    more.setAttribute("aria-expanded", String(whole));
  }
  const element = el("div", { class: "person" },
    el("p", { class: "person-key" }, el("span", { class: "quiet" }, say("login.your_key")), " ", text),
    el("p", { class: "person-ways" }, more, " ",
      el("button", { type: "button", class: "link", onclick: another }, say("login.another_key"))));
  return { element, draw };
}

function memoryLine(forget) {
  const box = el("input", { type: "checkbox", id: "remember" });
  box.checked = recall("remember") !== false;
  box.addEventListener("change", () => keep("remember", box.checked ? null : false));
  const text = el("span", { class: "quiet" });
  const news = el("p", { class: "quiet", role: "status" });
  const kept = el("p", { class: "kept" }, text, " ", el("button", { type: "button", class: "link", onclick: () => {
    forget();
    news.textContent = say("login.forgotten");
    box.focus();
  } }, say("login.forget")));
  const choice = el("label", { class: "check", for: "remember" }, box, el("span", {}, say("login.remember")));
  return {
    element: el("div", { class: "memory" }, kept, choice, news),
    wanted: () => box.checked,
    draw(fingerprint) {
      show(kept, Boolean(fingerprint));
      text.textContent = fingerprint ? say_with("login.remembered", { fingerprint: shortened(fingerprint) }) : "";
      if (fingerprint) news.textContent = "";
    },
  };
}
