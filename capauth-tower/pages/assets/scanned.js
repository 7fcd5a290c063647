// What a QR code said. It comes from whoever showed it to the camera, so all of it is looked at before any of it is used.

import { isForThisPage } from "./payload.js";

/** Characters of all of it, and the members: how long each may be. */
const LONGEST = 4096;
const MEMBERS = {
  capauth_qr: 8, nonce: 36, client_nonce_echo: 128, origin: 512, timestamp: 40, service: 255, expires: 40, callback: 1024,
};
/** Milliseconds between a login's beginning and its end at most. They are two minutes. */
const LONGEST_LIFE = 600_000;

/**
 * By how much this device's clock may be ahead, in milliseconds. It is the server that says when a login is over; here only what
 * is long past is turned away, before anybody signs it.
 */
export const SLACK = 300_000;

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/;

/**
 * Reads what stood behind the `#`: `{ asked }`, or `{ wrong }`, which is `none` when nothing stood there, `broken`,
 * `elsewhere` when it is for another site, or `expired`.
 * @param {string} text base64url, as the QR code has it
 * @param {string} service the service of this page
 */
export function scanned(text, service) {
  if (text === "") return { wrong: "none" };
  const asked = decoded(text);
  if (!asked || !isWhole(asked)) return { wrong: "broken" };
  if (!isForThisPage(asked, service) || !isAnsweredHere(asked)) return { wrong: "elsewhere" };
  if (Date.parse(asked.expires) + SLACK <= Date.now()) return { wrong: "expired" };
  return { asked };
}

/** The members of the protocol, and nothing else that may stand beside them. */
function decoded(text) {
  if (text.length > LONGEST || !/^[A-Za-z0-9_-]+$/.test(text)) return null;
  try {
    const bytes = Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (it) => it.charCodeAt(0));
    const told = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    const members = Object.keys(MEMBERS).filter((name) => Object.hasOwn(told, name));
    return Object.fromEntries(members.map((name) => [name, told[name]]));
  } catch {
    return null;
  }
}

function isWhole(asked) {
  const isText = ([name, longest]) =>
    typeof asked[name] === "string" && asked[name].length > 0 && asked[name].length <= longest;
  if (!Object.entries(MEMBERS).every(isText) || asked.capauth_qr !== "1.0" || !UUID.test(asked.nonce)) return false;
  if (!/^[A-Za-z0-9+/=_-]+$/.test(asked.client_nonce_echo)) return false;
  if (![asked.timestamp, asked.expires].every((time) => TIME.test(time))) return false;
  const life = Date.parse(asked.expires) - Date.parse(asked.timestamp);
  return life > 0 && life <= LONGEST_LIFE;
}

/**
 * Whether the answer goes to this very application, or to the service that stands where this page does: by the letter, so
 * that no other spelling of an address leads anywhere else.
 */
function isAnsweredHere({ nonce, callback }) {
  const places = [`qr-verify/${nonce}`, `../../capauth/v1/qr-verify/${nonce}`];
  return places.some((place) => new URL(place, location.href).href === callback);
}
