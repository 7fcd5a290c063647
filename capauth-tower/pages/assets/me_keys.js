// The keys of the person's identity: what each of them is, and what can be done about it.

import { get } from "./api.js";
import { el } from "./dom.js";
import { API, day, fingerprint, minute, news, section, sentence, trouble, unique } from "./me_parts.js";
import { say } from "./words.js";

/**
 * The part of the page about keys. `changed()` when something was done, `signedOut(why)` when nobody is signed in any longer.
 */
export function keys(identity, { changed, signedOut }) {
  const [list, told] = [el("ul", { class: "items" }), news()];
  const { heading, element } = section(say("me.keys"), el("p", { class: "quiet" }, say("me.keys.look")), told.line, list);
  const draw = (known) => list.replaceChildren(...ordered(known.keys).map((key) => item(key, known, done)));

  /** Something was done: the list as it is now, and what it was. */
  async function done(what) {
    told.tell(what);
    try {
      draw(await get(`${API}/identity`));
      heading.focus();
      await changed();
    } catch (error) {
      if (error.code === "invalid_token") signedOut(what);
      else told.tell(`${what} ${error.message}`);
    }
  }
  // What was done with one key would be read as what is done with the next.
  list.addEventListener("click", () => told.tell(""));
  draw(identity);
  return element;
}

/** Keys that sign come first, the primary one before the others; those of the past come last. */
function ordered(all) {
  const rank = (key) => (key.replaced_at ? 3 : key.revoked_at ? 2 : key.linked_to ? 1 : 0);
  return [...all].sort((a, b) => rank(a) - rank(b) || b.enrolled_at.localeCompare(a.enrolled_at));
}

function item(key, identity, done) {
  const past = key.revoked_at || key.replaced_at;
  const id = unique("key");
  const kind = key.replaced_at ? say("me.key.former") : key.linked_to ? say("me.key.linked") : say("me.key.primary");
  const [tasks, place] = [el("div", { class: "row" }), el("div", { class: "task", id: `${id}-task` })];
  const open = opener(place, done, id);
  if (!past) {
    if (key.linked_to) tasks.append(open(say("me.unlink"), key, "unlinking"));
    else if (!key.replaced_soon) tasks.append(open(say("me.replace"), key, "replacing"));
    tasks.append(open(say("me.revoke"), key, "revoking", "bad"));
  }
  return el("li", { class: past ? "past" : null, "aria-labelledby": id },
    el("h3", { id }, kind, " ", key.fingerprint === identity.fingerprint && el("span", { class: "tag" }, say("me.key.this"))),
    fingerprint(key.fingerprint),
    history(key),
    key.replaced_soon && !past && waiting(key, open),
    tasks.hasChildNodes() ? tasks : null,
    place);
}

/** What became of a key, in words. */
function history({ enrolled_at, last_auth, revoked_at, replaced_at }) {
  const since = sentence(say("me.key.since"), { day: day(enrolled_at) });
  const used = last_auth && sentence(say("me.key.used"), { day: day(last_auth) });
  const end = revoked_at ? sentence(say("me.key.revoked"), { day: day(revoked_at) })
    : replaced_at ? sentence(say("me.key.replaced"), { day: day(replaced_at) }) : null;
  return [end && el("p", { class: "end" }, end), el("p", { class: "quiet" }, since, used && [" ", ...used])];
}

/** Somebody wants another key in this one's place: whoever did not ask for that has to hear it first. */
function waiting(key, open) {
  const { fingerprint: fresh, effective_at } = key.replaced_soon;
  return el("div", { class: "warning" },
    el("p", {}, sentence(say("me.key.waiting"), { minute: minute(effective_at) }), " ", fingerprint(fresh)),
    el("p", {}, say("me.key.waiting.what")),
    el("div", { class: "row" }, open(say("me.cancel"), key, "cancelling")));
}

/** Makes buttons that open panels in the same place, one at a time: those of `me_tasks.js`, which is loaded for the first. */
function opener(place, done, owner) {
  let opened = null;
  function close() {
    opened?.panel?.close?.();
    opened?.button.setAttribute("aria-expanded", "false");
    place.replaceChildren();
    opened = null;
  }
  // What was done tells how it is now: the panel has served.
  const finished = async (what) => {
    close();
    await done(what);
  };
  async function open(button, label, key, task) {
    const again = opened?.button === button;
    close();
    if (again) return;
    const mine = opened = { button, panel: null };
    button.setAttribute("aria-expanded", "true");
    try {
      const tasks = await import("./me_tasks.js");
      if (opened !== mine) return;
      mine.panel = tasks[task](key, finished);
      const heading = el("h4", { tabindex: "-1" }, label);
      place.replaceChildren(heading, ...[mine.panel.element].flat().filter(Boolean));
      heading.focus();
    } catch {
      const wrong = trouble();
      place.replaceChildren(wrong.line);
      wrong.tell(say("login.part_missing"));
    }
  }
  return (label, key, task, look = null) => {
    const button = el("button", {
      type: "button", class: look, "aria-expanded": "false", "aria-controls": place.id, "aria-describedby": owner,
      onclick: () => open(button, label, key, task),
    }, label);
    return button;
  };
}
