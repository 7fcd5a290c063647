// Signing with a key that this browser holds. What holds it is loaded when somebody wants that.

import { el } from "./dom.js";
import { trouble, unique } from "./me_parts.js";
import { say } from "./words.js";

/**
 * The part of a panel for it. @param {import("./me_signing.js").Signing} signing @param {string} signer whose key signs
 */
export function inBrowser(signing, signer) {
  const [place, wrong] = [el("div", {}), trouble()];
  const attempt = async (work) => {
    wrong.tell("");
    try {
      await work();
    } catch (error) {
      wrong.tell(signing.words(error));
    }
  };
  const look = () => attempt(async () => {
    await mustBeHeld(signer);
    const form = unlocking((passphrase) => attempt(() => signing.signInBrowser(passphrase)));
    place.replaceChildren(form);
    form.querySelector("input, button").focus();
  });
  place.append(el("button", { type: "button", class: "wide", onclick: look }, say("me.sign.look")));
  return el("div", { class: "browser-key" }, el("h5", {}, say("me.sign.browser")), place, wrong.line);
}

async function mustBeHeld(signer) {
  const { canHoldKeys, listKeys } = await import("./keys.js").catch(() => { throw new Error(say("error.unreachable")); });
  const keys = await canHoldKeys() ? await listKeys() : [];
  if (!keys.some(({ fingerprint }) => fingerprint === signer)) throw new Error(say("me.sign.not_held"));
}

/** Asks for the passphrase, even where the key is unlocked to sign in: that may be a subkey, and the primary key signs here. */
function unlocking(sign) {
  const id = unique("passphrase");
  const field = el("input", { id, type: "password", autocomplete: "current-password", required: true });
  const button = el("button", { class: "lead wide" }, say("me.sign.now"));
  const send = async (event) => {
    event.preventDefault();
    button.disabled = true;
    await sign(field.value);
    button.disabled = false;
  };
  return el("form", { onsubmit: send },
    el("label", { for: id }, say("me.sign.passphrase")), field,
    el("div", { class: "row" }, button));
}
