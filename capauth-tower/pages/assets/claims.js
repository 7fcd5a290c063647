// What the person shares with a service: chosen for each of their keys and each service anew, and kept in this browser where
// they wish to be remembered.

import { el, show } from "./dom.js";
import { keep, recall } from "./store.js";
import { readFingerprint } from "./who.js";
import { say, say_with } from "./words.js";

/** What may be shared, and how it is typed. The words for each are `claim.…`. */
const KNOWN = {
  name: { autocomplete: "name", maxlength: 100 },
  email: { type: "email", autocomplete: "email", maxlength: 254 },
  avatar_url: { type: "url", autocomplete: "photo", maxlength: 500, pattern: "https?://.*", placeholder: "https://" },
  locale: { autocomplete: "language", maxlength: 35 },
  zoneinfo: { autocomplete: "off", maxlength: 64 },
};

/** What the browser itself knows: a suggestion, shared as little as the rest. */
function suggestions() {
  return { locale: navigator.language ?? "", zoneinfo: Intl.DateTimeFormat().resolvedOptions().timeZone ?? "" };
}

const texts = (values) =>
  Object.fromEntries(Object.entries(values ?? {}).filter(([, value]) => typeof value === "string"));

/** A single line of text that every reader takes for the same. */
function plainLine(text) {
  const whole = text.toWellFormed?.() ?? text;
  return whole.replace(/\p{Cc}/gu, " ").trim();
}

/**
 * What is kept, by fingerprint: `values` as they were typed, and `shared`, the names of what goes to each service. Whoever
 * is not to be remembered is not in here.
 */
function keptPeople() {
  const all = Object.entries(recall("claims") ?? {});
  return Object.fromEntries(all.filter(([name, one]) => name && readFingerprint(name) === name && one && typeof one === "object"));
}

function keepPeople(people) {
  keep("claims", Object.keys(people).length ? people : null);
}

/** Forgets of everybody what they share. */
export const forgetShared = () => keep("claims", null);

/** Somebody's choice on this page: what was kept for their key and this service, or nothing. "" is nobody yet. */
function choiceOf(fingerprint, service, names) {
  const { values, shared } = keptPeople()[fingerprint] ?? {};
  const list = Array.isArray(shared?.[service]) ? shared[service] : [];
  return { values: texts(values), shared: new Set(list.filter((name) => names.includes(name))), isNew: false };
}

/**
 * The choices of those who were somebody on this page. A choice counts for one key: another one begins with its own.
 * What is chosen before anybody said who they are is for the login at hand, and goes over to the key that is named then.
 */
function choices(service, names, remembers) {
  const made = new Map();
  let person = "", mine = choiceOf("", service, names);

  function store(fingerprint, { values, shared }) {
    const people = keptPeople();
    people[fingerprint] = { values, shared: { ...people[fingerprint]?.shared, [service]: [...shared] } };
    keepPeople(people);
  }

  return {
    person: () => person,
    mine: () => mine,
    become(fingerprint) {
      const before = mine;
      mine = made.get(fingerprint) ?? choiceOf(fingerprint, service, names);
      if (person === "" && before.isNew) mine = { ...before, values: { ...mine.values, ...before.values } };
      person = fingerprint;
      if (person) made.set(person, mine);
    },
    /** Something was chosen. Of whoever is remembered already it is kept at once, so that what is switched off stays off. */
    changed() {
      mine.isNew = true;
      const people = keptPeople();
      if (!person || !Object.hasOwn(people, person)) return;
      if (remembers()) return store(person, mine);
      delete people[person];
      keepPeople(people);
    },
    succeeded(fingerprint) {
      const choice = made.get(fingerprint);
      if (remembers() && choice?.isNew) store(fingerprint, choice);
    },
    forget() {
      forgetShared();
      made.clear();
      mine = choiceOf("", service, names);
      if (person) made.set(person, mine);
    },
  };
}

/**
 * The part of a page in which that is chosen.
 * @typedef {object} Sharing
 * @property {HTMLElement} element
 * @property {(fingerprint?: string) => object} claims what is shared now: `{}` for nothing but the fingerprint. With a
 *   fingerprint: nothing unless it is that key's owner who is asked
 * @property {() => void} changed is called whenever that is something else
 * @property {(fingerprint: string) => void} person whose key signs; "" when nobody knows
 * @property {(fingerprint: string) => void} succeeded this key signed in: what it shares is kept, if that is wished
 * @property {() => void} forget of everybody, here and in what is kept
 */

