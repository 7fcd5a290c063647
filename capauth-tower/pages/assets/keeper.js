// The keeper of this browser's keys: a worker that no page looks into, and whose policy leaves it no way to the network.
// It answers a few questions. What it signs it writes itself, for its own site alone.

import { allKeys, dropKey, keepSwept, key, lock, note, putKey, Trouble, unlock, unlocked } from "./keeper_store.js";
import { cancellationPayload, canonical, claimsPayload, loginPayload } from "./payload.js";

/** What is loaded when it is first needed: most who open a page do not sign with a key of this browser. */
const loaded = (module) => module.catch(() => { throw new Trouble("broken", "loading"); });
const pgp = () => loaded(import("./keeper_pgp.js"));
const unlockedKeys = () => loaded(import("./keeper_unlocked.js"));

/** The longest for which a key may stay unlocked, in seconds. */
const LONGEST = 8 * 3600;
const MIN_PASSPHRASE = 8;
const MAX_PASSPHRASE = 1024;
const MAX_LABEL = 100;
const MAX_CLAIMS = 8 * 1024;
const MAX_KNOWN = 64;

/** The protocol's bounds of what a payload is made of. */
const BOUNDS = { nonce: 64, client_nonce_echo: 128, origin: 300, timestamp: 40, service: 253, expires: 40 };

/** A field that is one: nothing in it begins another line, and it means the same to everybody who reads it. */
const isField = (value, bound) =>
  typeof value === "string" && value !== "" && value.length <= bound && !/[\p{Cc}\p{Cs}\u2028\u2029]/u.test(value);

/** Those fields of what a page sent that a payload has; nothing else of it is looked at. */
function fields(given, names) {
  const wanted = Object.fromEntries(names.map((name) => [name, given?.[name]]));
  if (!names.every((name) => isField(wanted[name], BOUNDS[name]))) throw new Trouble("unusable", "foreign");
  return wanted;
}

/** Claims as they go over the wire; `null` for none. */
function theClaims(given) {
  const claims = JSON.parse(JSON.stringify(given ?? {}));
  if (typeof claims !== "object" || Array.isArray(claims)) throw new Trouble("unusable", "claims");
  if (Object.keys(claims).length === 0) return null;
  const strings = [];
  JSON.stringify(claims, (name, value) => {
    strings.push(name, typeof value === "string" ? value : "");
    return value;
  });
  const spoilt = (text) => /[\p{Cc}\p{Cs}]/u.test(text.replace(/[\n\t]/g, ""));
  if (strings.some(spoilt) || canonical(claims).length > MAX_CLAIMS) throw new Trouble("unusable", "claims");
  return claims;
}

function checkNew(passphrase) {
  if (typeof passphrase !== "string" || passphrase.length < MIN_PASSPHRASE) throw new Trouble("passphrase", "short");
  if (passphrase.length > MAX_PASSPHRASE) throw new Trouble("passphrase", "long");
}

/** A passphrase as it was typed; `undefined` for none. */
function typed(passphrase) {
  if (passphrase === undefined || passphrase === null || passphrase === "") return undefined;
  if (typeof passphrase !== "string" || passphrase.length > MAX_PASSPHRASE) throw new Trouble("passphrase");
  return passphrase;
}

const label = (text) => (typeof text === "string" ? text.trim().slice(0, MAX_LABEL) : "");

/** The services that have a key's certificate, as far as this browser knows. */
const knownTo = ({ known }) => known ?? [];

/** What the page gets to know of a key. */
const shown = ({ fingerprint, label: name, created, expires, unlocked: left = 0, saved, stays }) =>
  ({ fingerprint, label: name, created, expires, unlocked: left, saved, stays });

/** Signs with what is unlocked, or with the passphrase. */
async function signTexts(fingerprint, texts, passphrase, keepUnlocked) {
  const record = await key(fingerprint);
  if (passphrase === undefined) {
    const kept = await unlocked(record.fingerprint);
    const isOver = record.expires && Date.parse(record.expires) <= Date.now();
    // With the passphrase the key itself is asked, which may have another part that still signs.
    if (!kept || isOver) throw new Trouble("locked");
    const { signUnlocked } = await unlockedKeys();
    const signatures = [];
    for (const text of texts) signatures.push(await signUnlocked(kept, text));
    return { record, signatures };
  }
  const seconds = Math.min(Math.max(Math.trunc(Number(keepUnlocked)) || 0, 0), LONGEST);
  const { sign } = await pgp();
  const { signatures, kept } = await sign(record, passphrase, texts, { keep: seconds > 0 });
  // It is signed. A browser that does not store keys of its own asks for the passphrase again next time, and that is all.
  await (kept ? unlock(record.fingerprint, kept, seconds) : lock(record.fingerprint)).catch(() => {});
  return { record, signatures };
}

