// A key that signs for a time without its passphrase. What is kept for that is a WebCrypto key that signs and that the
// browser gives out to nobody: whatever runs in this site meanwhile may have it sign, and never gets to know it. Its
// OpenPGP signatures are put together here, so that this needs no OpenPGP.js.

const RSA = [1, 3];
const ECDSA = 19;
const EDDSA_LEGACY = 22;
const ED25519 = 27;
const SHA512 = 10;

const concat = (...parts) => new Uint8Array(parts.flatMap((part) => Array.from(part)));
const base64url = (bytes) => bytes.toBase64?.({ alphabet: "base64url", omitPadding: true })
  ?? btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const number = (bytes) => BigInt(`0x${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("") || "0"}`);
const bytesOf = (value) => {
  const text = value.toString(16);
  const even = text.length % 2 ? `0${text}` : text;
  return Uint8Array.from(even.match(/../g), (pair) => parseInt(pair, 16));
};

/** At the left as many zeros as it takes: OpenPGP leaves them out. */
const padded = (bytes, length) => concat(new Uint8Array(Math.max(length - bytes.length, 0)), bytes);

/** How WebCrypto takes a key of OpenPGP.js's: `[algorithm, key]`, or `undefined` for what it does not know. */
function translated({ algorithm, publicParams: open, privateParams: secret }) {
  if (algorithm === ED25519 || algorithm === EDDSA_LEGACY) {
    const x = open.A ?? open.Q.subarray(1);
    return [{ name: "Ed25519" }, { kty: "OKP", crv: "Ed25519", x: base64url(x), d: base64url(padded(secret.seed, 32)) }];
  }
  if (algorithm === ECDSA) {
    const length = (open.Q.length - 1) / 2;
    const crv = { 32: "P-256", 48: "P-384", 66: "P-521" }[length];
    const [x, y] = [open.Q.subarray(1, 1 + length), open.Q.subarray(1 + length)];
    const key = { kty: "EC", crv, x: base64url(x), y: base64url(y), d: base64url(padded(secret.d, length)) };
    return crv && [{ name: "ECDSA", namedCurve: crv, hash: "SHA-512" }, key];
  }
  if (!RSA.includes(algorithm)) return undefined;
  // OpenPGP's u is the inverse of p modulo q, and WebCrypto's qi that of q modulo p: the two change places.
  const remainder = (prime) => base64url(bytesOf(number(secret.d) % (number(prime) - 1n)));
  const key = {
    kty: "RSA", n: base64url(open.n), e: base64url(open.e), d: base64url(secret.d), p: base64url(secret.q),
    q: base64url(secret.p), dp: remainder(secret.q), dq: remainder(secret.p), qi: base64url(secret.u),
  };
  return [{ name: "RSASSA-PKCS1-v1_5", hash: "SHA-512" }, key];
}

/**
 * What is kept of a decrypted secret key packet of OpenPGP.js's so that it signs later; `undefined` where this browser
 * or this kind of key does not allow that.
 */
export async function keepable(packet) {
  if (packet.version !== 4) return undefined;
  try {
    const [algorithm, jwk] = translated(packet) ?? [];
    if (!algorithm) return undefined;
    const key = await crypto.subtle.importKey("jwk", jwk, algorithm, false, ["sign"]);
    return { key, algorithm, kind: packet.algorithm, signer: Uint8Array.from(packet.getFingerprintBytes()) };
  } catch {
    return undefined;
  }
}

/** A number as OpenPGP writes it: without zeros at the left, after its length in bits. */
function mpi(bytes) {
  const first = bytes.findIndex((byte) => byte !== 0);
  const digits = first < 0 ? new Uint8Array() : bytes.subarray(first);
  const bits = digits.length && digits.length * 8 - (Math.clz32(digits[0]) - 24);
  return concat([bits >> 8, bits & 255], digits);
}

function mpis(kind, signature) {
  if (kind === ED25519) return signature;
  if (RSA.includes(kind)) return mpi(signature);
  const half = signature.length / 2;
  return concat(mpi(signature.subarray(0, half)), mpi(signature.subarray(half)));
}

const four = (value) => new Uint8Array([value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255]);
const two = (value) => new Uint8Array([value >>> 8, value & 255]);

/** The packet's head and a length of up to four octets (RFC 9580, 4.2.1). */
const packet = (body) => concat([0xc2, 0xff], four(body.length), body);

function armor(bytes) {
  const lines = btoa(String.fromCharCode(...bytes)).match(/.{1,64}/g);
  return ["-----BEGIN PGP SIGNATURE-----", "", ...lines, "-----END PGP SIGNATURE-----", ""].join("\n");
}

/** An armored detached signature of what was kept over a text: of a binary document, version 4 (RFC 9580, 5.2.3). */
export async function signUnlocked({ key, algorithm, kind, signer }, text) {
  const seconds = Math.floor(Date.now() / 1000);
  const subpackets = concat([5, 2], four(seconds), [signer.length + 2, 33, 4], signer);
  const hashed = concat([4, 0, kind, SHA512], two(subpackets.length), subpackets);
  const data = concat(new TextEncoder().encode(text), hashed, [4, 255], four(hashed.length));
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-512", data));
  // EdDSA in OpenPGP signs the digest; the others make it themselves.
  const signed = algorithm.name === "Ed25519" ? digest : data;
  const signature = new Uint8Array(await crypto.subtle.sign(algorithm, key, signed));
  const issuer = concat([9, 16], signer.subarray(-8));
  const body = concat(hashed, two(issuer.length), issuer, digest.subarray(0, 2), mpis(kind, signature));
  return armor(packet(body));
}
