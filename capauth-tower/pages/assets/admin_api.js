// What the page asks of the server.

import { Refused, call } from "./api.js";
import { say } from "./words.js";

/** The login does not administer any more: it is too old, or has ended. */
export class SignInAgain extends Error {}

const isDenied = (error) => error instanceof Refused && (error.status === 401 || error.status === 403);

/**
 * Asks the administration's API: `ask("POST", "keys/approve", { fingerprint })`.
 * Throws `Refused`, `SignInAgain`, or the reason of `signal`.
 */
export async function ask(method, path, body, { signal } = {}) {
  try {
    return await call(method, `v1/${path}`, body, { signal });
  } catch (error) {
    // Something may be forbidden to administrators too. What none of them is refused tells the one from the other.
    if (isDenied(error) && !(await administers())) throw new SignInAgain();
    throw error;
  }
}

async function administers() {
  try {
    await call("GET", "v1/keys?limit=1");
    return true;
  } catch (error) {
    return !isDenied(error);
  }
}

/** A path with a query, without what is empty. */
export function withQuery(path, values) {
  const given = Object.entries(values).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  return given.length ? `${path}?${new URLSearchParams(given)}` : path;
}

/** Every key of the identity that a key signs for; [] when nobody knows it. */
export const keysBeside = (fingerprint, options) =>
  ask("GET", withQuery("keys", { beside: fingerprint }), undefined, options);

/** Why something was refused, in words. `own` are those for the errors that mean something here. */
export function why(error, own = {}) {
  if (!(error instanceof Refused)) return say("admin.error.page");
  if (own[error.code]) return own[error.code];
  if (error.code === "not_found") return say("admin.error.not_found");
  return error.code === "unreachable" ? error.message : error.described || error.message;
}