const tasks = {
  async list() {
    return (await allKeys()).map(shown);
  },

  async make({ label: name, passphrase }) {
    checkNew(passphrase);
    const { make } = await pgp();
    return shown(await putKey(await make({ label: label(name), passphrase })));
  },

  async look({ armored }) {
    return (await pgp()).look({ armored: text(armored) });
  },

  async import({ armored, passphrase, newPassphrase, label: name }) {
    const wanted = { armored: text(armored), passphrase: typed(passphrase), newPassphrase, label: label(name) };
    const { take } = await pgp();
    return shown(await putKey(await take(wanted, checkNew)));
  },

  async signLogin({ fingerprint, challenge, claims, passphrase, keepUnlocked }) {
    const login = fields(challenge, Object.keys(BOUNDS));
    if (login.origin !== self.location.origin) throw new Trouble("unusable", "foreign");
    const asserted = theClaims(claims);
    const texts = [loginPayload(login)];
    if (asserted) texts.push(claimsPayload(String(fingerprint), login.nonce, asserted));
    const { record, signatures } = await signTexts(fingerprint, texts, typed(passphrase), keepUnlocked);
    await note(record.fingerprint, { used: Date.now() });
    return {
      nonce_signature: signatures[0], claims_signature: signatures[1] ?? null, public_key: record.public,
      isKnown: knownTo(record).includes(login.service),
    };
  },

  async signCancellation({ fingerprint, nonce, service, timestamp, passphrase }) {
    const wanted = fields({ nonce, service, timestamp }, ["nonce", "service", "timestamp"]);
    const record = await key(fingerprint);
    const opens = typed(passphrase);
    // The primary key says this; what is unlocked may be a subkey.
    if (opens === undefined) throw new Trouble("locked");
    const texts = [cancellationPayload({ ...wanted, old_fingerprint: record.fingerprint })];
    const { sign } = await pgp();
    const { signatures } = await sign(record, opens, texts, { byPrimary: true });
    return { signature: signatures[0] };
  },

  async export({ fingerprint, passphrase }) {
    const record = await key(fingerprint);
    const opens = typed(passphrase);
    const armored = opens === undefined ? record.secret : await (await pgp()).copy(record, opens);
    return { armored };
  },

  saved: async ({ fingerprint }) => note((await key(fingerprint)).fingerprint, { saved: true }),

  /** Which services have the certificate. Another certificate of the key is another record, and known to none. */
  async known({ fingerprint, service, isKnown }) {
    const { service: name } = fields({ service }, ["service"]);
    const record = await key(fingerprint);
    const others = knownTo(record).filter((it) => it !== name);
    await note(record.fingerprint, { known: (isKnown === true ? [name, ...others] : others).slice(0, MAX_KNOWN) });
  },

  public: async ({ fingerprint }) => ({ armored: (await key(fingerprint)).public }),
  lock: ({ fingerprint }) => lock(fingerprint),
  forget: ({ fingerprint }) => dropKey(fingerprint),
  serverSigned: async (asked) => (await pgp()).verifies(asked),
};

/** A key as text, or as the bytes of a file. */
function text(armored) {
  if (typeof armored === "string" || armored instanceof Uint8Array) return armored;
  throw new Trouble("unusable", "garbage");
}

self.addEventListener("message", async ({ data: { id, task, asked } }) => {
  try {
    if (!Object.hasOwn(tasks, task)) throw new Trouble("broken");
    self.postMessage({ id, answer: await tasks[task](asked ?? {}) });
  } catch (error) {
    // What went wrong inside may speak of what is inside: only our own words go out.
    const { code, why } = error instanceof Trouble ? error : new Trouble("broken");
    self.postMessage({ id, trouble: { code, why } });
  }
});

keepSwept().catch(() => {});
