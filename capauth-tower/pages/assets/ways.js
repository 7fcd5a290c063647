// What every way to sign has in common. The page shows those that are there, in the order of the list.

/**
 * The login at hand, as a way to sign sees it.
 * @typedef {object} Login
 * @property {string} service the service that is signed in to
 * @property {() => string} fingerprint whom the page takes the person for: typed or remembered; "" when nobody
 * @property {(fingerprint: string) => Promise<object>} challenge a challenge for this key, looked at: it is for this page,
 *   and the server's signature on it is good. A fresh one unless the last has more than half of its time left.
 * @property {(fingerprint?: string) => object} claims what the person shares; {} for nothing but the fingerprint. With a
 *   fingerprint: what the owner of this key shares, who must be the one that the page asks
 * @property {(fingerprint: string) => void} signer says with which key the way will sign, where that is not the one that
 *   `fingerprint` answers; "" takes that back, as closing the way does
 * @property {(answer: object) => Promise<void>} answer sends `fingerprint`, `nonce`, `nonce_signature` and, where there
 *   are some, `claims`, `claims_signature`, `public_key`; leaves the page, or throws `Refused` (api.js)
 * @property {(trouble: string | Error) => void} trouble says what went wrong; "" takes it back
 * @property {ReturnType<typeof import("./who.js").whoIs>} who asks who the person is; its element may stand in a panel
 * @property {ReturnType<typeof import("./challenge.js").challengePool>} pool every challenge of the page
 * @property {() => object} extras what the person added for the server: `public_key`, `enrollment_code`
 * @property {(armored: string) => void} takeKey takes a public key to send along
 *
 * @typedef {object} Way
 * @property {string} id
 * @property {string} title what the person chooses by
 * @property {(login: Login) => Promise<boolean>} isThere whether this browser has it now
 * @property {(login: Login) => HTMLElement} open its panel
 * @property {() => void} [close] the panel is left: nothing of it goes on
 * @property {() => void} [changed] the person, or what they share, is another now
 * @property {() => void} [again] the person wants to sign once more
 */

import { el, settings } from "./dom.js";
import { extension } from "./extension.js";
import { partMissing } from "./trouble.js";
import { say } from "./words.js";

/**
 * A way whose module is fetched when it is opened first: most people open one.
 * @param {{ id: string, title: string, isThere: () => boolean | Promise<boolean>, load: () => Promise<Way> }} what
 * @returns {Way}
 */
function fetched({ id, title, isThere, load }) {
  let way = null, place = null;
  return {
    id,
    title,
    isThere: async () => isThere(),
    open(login) {
      if (way) return way.open(login);
      const mine = place = el("div", { "aria-busy": "true" });
      load().then((it) => {
        way = it;
        // It may have been left while it came.
        if (place === mine) mine.replaceWith(way.open(login));
      }, () => {
        mine.removeAttribute("aria-busy");
        mine.replaceChildren(partMissing());
      });
      return mine;
    },
    close() {
      place = null;
      way?.close?.();
    },
    changed: () => way?.changed?.(),
    again: () => way?.again?.(),
  };
}

/** For how long the page waits to hear whether something can be stored, in milliseconds: it looks again later. */
const GLANCE = 1000;

let storing = null;

/** Whether this site may store something: some browsers have a database, and forbid it once it is opened. */
function canStore() {
  storing ??= new Promise((done) => {
    const name = "capauth-probe";
    const request = indexedDB.open(name);
    request.onsuccess = () => {
      request.result.close();
      indexedDB.deleteDatabase(name);
      done(true);
    };
    request.onerror = request.onblocked = () => done(false);
  }).catch(() => false);
  return Promise.race([storing, new Promise((done) => { setTimeout(done, GLANCE, false); })]);
}

const canHoldKeys = () => globalThis.isSecureContext && globalThis.Worker && globalThis.indexedDB && globalThis.crypto?.subtle;

const browserKey = fetched({
  id: "browser",
  title: say("browser.title"),
  isThere: async () => Boolean(canHoldKeys()) && canStore(),
  load: () => import("./browser_key.js").then((it) => it.browserKey),
});

const anotherDevice = fetched({
  id: "device",
  title: say("device.title"),
  isThere: () => settings.qr === true,
  load: () => import("./another_device.js").then((it) => it.anotherDevice),
});

const gpg = fetched({
  id: "gpg",
  title: say("gpg.title"),
  isThere: () => true,
  load: () => import("./gpg.js").then((it) => it.gpg),
});

/** @type {Way[]} */
export const ways = [extension, browserKey, anotherDevice, gpg];
