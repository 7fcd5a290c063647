// Challenges: fetched, looked at before anybody signs them, kept while they live, and renewed while somebody is there.

import { call, Refused } from "./api.js";
import { isForThisPage, loginPayload } from "./payload.js";
import { say } from "./words.js";

/** The server's times are whole seconds: the last one does not count. */
const MARGIN = 1000;

/** How long the server may take to answer, in milliseconds. */
const ANSWER = 45_000;

/** How soon a request that nobody answered is made again, while the challenge before still lives. */
const AGAIN = 5000;

/** For how long challenges are renewed for somebody who does nothing. */
const PATIENCE = 5 * 60 * 1000;

/**
 * A challenge, and what the page knows of it.
 * @typedef {object} Kept
 * @property {object} challenge as the server sent it
 * @property {string} fingerprint whom it is for
 * @property {number} began when it was asked for, by this browser's clock
 * @property {number} ends when it is over, by this browser's clock
 * @property {object} claims what is to be signed along with it
 * @property {boolean} copied whether somebody took it away to sign it
 */

/**
 * The challenges of one page.
 * @param {{ service: string, server: string | null, lifetime: number, path?: string }} settings `path`: where they are made
 */
export function challengePool({ service, server, lifetime, path = "challenge" }) {
  /** @type {Kept[]} the newest first, and dead ones too: they say what came too late */
  let kept = [];

  /** A new one. @returns {Promise<Kept>} */
  async function fresh(fingerprint) {
    const began = Date.now();
    const clientNonce = randomText();
    const challenge = await ask(path, { fingerprint, client_nonce: clientNonce, origin: location.origin });
    const isOurs = challenge && typeof challenge === "object" && isForThisPage(challenge, service)
      && challenge.client_nonce_echo === clientNonce;
    if (!isOurs) throw new Refused("foreign_challenge", say("login.foreign_challenge"));
    if (!(await isServers(challenge, server))) throw new Refused("unsigned_challenge", say("login.unsigned_challenge"));
    const said = Date.parse(challenge.expires) - Date.parse(challenge.timestamp);
    const life = Math.min(said > 0 ? said : Infinity, lifetime * 1000);
    const one = { challenge, fingerprint, began, ends: began + life - MARGIN, claims: {}, copied: false };
    kept = [one, ...kept].slice(0, 8);
    return one;
  }

  /** Those that can still be answered, the newest first. @returns {Kept[]} */
  const living = (fingerprint) => kept.filter((one) => one.fingerprint === fingerprint && one.ends > Date.now());

  return {
    fresh,
    living,
    /** Those that were taken away to be signed, alive or not. */
    copied: (fingerprint) => kept.filter((one) => one.fingerprint === fingerprint && one.copied),
    /** The newest if more than half of its time is left, else a new one. @returns {Promise<Kept>} */
    async current(fingerprint) {
      const [newest] = living(fingerprint);
      return newest && !isHalfGone(newest) ? newest : fresh(fingerprint);
    },
    /** Whether the challenge with this nonce can still be answered. */
    lives: (nonce) => kept.some((one) => one.challenge.nonce === nonce && one.ends > Date.now()),
    /** It was answered, or the server knows it no longer. */
    drop(nonce) {
      for (const one of kept) if (one.challenge.nonce === nonce) one.ends = 0;
    },
  };
}

/** Asks the server; one that does not answer in time counts as one that is not there. */
async function ask(path, body) {
  try {
    return await call("POST", path, body, { signal: AbortSignal.timeout(ANSWER) });
  } catch (error) {
    throw error instanceof Refused ? error : new Refused("unreachable", say("error.unreachable"));
  }
}

const isHalfGone = ({ began, ends }) => Date.now() - began > (ends - began) / 2;

/** Sixteen random bytes: that they come back shows that the challenge was made for this very request. */
function randomText() {
  return btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(16))));
}

/** Whether the server signed it, where there is a key to sign with. Only then is OpenPGP.js loaded. */
async function isServers(challenge, server) {
  const { server_signature: signature, server_public_key: certificate } = challenge;
  if (!server && !signature) return true;
  if (!signature || !certificate) return false;
  const { serverSigned } = await import("./keys.js");
  return serverSigned({ payload: loginPayload(challenge), signature, certificate, fingerprint: server });
}

/**
 * Renews challenges for as long as the page is seen and somebody is there.
 * @param {object} what
 * @param {ReturnType<typeof challengePool>} what.pool
 * @param {string} what.fingerprint
 * @param {(one: Kept) => void} what.onFresh there is a new one
 * @param {() => void} what.onTick a second went by
 * @param {(error?: Error) => void} what.onPause it goes on no more, until `go`: nobody did anything, or there is no new one
 *   and the last is over
 */
export function renewal({ pool, fingerprint, onFresh, onTick, onPause }) {
  let timer = 0, since = 0, next = 0, busy = false, stopped = false;

  function tick() {
    if (document.hidden || !timer) return;
    const [newest] = pool.living(fingerprint);
    if (!busy && (!newest || (isHalfGone(newest) && Date.now() >= next))) {
      if (Date.now() - since > PATIENCE) return pause();
      renew();
    }
    onTick();
  }

  async function renew() {
    busy = true;
    try {
      const one = await pool.fresh(fingerprint);
      if (!stopped) onFresh(one);
    } catch (error) {
      if (stopped) return;
      // What is there is good for a while yet: meanwhile the server may come back.
      const mayComeBack = ["unreachable", "server_error"].includes(error.code) && pool.living(fingerprint).length > 0;
      if (mayComeBack) next = Date.now() + AGAIN;
      else pause(error);
    } finally {
      busy = false;
    }
  }

  function halt() {
    clearInterval(timer);
    timer = 0;
  }

  function pause(error) {
    halt();
    document.removeEventListener("visibilitychange", seen);
    onPause(error);
  }

  /** A page that is not seen asks for nothing. */
  function seen() {
    halt();
    if (document.hidden || stopped) return;
    timer = setInterval(tick, 1000);
    tick();
  }

  return {
    /** Begins, or goes on. */
    go() {
      if (stopped) return;
      since = Date.now();
      document.addEventListener("visibilitychange", seen);
      seen();
    },
    /** Somebody did something: the time begins anew. */
    touch() {
      since = Date.now();
    },
    stop() {
      stopped = true;
      halt();
      document.removeEventListener("visibilitychange", seen);
    },
  };
}
