// The view that looks after a key: what it is, copies of it, and its end here.

import { day, download, fileName, grouped, heading, link } from "./browser_key_parts.js";
import { el, show } from "./dom.js";
import { forgetKey, listKeys, lockKey, publicKey } from "./keys.js";
import { say, say_with } from "./words.js";

/** @param {import("./browser_key.js").Panel} panel */
export function careView(panel) {
  let key = null;
  const title = heading("");
  const facts = el("dl", { class: "key-facts" });
  const act = (words, work, attributes = {}) =>
    el("button", {
      type: "button", class: "wide", ...attributes, onclick: () => work().catch((trouble) => panel.login.trouble(trouble)),
    }, words);
  const lockButton = act(say("browser.lock"), async () => {
    await lockKey(key);
    await renew();
    panel.tell(say("browser.locked"));
    title.focus();
  });
  const question = el("p", { id: "browser-delete-question" });
  const sure = act(say("browser.delete_sure"), async () => {
    const { label } = key;
    await forgetKey(key);
    await panel.refresh({ focus: true });
    panel.tell(say_with("browser.deleted", { name: label || say("browser.unnamed") }));
  }, { class: "bad", "aria-describedby": "browser-delete-question" });
  const keepIt = el("button", { type: "button", onclick: () => ask(false) }, say("browser.delete_not"));
  const asks = el("div", { class: "trouble", role: "group", "aria-label": say("browser.delete") },
    question, el("div", { class: "row" }, sure, keepIt));
  const remove = el("button", { type: "button", class: "bad wide", "aria-expanded": "false", onclick: () => ask(true) },
    say("browser.delete"));
  const element = el("div", {}, title, facts,
    el("div", { class: "stack" },
      el("button", { type: "button", class: "wide", onclick: () => panel.go("save", { key }) }, say("browser.save")),
      act(say("browser.save_public"), async () => {
        download(fileName(key.fingerprint, "public"), (await publicKey(key)).armored);
      }),
      lockButton, remove, asks),
    el("p", { class: "links" }, link(say("browser.back"), () => panel.refresh({ key, focus: true }))));

  function ask(isAsked) {
    show(asks, isAsked);
    remove.setAttribute("aria-expanded", String(isAsked));
    (isAsked ? sure : remove).focus();
  }

  async function renew() {
    panel.keys = await listKeys();
    key = panel.keys.find(({ fingerprint }) => fingerprint === key.fingerprint) ?? key;
    draw();
  }

  function draw() {
    const row = (name, value) => el("div", {}, el("dt", {}, name), el("dd", {}, value));
    title.textContent = key.label || say("browser.unnamed");
    facts.replaceChildren(
      row(say("browser.fingerprint"), el("span", { class: "mono", translate: "no" }, grouped(key.fingerprint))),
      row(say("browser.since"), day(key.created)),
      row(say("browser.ends"), key.expires ? day(key.expires) : say("browser.never")));
    show(lockButton, key.unlocked > 0);
    question.textContent = key.saved ? say("browser.delete_question") : say("browser.delete_question_unsaved");
  }

  return {
    element,
    enter({ key: wanted }) {
      key = wanted ?? key;
      show(asks, false);
      remove.setAttribute("aria-expanded", "false");
      draw();
      title.focus();
    },
  };
}
