// What people sign about their keys, to the byte as the server will rebuild it.

const text = (purpose, members) =>
  [purpose, ...Object.entries(members).map(([name, value]) => `${name}=${value}`)].join("\n");

/** Two keys are one identity's; signed by the first alone, no longer. */
export function parting({ nonce, service, timestamp }, primary, secondary) {
  return text("CAPAUTH_LINK_V1", { nonce, service, primary, secondary, timestamp });
}

/** A new key takes an old one's place. `hash` is the SHA-256 of its certificate as it is sent. */
export function replacement({ nonce, service, timestamp }, old, fresh, hash) {
  return text("CAPAUTH_ROTATION_V1", {
    nonce, service, old_fingerprint: old, new_fingerprint: fresh, new_public_key_sha256: hash, timestamp,
  });
}

/** SHA-256 of a text, in small hexadecimal digits. Browsers have it where the page came over TLS, or from this computer. */
export async function sha256(whole) {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(whole)));
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
