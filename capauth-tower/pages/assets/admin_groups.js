// A list of groups that is edited: those that are there, each with a way out, and a field for more.

import { labelled, troubleSlot } from "./admin_parts.js";
import { el } from "./dom.js";
import { say, say_with } from "./words.js";

/** What the server takes. */
const NAME = /^[A-Za-z0-9._:@/-]{1,64}$/;
const MOST = 64;

/** Whether both lists name the same groups. */
export const isSame = (one, other) => [...one].sort().join("\n") === [...other].sort().join("\n");

/**
 * @param {string[]} initial
 * @returns {{ element: HTMLElement, value: () => string[] | null }} `value`: the list, with what was typed and not yet
 *   added; `null` when that is no name, which is then said beside the field
 */
export function groupsField(initial) {
  let list = [...initial];
  const trouble = troubleSlot();
  const chips = el("ul", { class: "chips" });
  // What is kept while somebody signs in again: both are a change of this list, and of no other.
  const before = initial.join(" ");
  const kept = el("input", { type: "hidden", name: "groups", "data-initial": before });
  const text = el("input", { name: "group", "data-basis": before,
    autocomplete: "off", autocapitalize: "none", spellcheck: "false" });

  const show = () => {
    kept.value = list.join(" ");
    chips.replaceChildren(...list.map((name) => el("li", { class: "chip" }, name,
      el("button", { type: "button", "aria-label": say_with("admin.groups.remove", { name }), onclick: () => remove(name) },
        "×"))));
    chips.hidden = !list.length;
  };
  const remove = (name) => {
    const place = list.indexOf(name);
    list = list.filter((other) => other !== name);
    show();
    (chips.querySelectorAll("button")[Math.min(place, list.length - 1)] ?? text).focus();
  };
  const add = () => {
    const typed = text.value.split(/[\s,]+/).filter(Boolean);
    const wrong = typed.find((name) => !NAME.test(name));
    const all = [...new Set([...list, ...typed])];
    trouble.textContent = "";
    if (wrong !== undefined) trouble.textContent = say_with("admin.groups.form", { name: wrong });
    else if (all.length > MOST) trouble.textContent = say("admin.groups.most");
    if (trouble.textContent) {
      text.focus();
      return false;
    }
    list = all;
    text.value = "";
    show();
    return true;
  };
  text.addEventListener("keydown", (event) => {
    // An empty field leaves Enter to the form, which saves.
    if (event.key !== "," && !(event.key === "Enter" && text.value.trim())) return;
    event.preventDefault();
    add();
  });
  kept.addEventListener("typed", () => {
    list = kept.value.split(" ").filter(Boolean);
    show();
  });
  show();
  const button = el("button", { type: "button", onclick: () => { if (add()) text.focus(); } }, say("admin.groups.add"));
  const element = el("div", {}, chips, kept,
    labelled(say("admin.groups.new"), text, say("admin.groups.hint")),
    el("p", { class: "after" }, button), trouble);
  return { element, value: () => (add() ? list : null) };
}
