// Two devices: one that shows a QR code, and one whose camera sees it.

import assert from "node:assert/strict";

import { loginPayload } from "../../../capauth-tower/pages/assets/payload.js";
import { detachSign } from "./gpg.mjs";

export const LOGIN = "/auth/capauth/login";
/** Opens the login page and asks for another device. Answers the page, and what the server told it. */
export async function desktop(harness, { at = LOGIN, ...options } = {}) {
  const page = await harness.page(undefined, options);
  const told = await askForDevice(page, () => page.goto(harness.url(at)));
  return { page, told };
}

/** Does something after which the way is offered, and chooses it; answers what the server told. */
export async function askForDevice(page, before = async () => {}) {
  const answer = page.waitForResponse((it) => it.url().endsWith("/auth/capauth/qr-challenge"));
  await before();
  await choose(page);
  await page.locator("img.qr").waitFor();
  return (await answer).json();
}

/** Opens the panel, where it is not open yet. */
export async function choose(page) {
  const way = page.getByRole("button", { name: "Your phone, or another device" });
  await way.waitFor();
  if (await way.getAttribute("aria-expanded") === "false") await way.click();
}

/** What a camera reads in the picture as it stands on the screen. */
export const scan = (harness, page) => harness.readQr(page.locator("img.qr"));

/** The code as the person reads it. */
export async function codeOn(page) {
  const digits = (await page.locator("p.digits").textContent()).replace(/\D/g, "");
  assert.match(digits, /^\d{6}$/);
  return digits;
}

/** Six other digits. */
export const wrong = (code) => String((Number(code) + 1) % 1_000_000).padStart(6, "0");

/** Gives a context an extension that signs for this person. */
export async function withExtension(context, person) {
  await context.exposeFunction("capauthTestSign", (text) => detachSign(person.fingerprint, text));
  await context.addInitScript((fingerprint) => {
    const sign = window.capauthTestSign;
    window.capauth = {
      getFingerprint: async () => fingerprint,
      async signChallenge({ nonce, client_nonce_echo, timestamp, service, expires }) {
        const { origin } = location;
        const lines = ["CAPAUTH_NONCE_V2", `nonce=${nonce}`, `client_nonce=${client_nonce_echo}`, `origin=${origin}`,
          `timestamp=${timestamp}`, `service=${service}`, `expires=${expires}`];
        return { signature: await sign(lines.join("\n")), fingerprint, origin };
      },
    };
  }, person.fingerprint);
}

/** A phone with such an extension, at what its camera saw. */
export async function phone(harness, person, link, options = {}) {
  const page = await harness.phone(undefined, options);
  await withExtension(page.context(), person);
  await page.goto(link);
  return page;
}

/** Types the code, and goes on. */
export async function type(page, code, button = "Continue") {
  await page.getByLabel("The six digits that the other device shows").fill(code);
  await page.getByRole("button", { name: button }).click();
}

/** Signs with the extension. */
export const sign = (page) => page.getByRole("button", { name: "Sign with the extension" }).click();

const json = { "content-type": "application/json" };
const post = (url, body) => fetch(url, { method: "POST", headers: json, body: JSON.stringify(body) });

/** Signs in once from a program, so that the key is known. */
export async function enrol({ base }, { fingerprint, publicKey }) {
  const client_nonce = Buffer.from("sixteen bytes!!!").toString("base64");
  const asked = await (await post(`${base}/auth/capauth/challenge`, { fingerprint, client_nonce, origin: base })).json();
  const nonce_signature = await detachSign(fingerprint, loginPayload(asked));
  const answer = { fingerprint, nonce: asked.nonce, nonce_signature, public_key: publicKey };
  const answered = await post(`${base}/auth/capauth/verify`, answer);
  assert.equal(answered.status, 200, await answered.text());
}

/** What a phone's program reads in the link. */
export const payloadOf = (link) => JSON.parse(Buffer.from(link.split("#")[1], "base64url").toString());

/** Answers a login from a program, with `more` (such as a code) beside the signature. */
export async function answer(link, { fingerprint, publicKey }, more = {}) {
  const asked = payloadOf(link);
  const nonce_signature = await detachSign(fingerprint, loginPayload(asked));
  const body = { fingerprint, nonce: asked.nonce, nonce_signature, public_key: publicKey, ...more };
  const answered = await post(asked.callback, body);
  return { status: answered.status, body: await answered.json() };
}

/** A link that says this: JSON of an object, or a text as it is. */
export const linkTo = (base, told) =>
  `${base}/auth/capauth/qr#${Buffer.from(typeof told === "string" ? told : JSON.stringify(told)).toString("base64url")}`;
