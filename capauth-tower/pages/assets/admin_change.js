// What is granted to an identity: approval, groups, a name, an address. All of it can be taken back.

import { Refused } from "./api.js";
import { ask, keysBeside } from "./admin_api.js";
import { groupsField, isSame } from "./admin_groups.js";
import { fingerprint, labelled, perform, time, troubleSlot } from "./admin_parts.js";
import { el } from "./dom.js";
import { say, say_with } from "./words.js";

/** A button that does one thing to a key; [] where there is nothing to do. */
function act({ words, work, done, then, lead = false }) {
  const trouble = troubleSlot();
  const button = el("button", { type: "button", class: lead ? "lead" : null }, words);
  button.addEventListener("click", async () => {
    if (await perform({ button, trouble, work, done })) await then();
  });
  return [el("p", {}, button), trouble];
}

/** Lets a key in that waits, or that is suspended. */
export function approval({ entry, reload }) {
  if (entry.revoked_at || entry.replaced_at || (entry.approved && !entry.suspended)) return [];
  return act({
    words: entry.suspended ? say("admin.unsuspend") : say("admin.approve"),
    work: () => ask("POST", "keys/approve", { fingerprint: entry.fingerprint }),
    done: say("admin.approve.done"),
    then: () => reload("state"),
    lead: true,
  });
}

/** A key that is about to take this one's place, and how to stop that. */
export function waitingKey({ entry, reload }) {
  if (!entry.replaced_soon) return [];
  const { fingerprint: other, effective_at: due } = entry.replaced_soon;
  return el("div", { class: "warning" },
    el("p", {}, say("admin.rotation.waits"), " ", time(due)),
    el("p", {}, fingerprint(other)),
    act({
      words: say("admin.rotation.cancel"),
      work: () => ask("DELETE", `keys/${entry.fingerprint}/rotation`),
      done: say("admin.rotation.cancelled"),
      then: () => reload("state"),
    }));
}

/** The groups of the identity, as a list that is saved as a whole. */
export function groups({ entry, reload }) {
  const trouble = troubleSlot();
  const list = groupsField(entry.groups);
  const button = el("button", { class: "lead" }, say("admin.groups.save"));
  const form = el("form", { "data-draft": "groups", novalidate: true },
    el("p", { class: "quiet" }, say("admin.groups.what")), list.element, trouble, el("div", { class: "row" }, button));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const wanted = list.value();
    if (!wanted) return;
    const done = await perform({
      button,
      trouble,
      work: () => saveGroups(entry, wanted),
      done: wanted.length ? say_with("admin.groups.saved", { groups: wanted.join(", ") }) : say("admin.groups.none_left"),
    });
    if (done) await reload("groups");
  });
  return form;
}

/** Writes the whole list, unless somebody else wrote another one since this page was loaded. */
async function saveGroups(entry, wanted) {
  const now = (await keysBeside(entry.fingerprint)).find((other) => other.fingerprint === entry.fingerprint);
  if (now && !isSame(now.groups, entry.groups)) throw new Refused("conflict", say("admin.groups.changed"));
  return ask("PUT", `keys/${entry.fingerprint}/groups`, { groups: wanted });
}

/** The name that applications know the identity by. */
export function userName({ entry, reload }) {
  const trouble = troubleSlot();
  const field = el("input", { name: "user_name", autocomplete: "off", autocapitalize: "none", spellcheck: "false",
    value: entry.user_name ?? "", maxlength: 40 });
  const give = el("button", { class: "lead" }, say("admin.name.give"));
  const take = entry.user_name && el("button", { type: "button" }, say("admin.name.take"));
  const save = async (button, name, done) => {
    const work = () => ask("PUT", `keys/${entry.fingerprint}/name`, { user_name: name });
    if (await perform({ button, trouble, work, done })) await reload("name");
  };
  const form = el("form", { "data-draft": "name" },
    el("p", { class: "quiet" }, say("admin.name.what")),
    labelled(say("admin.name"), field, say("admin.name.form")), trouble,
    el("div", { class: "row" }, give, take));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const name = field.value.trim();
    trouble.textContent = /^[a-z0-9][a-z0-9._-]{0,39}$/.test(name) ? "" : say("admin.name.form");
    if (trouble.textContent) return field.focus();
    save(give, name, say_with("admin.name.given", { name }));
  });
  take?.addEventListener("click", () => save(take, null, say("admin.name.taken")));
  return form;
}

/** An address that an administrator vouches for. It is typed, and never shown: the server keeps a keyed hash. */
export function email({ entry }) {
  const trouble = troubleSlot();
  const field = el("input", { name: "email", type: "email", autocomplete: "off", maxlength: 254 });
  const confirm = el("button", { class: "lead" }, say("admin.email.confirm"));
  const withdraw = el("button", { type: "button" }, say("admin.email.withdraw"));
  const send = async (button, method, done) => {
    trouble.textContent = field.value.trim() && field.validity.valid ? "" : say("admin.email.form");
    if (trouble.textContent) return field.focus();
    const work = () => ask(method, `keys/${entry.fingerprint}/email`, { email: field.value.trim() });
    const refusals = { conflict: say("admin.email.others") };
    if (await perform({ button, trouble, work, done, refusals })) field.value = "";
  };
  const form = el("form", { "data-draft": "email", novalidate: true },
    el("p", { class: "quiet" }, say("admin.email.what")), labelled(say("admin.email.address"), field), trouble,
    el("div", { class: "row" }, confirm, withdraw));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(confirm, "PUT", say("admin.email.confirmed"));
  });
  withdraw.addEventListener("click", () => send(withdraw, "DELETE", say("admin.email.withdrawn")));
  return form;
}
