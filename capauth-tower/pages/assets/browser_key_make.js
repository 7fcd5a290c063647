// The view that makes a key.

import { busyButton, field, form, heading, link, passphraseField } from "./browser_key_parts.js";
import { el, show } from "./dom.js";
import { KeyTrouble, listKeys, makeKey } from "./keys.js";
import { say } from "./words.js";

/** No letter or digit that is taken for another: five bits each. */
const ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789";

/** Eighty random bits in groups that one can write down. */
function suggestion() {
  const letters = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => ALPHABET[byte % 32]);
  return letters.join("").match(/.{4}/g).join("-");
}

/** A word on a passphrase, and no verdict. */
function strength(passphrase) {
  if (passphrase.length === 0) return say("browser.strength_none");
  if (passphrase.length < 8) return say("browser.strength_short");
  const kinds = [/[a-z]/, /[A-Z]/, /\d/, /[^A-Za-z\d]/].filter((kind) => kind.test(passphrase)).length;
  const different = new Set(passphrase).size;
  return different >= 8 && passphrase.length + kinds * 2 >= 20 ? say("browser.strength_good") : say("browser.strength_fair");
}

/** A new passphrase, typed twice unless it is seen. */
export function newPassphrase(id) {
  const hint = el("p", { class: "hint", role: "status" }, strength(""));
  const again = passphraseField({ id: `${id}-again`, label: say("browser.passphrase_again"), autocomplete: "new-password" });
  const first = passphraseField({
    id, label: say("browser.passphrase_new"), autocomplete: "new-password", onShown: (shown) => show(again.element, !shown),
  });
  first.input.addEventListener("input", () => { hint.textContent = strength(first.input.value); });
  const suggest = link(say("browser.suggest"), () => {
    first.input.value = suggestion();
    first.shows(true);
    first.complain("");
    hint.textContent = say("browser.suggested");
    first.input.focus();
    first.input.select();
  });
  return {
    element: el("div", {}, first.element, hint, el("p", { class: "links" }, suggest), again.element),
    complain: (words) => first.complain(words),
    /** What was typed; says what is wrong with it, and then answers "". */
    take() {
      const typed = first.input.value;
      const isSeen = first.input.type === "text";
      const differs = !isSeen && typed !== again.input.value;
      if (typed.length < 8) first.complain(say("browser.trouble_short"));
      else if (differs) again.complain(say("browser.passphrase_differs"));
      return typed.length < 8 || differs ? "" : typed;
    },
    clear() {
      first.clear();
      again.clear();
      hint.textContent = strength("");
    },
  };
}

/** @param {import("./browser_key.js").Panel} panel */
export function makeView(panel) {
  const title = heading(say("browser.make_title"));
  const name = field({
    id: "browser-name", label: say("browser.name"), hint: say("browser.name_hint"), autocomplete: "username", maxlength: 100,
  });
  const passphrase = newPassphrase("browser-new");
  const button = busyButton(say("browser.make"), say("browser.making"));
  const back = link(say("browser.back"), () => panel.refresh({ focus: true }));
  const element = el("div", {}, title, el("p", {}, say("browser.make_what")),
    form(() => button.during(make), name.element, passphrase.element, el("div", { class: "row" }, button)),
    el("p", { class: "links" }, link(say("browser.bring_have"), () => panel.go("bring", { focus: true })), back));

  async function make() {
    const typed = passphrase.take();
    if (!typed) return;
    try {
      const key = await makeKey({ label: name.input.value, passphrase: typed });
      passphrase.clear();
      name.input.value = "";
      panel.keys = await listKeys();
      panel.go("save", { key, passphrase: typed, isNew: true });
    } catch (trouble) {
      if (trouble instanceof KeyTrouble && trouble.code === "passphrase") passphrase.complain(trouble.message);
      else panel.login.trouble(trouble);
    }
  }

  return {
    element,
    enter({ focus }) {
      show(back, panel.keys.length > 0);
      if (focus) title.focus();
    },
    leave: () => passphrase.clear(),
  };
}
