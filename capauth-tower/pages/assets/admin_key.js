// One key, the identity that it signs for, and what can be done about both.

import { keysBeside } from "./admin_api.js";
import { bringBack } from "./admin_again.js";
import { approval, email, groups, userName, waitingKey } from "./admin_change.js";
import { endSessions, erase, revoke, unlink } from "./admin_end.js";
import { copyButton, fingerprint, keyLink, load, marks, names, sheet, time } from "./admin_parts.js";
import { el, settings } from "./dom.js";
import { say, say_with } from "./words.js";

/**
 * A key as the parts below see it.
 * @typedef {object} Shown
 * @property {object} entry what the server says of it
 * @property {object[]} beside every key of its identity, itself too
 * @property {(focus?: string) => Promise<void>} reload shows it anew after a change, with the focus on a section
 * @property {(hash: string) => void} leave goes elsewhere: it is not there any more
 */

/** @param {import("./admin.js").Place} place */
export function key(place) {
  const text = place.name.toUpperCase();
  const body = el("div", { class: "one" });
  const shown = { entry: null, beside: [], leave: (hash) => { location.hash = hash; } };
  shown.reload = async (focus) => {
    const there = await load(body, place.signal, async () => {
      if (!/^([0-9A-F]{40}|[0-9A-F]{64})$/.test(text)) return unknown();
      shown.beside = await keysBeside(text, { signal: place.signal });
      shown.entry = shown.beside.find((entry) => entry.fingerprint === text);
      return shown.entry ? everything(shown) : unknown();
    });
    if (!there) return;
    if (focus) body.querySelector(`[data-part="${focus}"] h2`)?.focus();
    else bringBack();
  };
  shown.reload();
  return el("div", {},
    el("p", {}, el("a", { href: "#/keys" }, say("admin.key.back"))),
    el("h1", { tabindex: -1 }, say("admin.key")),
    el("p", { class: "title" }, fingerprint(text), " ", copyButton(text, say("admin.copy_this"))),
    body);
}

function unknown() {
  return [el("p", { class: "note" }, say("admin.key.unknown"))];
}

/** A section by a name of its own, so that the focus finds it when all is shown anew. */
function part(name, section) {
  section.dataset.part = name;
  return section;
}

function everything(shown) {
  const { entry } = shown;
  const isGone = Boolean(entry.revoked_at || entry.replaced_at);
  const about = [
    part("state", sheet(say("admin.key.state"), standing(entry), approval(shown), waitingKey(shown))),
    part("facts", sheet(say("admin.key.facts"), facts(entry))),
    part("keys", sheet(say("admin.key.keys"), siblings(shown))),
  ];
  const grants = [
    part("groups", sheet(say("admin.groups"), groups(shown))),
    part("name", sheet(say("admin.name"), userName(shown))),
    part("email", sheet(say("admin.email"), email(shown))),
  ];
  const ends = [
    part("sessions", sheet(say("admin.sessions"), endSessions(shown))),
    part("end", sheet(say("admin.end"), !isGone && revoke(shown), erase(shown))),
  ];
  return Object.entries({ about, grants, ends }).map(([name, sheets]) => el("div", { class: name }, sheets));
}

/** What a key may do now, in a sentence. */
function standing(entry) {
  const own = entry.fingerprint === settings.key && el("p", { class: "note" }, say("admin.key.own"));
  return [el("p", {}, marks(entry)), el("p", {}, meaning(entry)), own];
}

function meaning(entry) {
  if (entry.revoked_at) return [say("admin.means.revoked"), " ", time(entry.revoked_at)];
  if (entry.replaced_at) return [say("admin.means.replaced"), " ", time(entry.replaced_at)];
  if (entry.suspended) return say("admin.means.suspended");
  if (!entry.approved) return say("admin.means.pending");
  return entry.linked_to ? say("admin.means.linked") : say("admin.means.approved");
}

function facts(entry) {
  const rows = [
    [say("admin.enrolled"), time(entry.enrolled_at)],
    [say("admin.last_login"), time(entry.last_auth)],
    [say("admin.name"), entry.user_name ?? el("span", { class: "quiet" }, say("admin.name.none"))],
    [say("admin.groups"), names(entry.groups)],
    entry.linked_to && [say("admin.key.linked_to"), keyLink(entry.linked_to)],
    entry.sub && [say("admin.key.sub"), fingerprint(entry.sub)],
  ];
  const lines = rows.filter(Boolean).map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]);
  return el("dl", { class: "details" }, lines);
}

/** The other keys of the identity. A linked one can be unlinked. */
function siblings(shown) {
  const { entry, beside } = shown;
  const others = beside.filter((other) => other.fingerprint !== entry.fingerprint);
  const linked = beside.filter((other) => other.linked_to);
  if (!others.length) return el("p", { class: "quiet" }, say("admin.key.alone"));
  const items = others.map((other) => el("li", {}, keyLink(other.fingerprint), marks(other)));
  return [
    el("p", { class: "quiet" }, say("admin.key.together")),
    el("ul", { class: "plain" }, items),
    linked.map((other) => unlink(shown, other, say_with("admin.unlink", { digits: other.fingerprint.slice(-8) }))),
  ];
}
