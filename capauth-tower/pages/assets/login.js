// The login page: says who asks, shows the ways to sign, and takes what they bring to the server.

import { post, Refused } from "./api.js";
import { challengePool } from "./challenge.js";
import { sharing } from "./claims.js";
import { at, el, settings, show } from "./dom.js";
import { copyButton } from "./gives.js";
import { recall } from "./store.js";
import { troubleBox } from "./trouble.js";
import { ways } from "./ways.js";
import { readFingerprint, whoIs } from "./who.js";
import { say, say_with } from "./words.js";

/** When to look again for what may appear after the page: extensions come when they like. */
const LOOK_AGAIN = [300, 1000, 3000];

/** Refusals after which this challenge is worth nothing. */
const SPENT = new Set(["invalid_nonce", "expired_nonce", "enrollment_pending", "key_suspended"]);

const { service } = settings;
const pool = challengePool(settings);
const who = whoIs();
const shared = sharing(service, { remembers: who.remembers, supported: settings.claims ?? null });
const status = el("p", { class: "unseen", role: "status" });
const trouble = troubleBox({ again: tryAgain, wait: (isWaiting) => {
  // All that could be sent waits, and nothing that was typed is lost.
  panels.disabled = isWaiting;
} });
const panels = el("fieldset", { class: "ways", "aria-label": say("login.ways") });

/** The way that is open; the answer that was sent last, and what the server said to it. */
let open = null;
let last = null;
let refusal = null;
/** The key that the open way signs with, where it says so: what is shared is what its owner chose. */
let signer = "";
/** Whether the person did anything yet: then nothing moves under their hands. */
let touched = false;

/** The login, as the ways see it. @type {import("./ways.js").Login} */
const login = {
  service,
  pool,
  who,
  fingerprint: () => who.fingerprint(),
  challenge: async (fingerprint) => (await pool.current(fingerprint)).challenge,
  claims: (fingerprint) => shared.claims(fingerprint),
  signer(fingerprint) {
    signer = fingerprint;
    shared.person(signer || who.fingerprint());
  },
  extras: () => trouble.extras(),
  takeKey: (armored) => trouble.takeKey(armored),
  trouble(what) {
    // What did not come of the last answer is not mended by sending that once more.
    if (what !== refusal) last = null;
    trouble.show(what, last?.fingerprint ?? who.fingerprint());
  },
  answer,
};

/** Sends an answer. Leaves the page, or throws what the server refused. */
async function answer(given) {
  last = given;
  const { redirect } = settings;
  status.textContent = say("login.sending");
  try {
    const told = await post("verify", { ...trouble.extras(), ...given, redirect });
    who.succeeded(given.fingerprint, open?.way.id);
    shared.succeeded(given.fingerprint);
    leave(told?.redirect);
  } catch (error) {
    status.textContent = "";
    refusal = error;
    if (!(error instanceof Refused)) throw error;
    // A code that is not good is looked at last of all.
    const isCode = error.code === "enrollment_closed" && trouble.extras().enrollment_code;
    if (SPENT.has(error.code) || isCode) pool.drop(given.nonce);
    throw error;
  }
}

/** Goes on to where the person came from: a place of this site. */
function leave(redirect) {
  const wanted = new URL(typeof redirect === "string" ? redirect : "/", location.origin);
  location.replace(wanted.origin === location.origin ? wanted : "/");
}

/** Sends the last answer once more where that can help; else a new one is needed. */
async function tryAgain() {
  trouble.clear();
  if (last && pool.lives(last.nonce)) {
    try {
      return await answer(last);
    } catch (error) {
      return login.trouble(error);
    }
  }
  if (!open) return panels.querySelector("button")?.focus();
  status.textContent = say("login.sign_again");
  if (open.way.again) open.way.again();
  else open.panel.querySelector("button, input, textarea")?.focus();
}

/** One way in the list: a heading that opens its panel. */
function entry(way) {
  const id = `way-${way.id}`;
  const panel = el("div", { id, class: "way-panel", role: "region", "aria-labelledby": `${id}-title`, hidden: true });
  const button = el("button", {
    type: "button", id: `${id}-title`, class: "way-title", "aria-expanded": "false", "aria-controls": id,
    onclick: () => {
      touched = true;
      if (open?.way === way) shut();
      else choose(it);
    },
  }, el("span", {}, way.title));
  const it = { way, panel, button, element: el("section", { class: "way" }, el("h2", {}, button), panel) };
  return it;
}

