// What the keeper does with OpenPGP.js, which is loaded when the first of it is asked for.

import { Trouble } from "./keeper_store.js";
import { keepable } from "./keeper_unlocked.js";

/** What a login's certificate may have as text (the protocol's bound), and what a secret key may. */
const MAX_PUBLIC_KEY = 96 * 1024;
const MAX_SECRET_KEY = 256 * 1024;
const MAX_SIGNATURE = 64 * 1024;

/** How far the server's clock may be ahead of this one, in milliseconds. */
const AHEAD = 5 * 60 * 1000;

/** What a key made here is called inside: OpenPGP demands something, and it says nothing about anybody. */
const NOBODY = "CapAuth";

const SECRET = /-----BEGIN PGP PRIVATE KEY BLOCK-----[^]*?-----END PGP PRIVATE KEY BLOCK-----/g;

let loading;

function pgp() {
  loading ??= import("./openpgp.mjs").catch(() => {
    loading = undefined;
    throw new Trouble("broken", "loading");
  });
  return loading;
}

/** Locks a key. Argon2 needs memory and WebAssembly; where that is not to be had, OpenPGP's older way at its slowest. */
async function lock(openpgp, privateKey, passphrase) {
  const { s2k, aead } = openpgp.enums;
  const best = { s2kType: s2k.argon2, aeadProtect: true, preferredAEADAlgorithm: aead.ocb };
  try {
    return await openpgp.encryptKey({ privateKey, passphrase, config: best });
  } catch {
    return lockForAll(openpgp, privateKey, passphrase);
  }
}

/** The same as every OpenPGP program opens it, GnuPG among them. */
function lockForAll(openpgp, privateKey, passphrase) {
  const config = { s2kType: openpgp.enums.s2k.iterated, s2kIterationCountByte: 255, aeadProtect: false };
  return openpgp.encryptKey({ privateKey, passphrase, config });
}

async function open(openpgp, privateKey, passphrase) {
  try {
    return await openpgp.decryptKey({ privateKey, passphrase });
  } catch (error) {
    if (/passphrase/i.test(error.message)) throw new Trouble("passphrase");
    if (/argon2|webassembly|memory/i.test(error.message)) throw new Trouble("broken", "memory");
    throw new Trouble("unusable");
  }
}

/**
 * What goes to servers: without pictures, without what others said about the key, and of its names and addresses only the
 * primary one, since what the key may be used for is signed together with that.
 */
async function publicHalf(key) {
  const half = key.toPublic();
  // Newer keys need none.
  const primary = await half.getPrimaryUser().then(({ user }) => user, () => null);
  half.users = primary ? [primary] : [];
  for (const user of half.users) user.otherCertifications = [];
  const armored = half.armor();
  if (armored.length > MAX_PUBLIC_KEY) throw new Trouble("unusable", "large");
  return armored;
}

/** What is kept of a key whose secret half `decrypted` is open. It is closed here, and wiped. */
async function record(openpgp, decrypted, passphrase, { label, saved, publicKey, expires }) {
  try {
    const signing = await decrypted.getSigningKey();
    const stays = Boolean(await keepable(signing.keyPacket));
    const secret = (await lock(openpgp, decrypted, passphrase)).armor();
    const created = decrypted.getCreationTime().toISOString();
    const fingerprint = decrypted.getFingerprint().toUpperCase();
    return { fingerprint, label, created, expires, used: Date.now(), saved, stays, secret, public: publicKey };
  } finally {
    decrypted.clearPrivateParams();
  }
}

/** Makes a key: Ed25519, in the form that GnuPG knows, without an end. */
export async function make({ label, passphrase }) {
  const openpgp = await pgp();
  const { privateKey } = await openpgp.generateKey({
    type: "ecc", curve: "ed25519Legacy", userIDs: [{ name: NOBODY }], subkeys: [], format: "object",
  });
  const about = { label, saved: false, publicKey: privateKey.toPublic().armor(), expires: null };
  return record(openpgp, privateKey, passphrase, about);
}

/** The one secret key in a text or in the bytes of a file. */
async function theSecretKey(openpgp, given) {
  if (given.length > MAX_SECRET_KEY) throw new Trouble("unusable", "large");
  let found;
  try {
    if (typeof given !== "string") {
      found = await openpgp.readKeys({ binaryKeys: given });
    } else {
      const blocks = given.match(SECRET) ?? [];
      if (blocks.length > 1) throw new Trouble("unusable", "several");
      found = await openpgp.readKeys({ armoredKeys: blocks[0] ?? given });
    }
  } catch (error) {
    throw error instanceof Trouble ? error : new Trouble("unusable", "garbage");
  }
  if (found.length > 1) throw new Trouble("unusable", "several");
  if (!found[0]?.isPrivate()) throw new Trouble("unusable", found[0] ? "public" : "garbage");
  return found[0];
}

const lacksSecret = ({ keyPacket }) => keyPacket.isMissingSecretKeyMaterial();

