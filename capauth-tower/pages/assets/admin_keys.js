// All keys, a page at a time: never more than that is loaded, however many there are.

import { ask, withQuery } from "./admin_api.js";
import { copyButton, keyLink, labelled, load, marks, names, number, time } from "./admin_parts.js";
import { grid } from "./admin_table.js";
import { el } from "./dom.js";
import { say, say_with } from "./words.js";

/** Keys on a page. One more is asked for, to know whether there is another page. */
const PAGE = 50;

/** How long somebody who types is left alone, in milliseconds. */
const PAUSE = 250;

const FILTERS = [
  ["all", say("admin.keys.all")],
  ["pending", say("admin.keys.pending")],
  ["approved", say("admin.keys.approved")],
];

/** What is looked for, as the address says it. */
function wantedOf(query) {
  const [filter, by] = [query.get("filter") ?? "", query.get("by") ?? ""];
  return {
    filter: FILTERS.some(([name]) => name === filter) ? filter : "all",
    by: by === "name" ? "name" : "fingerprint",
    text: query.get("search") ?? "",
    after: query.get("after") ?? "",
  };
}

function addressOf({ filter, by, text, after }) {
  const plain = text.trim();
  return `#/${withQuery("keys", {
    filter: filter === "all" ? "" : filter,
    by: plain && by === "name" ? by : "",
    search: plain,
    after,
  })}`;
}

/** The first digits of a fingerprint as somebody typed them; `null` if they are none. */
function digits(text) {
  const plain = text.replaceAll(/[\s:]/g, "").replace(/^0x/i, "");
  return /^[0-9a-f]{0,64}$/i.test(plain) ? plain.toUpperCase() : null;
}

/** The keys that are wanted, and one more if there are more. */
async function find({ filter, by, text, after }, signal) {
  const fits = (entry) => filter === "all" || entry.approved === (filter === "approved");
  if (by === "name" && text.trim()) {
    // All keys of one identity: there are never many.
    const named = await ask("GET", withQuery("keys", { user_name: text.trim() }), undefined, { signal });
    return named.filter(fits);
  }
  const path = withQuery("keys", {
    prefix: digits(text) ?? "",
    after,
    approved_only: filter === "approved" ? "true" : "",
    pending_only: filter === "pending" ? "true" : "",
    limit: PAGE + 1,
  });
  return ask("GET", path, undefined, { signal });
}

/** @param {import("./admin.js").Place} place */
export function keys(place) {
  const wanted = wantedOf(place.query);
  const results = el("div", { class: "results", role: "region", "aria-label": say("admin.keys"), tabindex: -1 });
  const count = el("p", { class: "quiet", role: "status" });
  const before = el("button", { type: "button", "aria-disabled": "true" }, say("admin.previous"));
  const next = el("button", { type: "button", "aria-disabled": "true" }, say("admin.next"));
  const list = { wanted, results, count, before, next, place, looking: new AbortController() };
  before.addEventListener("click", () => turnBack(list));
  next.addEventListener("click", () => turn(list));
  place.signal.addEventListener("abort", () => list.looking.abort());
  look(list);
  return el("div", {},
    el("h1", { tabindex: -1 }, say("admin.keys")),
    searchForm(list), count, results,
    el("nav", { class: "row", "aria-label": say("admin.keys.pages") }, before, next));
}

