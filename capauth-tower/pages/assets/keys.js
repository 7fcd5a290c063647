// Keys that this browser holds. They live in a worker (`keeper.js`) that no page can read and that has no way to the
// network; from here it is asked to make, to take in, to sign, to give out a copy that is still locked, and to forget.

import { startKeeper } from "./trusted.js";
import { say } from "./words.js";

/**
 * @typedef {object} Key
 * @property {string} fingerprint upper case
 * @property {string} label what the person calls it; never sent anywhere
 * @property {string} created RFC 3339
 * @property {string | null} expires RFC 3339, or never
 * @property {number} unlocked milliseconds for which it signs without its passphrase; 0 when locked
 * @property {boolean} saved whether a copy was given out since it was made; an imported one counts as saved
 * @property {boolean} stays whether it can stay unlocked in this browser
 */

/** What the worker would not do: `code` is `passphrase`, `locked`, `expired`, `revoked`, `none`, `unusable` or `broken`;
 * `why` says more, as the words of `message` do. */
export class KeyTrouble extends Error {
  constructor(code, message, why = code) {
    super(message);
    this.code = code;
    this.why = why;
  }
}

/** Words for each, that say what to do next. */
const words = () => ({
  passphrase: say("browser.trouble_passphrase"),
  wanted: say("browser.trouble_wanted"),
  unprotected: say("browser.trouble_unprotected"),
  short: say("browser.trouble_short"),
  long: say("browser.trouble_long"),
  locked: say("browser.trouble_locked"),
  expired: say("browser.trouble_expired"),
  revoked: say("browser.trouble_revoked"),
  none: say("browser.trouble_none"),
  unusable: say("browser.trouble_unusable"),
  public: say("browser.trouble_public"),
  several: say("browser.trouble_several"),
  garbage: say("browser.trouble_garbage"),
  stub: say("browser.trouble_stub"),
  large: say("browser.trouble_large"),
  mixed: say("browser.trouble_mixed"),
  foreign: say("browser.trouble_foreign"),
  claims: say("browser.trouble_claims"),
  storage: say("browser.trouble_storage"),
  memory: say("browser.trouble_memory"),
  loading: say("browser.trouble_loading"),
  broken: say("browser.trouble_broken"),
});

const troubleOf = ({ code, why }) => new KeyTrouble(code, words()[why] ?? words()[code], why);

let keeper, last = 0;
const waiting = new Map();

/** The worker stopped, or could not start: whoever waits is told, and the next question starts another. */
function broke() {
  keeper?.terminate();
  keeper = undefined;
  for (const { reject } of waiting.values()) reject(troubleOf({ code: "broken", why: "broken" }));
  waiting.clear();
}

function answered({ data: { id, answer, trouble } }) {
  const { resolve, reject } = waiting.get(id) ?? {};
  waiting.delete(id);
  if (trouble) reject?.(troubleOf(trouble));
  else resolve?.(answer);
}

function start() {
  const worker = startKeeper();
  worker.addEventListener("message", answered);
  worker.addEventListener("messageerror", broke);
  worker.addEventListener("error", (event) => {
    event.preventDefault();
    broke();
  });
  return worker;
}

function ask(task, asked) {
  return new Promise((resolve, reject) => {
    last += 1;
    waiting.set(last, { resolve, reject });
    try {
      keeper ??= start();
      keeper.postMessage({ id: last, task, asked });
    } catch {
      broke();
    }
  });
}

/** Asks the browser not to clear keys away when space runs short. It may refuse; that changes nothing here. */
async function asksToStay(key) {
  navigator.storage?.persist?.().catch(() => {});
  return key;
}

/** Whether this browser can hold keys at all. @returns {Promise<boolean>} */
export async function canHoldKeys() {
  if (!globalThis.isSecureContext || !globalThis.Worker || !globalThis.crypto?.subtle) return false;
  return listKeys().then(() => true, () => false);
}

/** @returns {Promise<Key[]>} those used last come first */
export const listKeys = () => ask("list");

/** Makes a key. @param {{ label: string, passphrase: string }} wanted @returns {Promise<Key>} */
export const makeKey = ({ label, passphrase }) => ask("make", { label, passphrase }).then(asksToStay);

/**
 * What a file or a paste holds, before anybody types a passphrase; the refusals are those of `importKey`.
 * @param {{ armored: string | Uint8Array }} given
 * @returns {Promise<{ fingerprint: string, expires: string | null, isProtected: boolean, name: string }>}
 */
export const lookAtKey = ({ armored }) => ask("look", { armored });

/** Takes in a secret key, armored, from a file or the clipboard, or as the bytes of a file. `passphrase` opens it; it
 * stays locked under the same one, and must have one: `newPassphrase` for a key that has none. @returns {Promise<Key>} */
export const importKey = ({ armored, passphrase, newPassphrase, label }) =>
  ask("import", { armored, passphrase, newPassphrase, label }).then(asksToStay);

/**
 * Signs a login, and the claims that go with it. Without `passphrase` the key must be unlocked. `keepUnlocked` is for how
 * many seconds it signs without after this: 0 for this once, 8 hours at most; a key that cannot stay unlocked (`stays`)
 * does not. The worker builds the text itself, and signs for its own origin alone.
 * `isKnown`: whether the challenge's service has the certificate already, as far as was noted (`noteKnown`).
 * @returns {Promise<{ nonce_signature: string, claims_signature: string | null, public_key: string, isKnown: boolean }>}
 */
export const signLogin = ({ fingerprint, challenge, claims, passphrase, keepUnlocked = 0 }) =>
  ask("signLogin", { fingerprint, challenge, claims, passphrase, keepUnlocked });

/** Signs that a waiting rotation does not happen (`CAPAUTH_ROTATION_CANCEL_V1`), as `POST /capauth/v1/rotate/cancel` takes
 * it, with the primary key; that always asks for the passphrase. @returns {Promise<{ signature: string }>} */
export const signCancellation = ({ fingerprint, nonce, service, timestamp, passphrase }) =>
  ask("signCancellation", { fingerprint, nonce, service, timestamp, passphrase });

/** A copy to keep elsewhere, armored, still locked under its passphrase: with `passphrase` so that every OpenPGP program
 * opens it, without as it lies here, which only new ones do. @returns {Promise<{ armored: string }>} */
export const exportKey = ({ fingerprint, passphrase }) => ask("export", { fingerprint, passphrase });

/** Notes that a copy is kept elsewhere. */
export const noteSaved = ({ fingerprint }) => ask("saved", { fingerprint });

/** Notes whether a service has its certificate. That stands beside the key, and is forgotten with it.
 * @param {{ fingerprint: string, service: string, isKnown: boolean }} what */
export const noteKnown = ({ fingerprint, service, isKnown }) => ask("known", { fingerprint, service, isKnown });

/** Its public half, armored. @returns {Promise<{ armored: string }>} */
export const publicKey = ({ fingerprint }) => ask("public", { fingerprint });

/** Locks it now. */
export const lockKey = ({ fingerprint }) => ask("lock", { fingerprint });

/** Takes it out of this browser, for good. */
export const forgetKey = ({ fingerprint }) => ask("forget", { fingerprint });

/**
 * Whether the server signed this very challenge: `signature` over `payload`, by the certificate, which has the fingerprint
 * that the page knows if it knows one. Anything else is false. @returns {Promise<boolean>}
 */
export const serverSigned = ({ payload, signature, certificate, fingerprint }) =>
  ask("serverSigned", { payload, signature, certificate, fingerprint });
