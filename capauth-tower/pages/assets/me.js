// The page of a person's own: who they are here, their keys, their sessions.

import "./words_me.js";
import { get } from "./api.js";
import { at, el } from "./dom.js";
import { keys } from "./me_keys.js";
import { API, fingerprint, login, section, trouble } from "./me_parts.js";
import { sessions } from "./me_sessions.js";
import { say } from "./words.js";

const app = at("own");

/** Nobody is signed in any longer: the page says so, why, and where to go. */
function signedOut(why) {
  const { heading, element } = section(say("me.out"), el("p", {}, why),
    el("a", { class: "button lead", href: login() }, say("me.again")));
  app.replaceChildren(element);
  document.querySelector("header.bar .row")?.remove();
  heading.focus();
}

/** What identity the person has, in the words under which applications know it. */
function who({ user_name, sub, fingerprint: signed, groups }) {
  const entry = (name, ...value) => el("div", {}, el("dt", {}, name), el("dd", {}, value));
  return section(say("me.who"), el("dl", { class: "who-here" },
    entry(say("me.who.name"), user_name),
    entry(say("me.who.groups"), groups.length ? groups.join(", ") : say("me.who.no_groups")),
    entry(say("me.who.sub"), fingerprint(sub)),
    signed === sub ? null : entry(say("me.who.key"), fingerprint(signed))),
  el("p", { class: "hint" }, say("me.who.hint"))).element;
}

/** What this browser keeps is looked after where people sign in. */
function browser() {
  return section(say("me.browser"), el("p", {}, say("me.browser.what")),
    el("a", { class: "button", href: login() }, say("me.browser.go"))).element;
}

async function start() {
  try {
    const [identity, list] = await Promise.all([get(`${API}/identity`), get(`${API}/sessions`)]);
    const { element, refresh } = sessions(list, signedOut);
    app.replaceChildren(who(identity), keys(identity, { changed: refresh, signedOut }), element, browser());
  } catch (error) {
    if (error.code === "invalid_token") return signedOut(say("me.out.ended"));
    const { line, tell } = trouble();
    const again = el("button", { type: "button", onclick: start }, say("me.try_again"));
    app.replaceChildren(line, el("div", { class: "row" }, again));
    tell(error.message);
  }
}

start();
