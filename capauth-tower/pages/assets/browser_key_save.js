// The view that saves a copy of a key: right after it was made, and whenever somebody wants one.

import { busyButton, download, fileName, form, heading, link, passphraseField } from "./browser_key_parts.js";
import { el, show } from "./dom.js";
import { exportKey, KeyTrouble, listKeys, noteSaved, publicKey } from "./keys.js";
import { say, say_with } from "./words.js";

/** @param {import("./browser_key.js").Panel} panel */
export function saveView(panel) {
  let key = null;
  const title = heading("");
  const passphrase = passphraseField({
    id: "browser-save-passphrase", label: say("browser.passphrase"), hint: say("browser.save_passphrase"),
    autocomplete: "current-password",
  });
  const button = busyButton(say("browser.save"), say("browser.saving"));
  const on = el("button", { type: "button", class: "wide", onclick: () => goOn() }, say("browser.go_on"));
  const element = el("div", {}, title, el("p", {}, say("browser.save_what")),
    form(() => button.during(save), passphrase.element, el("div", { class: "row" }, button, on)),
    el("p", { class: "links" }, link(say("browser.save_public"), () => savePublic())));

  async function save() {
    const typed = passphrase.input.value;
    if (typed === "") return passphrase.complain(say("browser.passphrase_empty"));
    try {
      const { armored } = await exportKey({ fingerprint: key.fingerprint, passphrase: typed });
      const name = fileName(key.fingerprint, "secret");
      download(name, armored);
      await noteSaved(key);
      panel.keys = await listKeys();
      panel.tell(say_with("browser.saved", { name }));
      on.focus();
    } catch (trouble) {
      if (trouble instanceof KeyTrouble && trouble.code === "passphrase") passphrase.complain(trouble.message);
      else panel.login.trouble(trouble);
    }
  }

  async function savePublic() {
    try {
      const { armored } = await publicKey(key);
      download(fileName(key.fingerprint, "public"), armored);
    } catch (trouble) {
      panel.login.trouble(trouble);
    }
  }

  /** Back to signing in. Who has just made the key need not type its passphrase once more. */
  function goOn() {
    const typed = passphrase.input.value;
    panel.refresh({ key, passphrase: typed, focus: true });
  }

  return {
    element,
    enter({ key: wanted, passphrase: typed = "", isNew = false, focus = true }) {
      key = wanted ?? key;
      title.textContent = isNew ? say("browser.made") : say("browser.save_title");
      passphrase.clear();
      passphrase.input.value = typed;
      show(passphrase.element, !(isNew && typed));
      if (focus) title.focus();
    },
    leave() {
      passphrase.clear();
      show(passphrase.element, true);
    },
  };
}