function searchForm(list) {
  const { wanted } = list;
  const text = el("input", { type: "search", autocomplete: "off", autocapitalize: "none", spellcheck: "false",
    value: wanted.text });
  const by = el("select", {}, [["fingerprint", say("admin.keys.by_fingerprint")], ["name", say("admin.keys.by_name")]]
    .map(([value, words]) => el("option", { value, selected: wanted.by === value }, words)));
  const trouble = el("p", { class: "trouble", role: "alert" });
  let pause;
  const change = (wait) => {
    clearTimeout(pause);
    pause = setTimeout(() => {
      const ill = by.value === "fingerprint" && digits(text.value) === null;
      trouble.textContent = ill ? say("admin.keys.no_digits") : "";
      if (ill || list.place.signal.aborted) return;
      Object.assign(list.wanted, { text: text.value, by: by.value, after: "" });
      move(list, [], { replace: true });
    }, wait);
  };
  text.addEventListener("input", () => change(PAUSE));
  by.addEventListener("change", () => change(0));
  const filters = FILTERS.map(([value, words]) => el("label", {},
    el("input", { type: "radio", name: "filter", value, checked: wanted.filter === value,
      onchange: () => { wanted.filter = value; change(0); } }),
    el("span", {}, words)));
  const onsubmit = (event) => {
    event.preventDefault();
    change(0);
  };
  return el("form", { role: "search", class: "search", onsubmit },
    el("div", { class: "fields" },
      el("div", {}, labelled(say("admin.keys.by"), by)),
      el("div", { class: "wide" }, labelled(say("admin.keys.search"), text))),
    el("fieldset", { class: "filters" }, el("legend", {}, say("admin.keys.which")), filters), trouble);
}

/** Another address of the same list. `earlier` are the pages before it, by the key they come after. */
function move(list, earlier, { replace = false } = {}) {
  const set = replace ? "replaceState" : "pushState";
  history[set]({ earlier }, "", addressOf(list.wanted));
  return look(list);
}

const earlierPages = () => history.state?.earlier ?? [];

/** On to the next page. */
async function turn(list) {
  if (list.next.getAttribute("aria-disabled") === "true") return;
  const earlier = [...earlierPages(), list.wanted.after];
  list.wanted.after = list.last;
  begin(list, await move(list, earlier));
}

/** Back to the page before; to the first, where nobody knows which that was. */
async function turnBack(list) {
  if (list.before.getAttribute("aria-disabled") === "true") return;
  const earlier = [...earlierPages()];
  list.wanted.after = earlier.pop() ?? "";
  begin(list, await move(list, earlier));
}

/** Whoever turned the page goes on at its beginning. */
function begin({ results }, isThere) {
  if (!isThere) return;
  results.focus({ preventScroll: true });
  results.scrollIntoView({ block: "start" });
}

/** Loads the page that is wanted. What was asked before is given up: a late answer changes nothing. */
async function look(list) {
  list.looking.abort();
  const looking = new AbortController();
  list.looking = looking;
  if (list.place.signal.aborted) return false;
  const off = (button, is) => button.setAttribute("aria-disabled", String(is));
  off(list.next, true);
  return load(list.results, looking.signal, async () => {
    const found = await find(list.wanted, looking.signal);
    const byName = list.wanted.by === "name" && list.wanted.text.trim();
    const page = byName ? found : found.slice(0, PAGE);
    if (looking.signal.aborted) return [];
    list.last = page.at(-1)?.fingerprint;
    off(list.next, found.length === page.length);
    off(list.before, !list.wanted.after);
    list.count.textContent = told(page, found.length > page.length || Boolean(list.wanted.after));
    return page.length ? [table(page)] : [];
  });
}

/** How many keys are shown, in words. */
function told(page, isPart) {
  if (!page.length) return say("admin.keys.none");
  if (isPart) return say_with("admin.keys.part", { number: number(page.length) });
  return page.length === 1 ? say("admin.keys.one") : say_with("admin.keys.many", { number: number(page.length) });
}

function table(page) {
  const heads = [say("admin.fingerprint"), say("admin.state"), say("admin.name"), say("admin.groups"),
    say("admin.enrolled"), say("admin.last_login")];
  return grid(say("admin.keys"), heads, page.map((entry) => [
    [keyLink(entry.fingerprint), copyButton(entry.fingerprint, say_with("admin.copy_key", entry))],
    marks(entry),
    entry.user_name ?? el("span", { class: "quiet" }, "–"),
    names(entry.groups),
    time(entry.enrolled_at),
    time(entry.last_auth),
  ]));
}
