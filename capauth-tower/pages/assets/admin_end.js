// What ends something: sessions, a link, a key, an identity. Whatever cannot be undone is asked for first.

import { ask } from "./admin_api.js";
import { announceThere } from "./admin_news.js";
import { confirmed, fingerprint, perform, troubleSlot } from "./admin_parts.js";
import { el, settings } from "./dom.js";
import { say, say_with } from "./words.js";

/** A button that asks before it does something. */
function asks({ words, what, question, work, done, then, bad = false }) {
  const trouble = troubleSlot();
  const button = el("button", { type: "button", class: bad ? "bad" : null }, words);
  button.addEventListener("click", async () => {
    if (!(await confirmed(question))) return;
    if (await perform({ button, trouble, work, done })) await then();
  });
  return el("div", { class: "act" }, el("p", { class: "quiet" }, what), el("p", {}, button), trouble);
}

const isOwn = (entry) => entry.fingerprint === settings.key;

/** Ends every session and token of the identity. */
export function endSessions({ entry, reload }) {
  return asks({
    words: say("admin.sessions.end"),
    what: say("admin.sessions.what"),
    question: {
      title: say("admin.sessions.sure"),
      words: [say("admin.sessions.what"), isOwn(entry) ? say("admin.sessions.own") : ""].filter(Boolean),
      action: say("admin.sessions.end"),
    },
    work: () => ask("DELETE", `keys/${entry.fingerprint}/sessions`),
    done: say("admin.sessions.ended"),
    then: () => reload("sessions"),
  });
}

/** Takes a linked key out of the identity. */
export function unlink({ reload }, other, words) {
  return asks({
    words,
    what: say("admin.unlink.what"),
    question: {
      title: say("admin.unlink.sure"),
      words: [fingerprint(other.fingerprint), say("admin.unlink.what")],
      action: say("admin.unlink.do"),
    },
    work: () => ask("POST", "unlink",
      { primary_fingerprint: other.linked_to, secondary_fingerprint: other.fingerprint }),
    done: say("admin.unlink.done"),
    then: () => reload("keys"),
  });
}

/** Revokes a key, for good. */
export function revoke({ entry, beside, reload }) {
  const ends = beside.some((other) => other.linked_to === entry.fingerprint);
  return asks({
    words: say("admin.revoke"),
    what: say("admin.revoke.what"),
    question: {
      title: say("admin.revoke.sure"),
      words: [fingerprint(entry.fingerprint), say("admin.revoke.what"),
        ends ? say("admin.revoke.linked") : "", isOwn(entry) ? say("admin.key.own") : ""].filter(Boolean),
      action: say("admin.revoke"),
    },
    work: () => ask("POST", "keys/revoke", { fingerprint: entry.fingerprint }),
    done: say("admin.revoke.done"),
    then: () => reload("state"),
    bad: true,
  });
}

/** How many digits of a fingerprint are typed: keys that end alike in eight of them are made in minutes. */
const DIGITS = 16;

/** Erases a linked key, or else the whole identity, once the end of its fingerprint was typed. */
export function erase({ entry, leave }) {
  const done = say_with("admin.erase.done", { digits: entry.fingerprint.slice(-DIGITS) });
  const what = entry.linked_to ? say("admin.erase.what_linked") : say("admin.erase.what");
  return asks({
    words: say("admin.erase"),
    what,
    question: {
      title: say("admin.erase.sure"),
      words: [fingerprint(entry.fingerprint), what, isOwn(entry) ? say("admin.key.own") : ""].filter(Boolean),
      action: say("admin.erase.do"),
      typed: {
        label: say("admin.erase.type"),
        expected: entry.fingerprint.slice(-DIGITS),
        wrong: say("admin.erase.wrong"),
      },
    },
    work: () => ask("POST", "keys/erase", { fingerprint: entry.fingerprint }),
    done,
    then: () => {
      announceThere(done);
      leave("#/keys");
    },
    bad: true,
  });
}
