// How things stand: who waits, how many there are, what the configuration leaves open.

import { call } from "./api.js";
import { ask } from "./admin_api.js";
import { fingerprint, keyLink, load, number, sheet, time } from "./admin_parts.js";
import { el, settings } from "./dom.js";
import { say, say_with } from "./words.js";

/** Waiting keys that are shown here, and up to how many are counted. */
const SHOWN = 5;
const COUNTED = 20;

const MODES = {
  open: say("admin.mode.open"),
  approval: say("admin.mode.approval"),
  closed: say("admin.mode.closed"),
};

/** @param {import("./admin.js").Place} place */
export function overview({ signal }) {
  const [waiting, figures] = [el("div"), el("div")];
  load(waiting, signal, () => whoWaits(signal));
  load(figures, signal, () => howMany(signal));
  return el("div", {},
    el("h1", { tabindex: -1 }, say("admin.overview")),
    el("div", { class: "columns" },
      sheet(say("admin.waiting"), waiting),
      sheet(say("admin.figures"), figures),
      sheet(say("admin.open"), openEnds()),
      settings.key && sheet(say("admin.you"),
        el("p", {}, el("a", { href: `#/keys/${settings.key}`, class: "key" }, fingerprint(settings.key))),
        el("p", { class: "quiet" }, say("admin.you.how_long")),
        el("p", {}, el("a", { class: "button", href: "me" }, say("admin.you.own"))))));
}

async function whoWaits(signal) {
  const waiting = await ask("GET", `keys?pending_only=true&limit=${COUNTED + 1}`, undefined, { signal });
  if (!waiting.length) return [el("p", {}, say("admin.waiting.none"))];
  const rows = waiting.slice(0, SHOWN).map((entry) =>
    el("li", {}, keyLink(entry.fingerprint), " ", el("small", {}, say("admin.since"), " ", time(entry.enrolled_at))));
  return [el("p", {}, howManyWait(waiting.length)), el("ul", { class: "plain" }, rows),
    el("p", {}, el("a", { class: "button", href: "#/keys?filter=pending" }, say("admin.waiting.all")))];
}

function howManyWait(count) {
  if (count === 1) return say("admin.waiting.one");
  if (count > COUNTED) return say_with("admin.waiting.more", { number: number(COUNTED) });
  return say_with("admin.waiting.many", { number: number(count) });
}

async function howMany(signal) {
  const { enrolled_keys: keys, healthy, version } = await call("GET", "v1/status", undefined, { signal });
  // Where membership is private the service says it to nobody.
  const rows = [
    [say("admin.figures.keys"), keys === undefined ? say("admin.figures.private") : number(keys)],
    [say("admin.figures.new"), MODES[settings.enrollment] ?? settings.enrollment],
    [say("admin.figures.version"), version],
  ];
  const facts = el("dl", { class: "details" }, rows.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
  return healthy ? [facts] : [facts, el("p", { class: "trouble" }, say("admin.figures.ill"))];
}

function openEnds() {
  if (!settings.notices.length) return el("p", {}, say("admin.open.none"));
  return el("ul", { class: "notices" }, settings.notices.map((notice) => el("li", {}, notice)));
}
