// The view that takes in a key from elsewhere: a file chosen or dropped, or a paste.

import { busyButton, field, form, grouped, heading, link, passphraseField } from "./browser_key_parts.js";
import { newPassphrase } from "./browser_key_make.js";
import { el, show } from "./dom.js";
import { importKey, KeyTrouble, lookAtKey } from "./keys.js";
import { say, say_with } from "./words.js";

/** No key is larger; a film that is dropped by mistake is not read. */
const MAX_FILE = 256 * 1024;

/** @param {import("./browser_key.js").Panel} panel */
export function bringView(panel) {
  /** What was pasted or read, and what it turned out to be. */
  let given = "", seen = null, turn = 0;
  const title = heading(say("browser.bring_title"));
  const command = "gpg --armor --export-secret-keys";
  const text = field({
    id: "browser-paste", tag: "textarea", label: say("browser.paste"), class: "mono", rows: 4, autocomplete: "off",
  });
  const file = fileField((content) => take(content));
  const found = el("p", { role: "status" });
  const passphrase = passphraseField({
    id: "browser-bring-passphrase", label: say("browser.its_passphrase"), autocomplete: "off",
  });
  const fresh = newPassphrase("browser-bring-new");
  const name = field({
    id: "browser-bring-name", label: say("browser.name"), hint: say("browser.name_hint"), autocomplete: "off", maxlength: 100,
  });
  const button = busyButton(say("browser.bring_in"), say("browser.bringing"));
  const rest = el("div", { hidden: true }, passphrase.element, fresh.element, name.element, el("div", { class: "row" }, button));
  const element = el("div", { class: "drop" }, title,
    el("p", {}, say("browser.bring_what"), " ", el("code", { translate: "no" }, command)),
    form(() => button.during(bring), text.element, file.element, found, rest),
    el("p", { class: "links" }, link(say("browser.back"), () => panel.refresh({ focus: true }))));
  text.input.addEventListener("input", () => take(text.input.value));
  file.catchDrops(element);

  /** Looks at what came. An older answer does not take the place of a newer one. */
  async function take(content) {
    given = content;
    seen = null;
    const mine = ++turn;
    show(rest, false);
    found.textContent = "";
    text.complain("");
    const isEmpty = typeof content === "string" && content.trim() === "";
    const isWhole = typeof content !== "string" || /-----END PGP|^(?!\s*-)/.test(content);
    if (isEmpty || !isWhole) return;
    try {
      const looked = await lookAtKey({ armored: content });
      if (mine === turn) showFound(looked);
    } catch (trouble) {
      if (mine === turn) text.complain(trouble.message);
    }
  }

  function showFound(looked) {
    seen = looked;
    found.textContent = say_with("browser.found", { fingerprint: grouped(looked.fingerprint) });
    if (!name.input.value) name.input.value = looked.name;
    show(passphrase.element, looked.isProtected);
    show(fresh.element, !looked.isProtected);
    show(rest);
    (looked.isProtected ? passphrase.input : fresh.element.querySelector("input")).focus();
  }

  async function bring() {
    if (!seen) return text.complain(say("browser.trouble_garbage"));
    const wanted = { armored: given, label: name.input.value };
    if (seen.isProtected) wanted.passphrase = passphrase.input.value;
    else wanted.newPassphrase = fresh.take();
    if (wanted.passphrase === "") return passphrase.complain(say("browser.passphrase_empty"));
    if (wanted.newPassphrase === "") return;
    try {
      const key = await importKey(wanted);
      clear();
      await panel.refresh({ key, passphrase: wanted.passphrase ?? wanted.newPassphrase, focus: true });
      panel.tell(say("browser.brought"));
    } catch (trouble) {
      if (trouble instanceof KeyTrouble && trouble.code === "passphrase") {
        (seen.isProtected ? passphrase : fresh).complain(trouble.message);
      } else {
        panel.login.trouble(trouble);
      }
    }
  }

  function clear() {
    for (const { input } of [text, name]) input.value = "";
    passphrase.clear();
    fresh.clear();
    file.clear();
    take("");
  }

  return { element, enter: ({ focus }) => focus && title.focus(), leave: clear };
}

/** A button that opens a file, and a place to drop one on. `onContent` hears a text, or the bytes of what is none. */
function fileField(onContent) {
  const input = el("input", { type: "file", id: "browser-file", accept: ".asc,.gpg,.pgp,.key,.txt,application/pgp-keys" });
  const read = async (file) => {
    if (!file) return;
    const bytes = new Uint8Array(await file.slice(0, MAX_FILE + 1).arrayBuffer());
    const isText = bytes.every((byte) => byte < 128 && byte !== 0);
    onContent(isText ? new TextDecoder().decode(bytes) : bytes);
  };
  input.addEventListener("change", () => read(input.files[0]));
  return {
    element: el("div", {}, el("label", { for: "browser-file" }, say("browser.file")), input),
    clear() { input.value = ""; },
    catchDrops(place) {
      const over = (isOver) => place.classList.toggle("dropping", isOver);
      place.addEventListener("dragover", (event) => {
        if (!event.dataTransfer?.types.includes("Files")) return;
        event.preventDefault();
        over(true);
      });
      place.addEventListener("dragleave", (event) => { if (!place.contains(event.relatedTarget)) over(false); });
      place.addEventListener("drop", (event) => {
        over(false);
        if (!event.dataTransfer?.files.length) return;
        event.preventDefault();
        read(event.dataTransfer.files[0]);
      });
    },
  };
}
