// What can be done about a key, each in a panel of its own.

import { get, post } from "./api.js";
import { el, settings } from "./dom.js";
import { API, ask, certificateArea, command, login, trouble, unique } from "./me_parts.js";
import { parting, replacement, sha256 } from "./me_payloads.js";
import { Signing } from "./me_signing.js";
import { cancellationPayload } from "./payload.js";
import { say } from "./words.js";

/**
 * @typedef {object} Panel
 * @property {HTMLElement | (HTMLElement | null)[]} element
 * @property {() => void} [close]
 */

/** What a refusal means where something about a key is signed. */
const WORDS = { invalid_nonce_signature: say("me.sign.wrong") };

/** A rotation that waits does not happen: the primary key says so. @returns {Panel} */
export function cancelling(key, done) {
  const old = key.fingerprint;
  const panel = new Signing({
    signer: old,
    texts: (challenge) => [{ text: cancellationPayload({ ...challenge, old_fingerprint: old }), key: old }],
    async send({ nonce, timestamp, signatures: [signature] }) {
      await post(`${API}/rotate/cancel`, { nonce, old_fingerprint: old, timestamp, signature });
      await done(say("me.cancel.done"));
    },
    async inBrowser({ nonce, timestamp }, passphrase) {
      const { signCancellation } = await import("./keys.js");
      const asked = { fingerprint: old, nonce, service: settings.service, timestamp, passphrase };
      return (await signCancellation(asked)).signature;
    },
    words: { ...WORDS, forbidden: say("me.sign.subkey"), not_found: say("me.cancel.nothing") },
  });
  return { element: [el("p", {}, say("me.cancel.what")), panel.element], close: () => panel.close() };
}

/** A linked key goes its own way: the primary key says so. @returns {Panel} */
export function unlinking(key, done) {
  const [primary, secondary] = [key.linked_to, key.fingerprint];
  const panel = new Signing({
    signer: primary,
    texts: (challenge) => [{ text: parting(challenge, primary, secondary), key: primary }],
    async send({ nonce, timestamp, signatures: [signature] }) {
      const body = { nonce, timestamp, primary_signature: signature };
      await post(`${API}/unlink`, { ...body, primary_fingerprint: primary, secondary_fingerprint: secondary });
      await done(say("me.unlink.done"));
    },
    words: { ...WORDS, forbidden: say("me.sign.subkey"), conflict: say("me.unlink.nothing") },
  });
  return {
    element: [el("p", {}, say("me.unlink.what")), el("p", { class: "quiet" }, say("me.unlink.browser")), panel.element],
    close: () => panel.close(),
  };
}

/** The owner ends a key, for good, by what only the owner can make. @returns {Panel} */
export function revoking(key, done) {
  const wrong = trouble();
  const again = el("p", { hidden: true }, el("a", { href: login() }, say("me.again")));
  const { field, parts } = certificateArea(say("me.revoke.certificate"), wrong.tell);
  const step = (words, line) => el("li", {}, words, line && command(line));
  async function send(event) {
    event.preventDefault();
    wrong.tell("");
    if (!await ask({ title: say("me.revoke.sure"), text: say("me.revoke.final"), yes: say("me.revoke.yes") })) return;
    let there;
    try {
      await submit(key.fingerprint, field.value);
      there = await state(key.fingerprint);
    } catch (error) {
      wrong.tell(error.message);
      return;
    }
    // Whether there was a revocation in it, the list alone says. That a session has ended proves nothing: whoever else has
    // the key can end it at any time, and a key that seems to be revoked is one that nobody revokes any more. So the form
    // stays: gpg signs nothing with a key that it holds to be revoked, and who cannot sign in has no other.
    again.hidden = there !== null;
    if (there?.revoked_at) await done(say("me.revoke.done"));
    else if (there) wrong.tell(say("me.revoke.nothing"));
    else wrong.tell(there === null ? say("me.revoke.unknown") : say("me.revoke.unlisted"));
  }
  return {
    element: [
      el("p", {}, key.linked_to ? say("me.revoke.what_linked") : say("me.revoke.what")),
      el("ol", {},
        step(say("me.revoke.make"), `gpg --output revocation.asc --gen-revoke ${key.fingerprint}`),
        step(say("me.revoke.import"), "gpg --import revocation.asc"),
        step(say("me.revoke.export"), `gpg --armor --export ${key.fingerprint}`)),
      el("p", { class: "hint" }, say("me.revoke.ready")),
      el("form", { onsubmit: send }, parts, wrong.line, again,
        el("div", { class: "row" }, el("button", { class: "bad" }, say("me.revoke.yes")))),
    ],
  };
}