/**
 * @param {string} service
 * @param {object} how
 * @param {() => boolean} how.remembers whether the person wishes to be remembered
 * @param {string[] | null} [how.supported] what the server makes something of; all that is known here if nobody said
 * @returns {Sharing}
 */
export function sharing(service, { remembers, supported = null }) {
  const names = Object.keys(KNOWN).filter((name) => !supported || supported.includes(name));
  const chosen = choices(service, names, remembers);
  const suggested = suggestions();
  const valueOf = (name) => chosen.mine().values[name] ?? suggested[name] ?? "";
  const summary = el("span", { class: "sharing-summary" });
  const told = el("p", { class: "quiet", role: "status" });
  const rows = names.map((name) => row(name, {
    onValue: (value) => {
      chosen.mine().values[name] = value;
      changed();
    },
    onShared: (isShared) => {
      if (isShared) chosen.mine().shared.add(name);
      else chosen.mine().shared.delete(name);
      changed();
    },
  }));
  const it = {
    claims,
    changed: () => {},
    succeeded: chosen.succeeded,
    person(fingerprint) {
      if (fingerprint === chosen.person()) return;
      chosen.become(fingerprint);
      draw();
    },
    forget() {
      chosen.forget();
      draw();
    },
  };

  function claims(fingerprint = chosen.person()) {
    if (fingerprint !== chosen.person()) return {};
    const good = rows.filter(({ name, isGood }) => chosen.mine().shared.has(name) && isGood());
    return Object.fromEntries(good.map(({ name }) => [name, plainLine(valueOf(name))]));
  }

  function changed() {
    chosen.changed();
    update();
  }

  function draw() {
    for (const { name, set } of rows) set(valueOf(name), chosen.mine().shared.has(name));
    told.textContent = "";
    update();
  }

  function update() {
    const said = Object.keys(claims()).map((name) => say(`claim.${name}`).toLocaleLowerCase(document.documentElement.lang));
    const list = new Intl.ListFormat(document.documentElement.lang, { type: "conjunction" }).format([say("claims.fingerprint"), ...said]);
    summary.textContent = said.length
      ? say_with("claims.summary", { service, list })
      : say_with("claims.summary_nothing", { service });
    it.changed();
  }

  const nothing = el("button", { type: "button", class: "wide", onclick: () => {
    chosen.mine().shared.clear();
    chosen.changed();
    draw();
    told.textContent = say("claims.nothing_now");
  } }, say("claims.nothing"));
  it.element = el("details", { class: "sharing" },
    el("summary", {}, summary, " ", el("span", { class: "change", "aria-hidden": "true" }, say("claims.change"))),
    el("p", { class: "hint" }, say_with("claims.hint", { service })),
    rows.map((one) => one.element), nothing, told);
  draw();
  return it;
}

function row(name, { onValue, onShared }) {
  const { type = "text", ...attributes } = KNOWN[name];
  const id = `claim-${name}`;
  const field = el("input", { id, type, ...attributes, "aria-describedby": `${id}-trouble` });
  const box = el("input", { type: "checkbox", role: "switch", "aria-controls": `${id}-value` });
  const trouble = el("p", { class: "field-trouble", id: `${id}-trouble` });
  const typed = el("div", { id: `${id}-value`, class: "claim-value" },
    el("label", { for: id, class: "unseen" }, say_with("claims.value", { name: say(`claim.${name}`) })), field, trouble);

  const isGood = () => plainLine(field.value) !== "" && field.validity.valid;
  function draw() {
    show(typed, box.checked);
    const isEmpty = !field.value.trim();
    trouble.className = isEmpty ? "hint" : "field-trouble";
    trouble.textContent = box.checked && !isGood() ? (isEmpty ? say("claims.empty") : say("claims.wrong")) : "";
    show(trouble, trouble.textContent !== "");
  }
  field.addEventListener("input", () => {
    draw();
    onValue(field.value);
  });
  box.addEventListener("change", () => {
    draw();
    onShared(box.checked);
    if (box.checked && !isGood()) field.focus();
  });
  return {
    name,
    isGood,
    set(value, isShared) {
      field.value = value;
      box.checked = isShared;
      draw();
    },
    element: el("div", { class: "claim" },
      el("label", { class: "switch" }, el("span", {}, say(`claim.${name}`)), box), typed),
  };
}