function shut() {
  if (!open) return;
  open.way.close?.();
  login.signer("");
  open.button.setAttribute("aria-expanded", "false");
  show(open.panel, false);
  open = null;
}

function choose(it) {
  shut();
  trouble.clear();
  open = it;
  it.button.setAttribute("aria-expanded", "true");
  show(it.panel, true);
  // Connected before it is filled: who looks at itself finds itself on the page.
  it.panel.replaceChildren();
  it.panel.append(it.way.open(login));
}

/** Shows the ways that are there, in their order. @returns {Promise<object[]>} those that are new */
async function look(entries) {
  const there = await Promise.all(ways.map((way) => way.isThere(login).catch(() => false)));
  const added = [];
  for (const [place, way] of ways.entries()) {
    if (!there[place] || entries[place]) continue;
    entries[place] = entry(way);
    added.push(entries[place]);
    const next = entries.slice(place + 1).find(Boolean);
    panels.insertBefore(entries[place].element, next?.element ?? null);
  }
  show(here, entries.some((it) => it?.way.id === "browser"));
  return added;
}

async function start() {
  const entries = ways.map(() => null);
  const there = await look(entries);
  const before = recall("way");
  choose(there.find(({ way }) => way.id === before) ?? there[0]);
  const again = async () => {
    const [first] = await look(entries);
    if (first && !touched && first === entries.find(Boolean) && !before) choose(first);
  };
  for (const time of LOOK_AGAIN) setTimeout(again, time);
  addEventListener("capauth:extension:ready", () => setTimeout(again));
}

/** Leads to the place where a key is made in this browser. */
const here = el("button", { type: "button", hidden: true, onclick: () => {
  const button = at("way-browser-title");
  if (button?.getAttribute("aria-expanded") === "false") button.click();
  button?.focus();
  button?.scrollIntoView({ block: "nearest" });
} }, say("login.first_here"));

/** For whoever has no key yet. */
function firstTime() {
  const make = 'gpg --quick-generate-key "Your Name"';
  const enrolment = {
    open: () => say_with("login.first_open", { service }),
    approval: () => say_with("login.first_approval", { service }),
    closed: () => say_with("login.first_closed", { service }),
  }[settings.enrollment];
  return el("details", { id: "first", class: "first", open: who.fingerprint() === "" },
    el("summary", {}, say("login.first_title")),
    el("p", {}, say("login.first_what")),
    enrolment ? el("p", {}, enrolment()) : null,
    el("h3", {}, say("login.first_ways")),
    el("div", { class: "row" }, here),
    el("p", { class: "hint" }, say("login.first_gpg")),
    el("div", { class: "command" }, el("code", { translate: "no" }, make), copyButton(() => make)));
}

function draw() {
  const app = at("app");
  app.replaceChildren(
    el("header", { class: "asks" },
      el("img", { src: new URL("icon.svg", import.meta.url).href, alt: "", width: 44, height: 44 }),
      el("h1", {}, say_with("login.title", { service })),
      el("p", { class: "quiet" }, say("login.asks"), " ", el("strong", { class: "origin", translate: "no" }, location.origin))),
    el("div", { class: "sheet" }, shared.element, trouble.element, panels, who.memory, status),
    firstTime());
  shared.person(who.fingerprint());
  shared.changed = () => open?.way.changed?.();
  who.forgotten = () => shared.forget();
  who.changed = () => {
    shared.person(signer || who.fingerprint());
    // Whoever has a fingerprint has a key.
    if (who.fingerprint()) at("first").open = false;
    open?.way.changed?.();
  };
  for (const kind of ["pointerdown", "keydown"]) app.addEventListener(kind, () => { touched = true; });
  takeOver(at("plain"));
  show(app);
  // Without cookies the server cannot know who signed in a moment ago: the login would begin anew without a word.
  if (!navigator.cookieEnabled) login.trouble(say("login.no_cookies"));
}

/** What somebody typed into the page without JavaScript, while this script was on its way, stays theirs. */
function takeOver(plain) {
  const typed = (name) => plain?.querySelector(`[name="${name}"]`)?.value.trim() ?? "";
  const [name, key, code] = ["fingerprint", "public_key", "enrollment_code"].map(typed);
  plain?.remove();
  if (name) who.typed(name);
  if (key) trouble.takeKey(key);
  if (code) trouble.takeCode(code);
}

draw();
start();