/** Whether it can sign a login now; when it ends. Throws what keeps it from that. */
async function examine(key) {
  if (await key.isRevoked()) throw new Trouble("revoked");
  let expires = await key.getExpirationTime().catch(() => null);
  if (expires === null) throw new Trouble("unusable");
  if (expires <= new Date()) throw new Trouble("expired");
  let signing;
  try {
    signing = await key.getSigningKey();
  } catch {
    // A subkey that signed once and has expired is told from a key that never could.
    const earlier = await Promise.all([key, ...key.subkeys].map((part) =>
      key.getSigningKey(part.getKeyID(), part.getCreationTime()).catch(() => null)));
    throw new Trouble(earlier.some(Boolean) ? "expired" : "unusable");
  }
  if (lacksSecret(signing)) throw new Trouble("unusable", "stub");
  if (signing !== key) {
    const itsEnd = await signing.getExpirationTime();
    if (itsEnd < expires) expires = itsEnd;
  }
  return expires === Infinity ? null : expires.toISOString();
}

/** What a file or a paste holds, before anybody types a passphrase. */
export async function look({ armored }) {
  const key = await theSecretKey(await pgp(), armored);
  const expires = await examine(key);
  const isProtected = key.getKeys().some(({ keyPacket }) => !lacksSecret({ keyPacket }) && !keyPacket.isDecrypted());
  const name = key.getUserIDs()[0] ?? "";
  return { fingerprint: key.getFingerprint().toUpperCase(), expires, isProtected, name: name.slice(0, 100) };
}

/** Takes a secret key in. */
export async function take({ armored, passphrase, newPassphrase, label }, checkNew) {
  const openpgp = await pgp();
  const key = await theSecretKey(openpgp, armored);
  const expires = await examine(key);
  const publicKey = await publicHalf(key);
  if (key.keyPacket.unparseableKeyMaterial) throw new Trouble("unusable", "stub");
  key.subkeys = key.subkeys.filter((subkey) => !lacksSecret(subkey));
  const parts = key.getKeys().filter((part) => !lacksSecret(part));
  const open_parts = parts.filter(({ keyPacket }) => keyPacket.isDecrypted());
  const about = { label, saved: true, publicKey, expires };
  if (open_parts.length === parts.length) {
    if (!newPassphrase) throw new Trouble("passphrase", "unprotected");
    checkNew(newPassphrase);
    await key.validate().catch(() => { throw new Trouble("unusable"); });
    return record(openpgp, key, newPassphrase, about);
  }
  if (open_parts.length) throw new Trouble("unusable", "mixed");
  if (!passphrase) throw new Trouble("passphrase", "wanted");
  return record(openpgp, await open(openpgp, key, passphrase), passphrase, about);
}

/**
 * Signs texts with a key that its passphrase opens; `byPrimary`: with its primary key, and not with a subkey. Answers the
 * signatures, armored, and what may be kept so that it signs on (`undefined` unless `keep`).
 */
export async function sign({ secret }, passphrase, texts, { byPrimary = false, keep = false } = {}) {
  const openpgp = await pgp();
  const locked = await openpgp.readPrivateKey({ armoredKey: secret });
  await examine(locked);
  const key = await open(openpgp, locked, passphrase);
  try {
    const chosen = byPrimary ? key.getKeyID() : null;
    const signing = await key.getSigningKey(chosen).catch(() => { throw new Trouble("unusable"); });
    if (lacksSecret(signing)) throw new Trouble("unusable", "stub");
    const signatures = [];
    for (const text of texts) {
      const message = await openpgp.createMessage({ binary: new TextEncoder().encode(text) });
      const how = { message, signingKeys: key, signingKeyIDs: signing.getKeyID(), detached: true };
      signatures.push(await openpgp.sign(how));
    }
    return { signatures, kept: keep ? await keepable(signing.keyPacket) : undefined };
  } finally {
    key.clearPrivateParams();
  }
}

/** A copy that every OpenPGP program opens, under the same passphrase. */
export async function copy({ secret }, passphrase) {
  const openpgp = await pgp();
  const key = await open(openpgp, await openpgp.readPrivateKey({ armoredKey: secret }), passphrase);
  try {
    return (await lockForAll(openpgp, key, passphrase)).armor();
  } finally {
    key.clearPrivateParams();
  }
}

/** Whether `signature` is a good one now, over the payload, by the certificate with this fingerprint. */
export async function verifies({ payload, signature, certificate, fingerprint }) {
  const texts = [payload, signature, certificate];
  if (!texts.every((text) => typeof text === "string" && text !== "")) return false;
  if (signature.length > MAX_SIGNATURE || certificate.length > MAX_PUBLIC_KEY || payload.length > 4096) return false;
  const openpgp = await pgp();
  try {
    const [key, ...others] = await openpgp.readKeys({ armoredKeys: certificate });
    if (others.length || key.isPrivate()) return false;
    const known = fingerprint ? String(fingerprint).replace(/\s/g, "").toLowerCase() : key.getFingerprint();
    if (key.getFingerprint() !== known) return false;
    const read = await openpgp.readSignature({ armoredSignature: signature });
    const [now, made] = [Date.now(), read.packets[0].created.getTime()];
    const date = new Date(made > now && made - now < AHEAD ? made : now);
    // `verify` asks whether the key was good when it signed, which whoever signs may choose: it is to be good now.
    await key.getSigningKey(read.packets[0].issuerKeyID, date);
    const message = await openpgp.createMessage({ binary: new TextEncoder().encode(payload) });
    const { signatures } = await openpgp.verify({ message, signature: read, verificationKeys: key, date });
    return signatures.length === 1 && await signatures[0].verified;
  } catch {
    return false;
  }
}
