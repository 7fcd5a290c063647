// Letting keys in: with a one-time code for somebody, or by their public key.

import { ask } from "./admin_api.js";
import { groupsField } from "./admin_groups.js";
import { copyButton, keyLink, labelled, names, perform, sheet, time, troubleSlot } from "./admin_parts.js";
import { el, settings } from "./dom.js";
import { say } from "./words.js";

const HOUR = 3600;
const DAY = 24 * HOUR;

/** For how long a code may be used: up to ninety days. */
const TIMES = [
  [HOUR, say("admin.code.hour")],
  [DAY, say("admin.code.day")],
  [7 * DAY, say("admin.code.week")],
  [30 * DAY, say("admin.code.month")],
  [90 * DAY, say("admin.code.most")],
];

/** @param {import("./admin.js").Place} place */
export function enrolment() {
  const mode = settings.enrollment === "open" && el("p", { class: "note" }, say("admin.enrolment.is_open"));
  return el("div", {},
    el("h1", { tabindex: -1 }, say("admin.enrolment")), mode,
    el("div", { class: "columns" }, sheet(say("admin.code"), code()), sheet(say("admin.enrol"), publicKey())));
}

function code() {
  const [trouble, shown] = [troubleSlot(), el("div", { tabindex: -1 })];
  const list = groupsField([]);
  const until = el("select", { name: "expires_in" },
    TIMES.map(([seconds, words]) => el("option", { value: seconds, selected: seconds === 7 * DAY }, words)));
  const button = el("button", { class: "lead" }, say("admin.code.make"));
  const form = el("form", { "data-draft": "code" },
    el("p", { class: "quiet" }, say("admin.code.what")), list.element, labelled(say("admin.code.until"), until),
    trouble, el("div", { class: "row" }, button));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const groups = list.value();
    if (!groups) return;
    shown.replaceChildren();
    const work = async () => {
      const made = await ask("POST", "enrollment-codes", { groups, expires_in: Number(until.value) });
      shown.replaceChildren(...result(made));
    };
    if (await perform({ button, trouble, work, done: say("admin.code.made") })) shown.focus();
  });
  return [form, shown];
}

function result({ enrollment_code: text, expires_at: until, groups }) {
  return [el("div", { class: "note" },
    el("p", {}, say("admin.code.once")),
    el("p", {}, el("code", { class: "code" }, text), " ", copyButton(text, say("admin.code.copy"))),
    el("p", {}, say("admin.code.good_until"), " ", time(until)),
    groups.length > 0 && el("p", {}, say("admin.code.grants"), " ", names(groups)))];
}

function publicKey() {
  const [trouble, shown] = [troubleSlot(), el("div", { tabindex: -1 })];
  const field = el("textarea", { name: "public_key", class: "mono", rows: 8, spellcheck: "false", autocomplete: "off",
    placeholder: "-----BEGIN PGP PUBLIC KEY BLOCK-----" });
  const button = el("button", { class: "lead" }, say("admin.enrol.do"));
  const form = el("form", { "data-draft": "enrol" },
    el("p", { class: "quiet" }, say("admin.enrol.what")),
    labelled(say("admin.enrol.key"), field, say("admin.enrol.hint")), trouble, el("div", { class: "row" }, button));
  const refuse = (words) => {
    trouble.textContent = words;
    field.focus();
  };
  // A secret key goes nowhere, not even to the server that would refuse it.
  field.addEventListener("input", () => {
    if (!/PRIVATE KEY BLOCK/i.test(field.value)) return;
    field.value = "";
    refuse(say("admin.enrol.secret"));
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const text = field.value.trim();
    shown.replaceChildren();
    if (!text) return refuse(say("admin.enrol.empty"));
    const work = async () => {
      const { fingerprint } = await ask("POST", "keys/enroll", { public_key: text });
      shown.replaceChildren(el("p", { class: "note" }, say("admin.enrol.in"), " ", keyLink(fingerprint)));
    };
    const refusals = { conflict: say("admin.enrol.known") };
    if (!(await perform({ button, trouble, work, done: say("admin.enrol.done"), refusals }))) return;
    field.value = "";
    shown.focus();
  });
  return [form, shown];
}
