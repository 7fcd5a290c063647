// What was done, by whom, to whom: the newest first.

import { ask, withQuery } from "./admin_api.js";
import { keyLink, load, time } from "./admin_parts.js";
import { grid } from "./admin_table.js";
import { el } from "./dom.js";
import { say, say_with } from "./words.js";

/** Lines on a page. */
const PAGE = 50;

/** Words for what the log says. */
const WHAT = {
  enrolled: say("admin.did.enrolled"),
  approved: say("admin.did.approved"),
  revoked: say("admin.did.revoked"),
  revoked_itself: say("admin.did.revoked_itself"),
  suspended: say("admin.did.suspended"),
  erased: say("admin.did.erased"),
  groups: say("admin.did.groups"),
  user_name: say("admin.did.user_name"),
  rotated: say("admin.did.rotated"),
  rotation_waits: say("admin.did.rotation_waits"),
  rotation_cancelled: say("admin.did.rotation_cancelled"),
  linked: say("admin.did.linked"),
  unlinked: say("admin.did.unlinked"),
  email_confirmed: say("admin.did.email_confirmed"),
  email_withdrawn: say("admin.did.email_withdrawn"),
  code_made: say("admin.did.code_made"),
  ended_all: say("admin.did.ended_all"),
  token_ended: say("admin.did.token_ended"),
  refresh_reused: say("admin.did.refresh_reused"),
  restored: say("admin.did.restored"),
};

const WHO = {
  administrator: say("admin.who.administrator"),
  shell: say("admin.who.shell"),
  server: say("admin.who.server"),
};

/** @param {import("./admin.js").Place} place */
export function audit({ query, signal }) {
  const before = query.get("before") ?? "";
  const lines = el("div", { class: "results" });
  const newer = el("a", { class: "button", href: "#/audit", hidden: !before }, say("admin.audit.newest"));
  const older = el("a", { class: "button", hidden: true }, say("admin.audit.older"));
  load(lines, signal, async () => {
    const path = withQuery("audit", { newest_first: "true", after: before, limit: PAGE });
    const { entries, cursor } = await ask("GET", path, undefined, { signal });
    // Whether there is anything before a full page shows when one looks.
    older.hidden = entries.length < PAGE;
    older.setAttribute("href", `#/${withQuery("audit", { before: cursor })}`);
    if (entries.length) return [table(entries)];
    return [el("p", {}, before ? say("admin.audit.end") : say("admin.audit.none"))];
  });
  return el("div", {},
    el("h1", { tabindex: -1 }, say("admin.audit")),
    el("p", { class: "quiet" }, say("admin.audit.what")),
    lines, el("nav", { class: "row", "aria-label": say("admin.audit.pages") }, newer, older));
}

function table(entries) {
  const networks = entries.some((entry) => entry.network);
  const heads = [say("admin.audit.when"), say("admin.audit.who"), say("admin.audit.did"), say("admin.audit.whom"),
    ...(networks ? [say("admin.audit.network")] : [])];
  return grid(say("admin.audit"), heads, entries.map(({ at, who, what, subject, network }) => [
    time(at),
    person(who),
    Object.hasOwn(WHAT, what) ? WHAT[what] : what,
    subject ? person(subject) : el("span", { class: "quiet" }, "–"),
    ...(networks ? [network ?? ""] : []),
  ]));
}

/** Who did something, or to whom it was done: an identity leads to its key. */
function person(name) {
  if (Object.hasOwn(WHO, name)) return WHO[name];
  if (/^([0-9A-F]{40}|[0-9A-F]{64})$/.test(name)) return keyLink(name);
  if (!name.startsWith("gone:")) return name;
  return el("span", { class: "quiet", title: name }, say_with("admin.who.gone", { name: name.slice(5, 13) }));
}