/** A certificate goes in beside an answer that proves nothing: its revocation proves itself, whoever brings it. */
async function submit(key, certificate) {
  const bytes = crypto.getRandomValues(new Uint8Array(32));
  const asked = { fingerprint: key, client_nonce: btoa(String.fromCharCode(...bytes)), origin: location.origin };
  const { nonce } = await post(`${API}/challenge`, asked);
  try {
    await post(`${API}/verify`, { fingerprint: key, nonce, nonce_signature: "none", public_key: certificate });
  } catch (error) {
    if (error.code !== "invalid_nonce_signature") throw error;
  }
}

/** What the server says of a key of one's own; undefined when it is none of theirs, null when nobody is signed in. */
async function state(key) {
  try {
    return (await get(`${API}/identity`)).keys.find((other) => other.fingerprint === key);
  } catch (error) {
    if (error.code === "invalid_token") return null;
    throw error;
  }
}

/** A new key takes the primary one's place: both sign. @returns {Panel} */
export function replacing(key, done) {
  const [wrong, place, id] = [trouble(), el("div", {}), unique("field")];
  const name = el("input", { id, required: true, autocomplete: "off", spellcheck: "false", class: "mono" });
  const { field, parts } = certificateArea(say("me.replace.certificate"), wrong.tell);
  let panel;
  async function go(event) {
    event.preventDefault();
    wrong.tell("");
    panel?.close();
    const fresh = name.value.replace(/^0x|\s/gi, "").toUpperCase();
    if (!/^([0-9A-F]{40}|[0-9A-F]{64})$/.test(fresh)) return wrong.tell(say("me.replace.no_fingerprint"));
    if (!globalThis.crypto.subtle) return wrong.tell(say("me.replace.insecure"));
    panel = await bothSign(key.fingerprint, fresh, field.value, done);
    place.replaceChildren(el("p", {}, say("me.replace.both")), panel.element);
  }
  const step = (words, line) => el("li", {}, words, line && command(line));
  return {
    element: [
      el("p", {}, say("me.replace.what")),
      el("ol", {},
        step(say("me.replace.make"), "gpg --quick-generate-key 'Your Name <you@example.org>'"),
        step(say("me.replace.list"), "gpg --fingerprint 'you@example.org'"),
        step(say("me.replace.export"), "gpg --armor --export 'you@example.org'")),
      el("form", { onsubmit: go }, el("label", { for: id }, say("me.replace.fingerprint")), name, parts, wrong.line,
        el("div", { class: "row" }, el("button", {}, say("me.replace.go")))),
      place,
    ],
    close: () => panel?.close(),
  };
}

async function bothSign(old, fresh, certificate, done) {
  const hash = await sha256(certificate);
  return new Signing({
    signer: old,
    texts(challenge) {
      const text = replacement(challenge, old, fresh, hash);
      return [{ text, key: old }, { text, key: fresh }];
    },
    async send({ nonce, timestamp, signatures: [ofOld, ofNew] }) {
      const answer = await post(`${API}/rotate`, {
        nonce, old_fingerprint: old, new_fingerprint: fresh, new_public_key: certificate, timestamp,
        rotation_signature: ofOld, new_signature: ofNew,
      });
      await done(answer.rotated ? say("me.replace.done") : say("me.replace.waits"));
    },
    words: { ...WORDS, conflict: say("me.replace.conflict") },
  });
}
