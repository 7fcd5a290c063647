// Whether the harness sees what it is there for.

import assert from "node:assert/strict";

import { Harness } from "../harness.mjs";
import { openpgp } from "../modules.mjs";

/** A page of another site, which does all that ours must not. */
const BAD = (foreign) => `<!doctype html><html lang="en"><title>Bad</title>
<meta http-equiv="content-security-policy" content="img-src 'none'">
<body style="width: 3000px"><style>:focus { outline: none }</style><button style="color: #eee; background: #fff">Unreadable</button><input>
<script>
  console.error("a complaint");
  setTimeout(() => { throw new Error("a mistake"); });
  document.body.append(Object.assign(new Image(), { src: "/picture.png" }));
  alert("hello");
  fetch("${foreign}/collect", { mode: "no-cors" }).catch(() => {});
  const send = (secret) => {
    navigator.sendBeacon("/beacon", new Blob(["x" + btoa(secret)]));
    fetch("/form", { method: "POST", body: new URLSearchParams({ secret }) });
  };
</script>`;

/** A watched browser of its own, where everything goes wrong. */
export async function the_harness_sees_what_goes_wrong({ base, facts }) {
  const watched = await Harness.open({ base, facts });
  const site = await watched.site((request) => (request.path === "/" ? BAD("http://third.test:8079") : ""));
  const page = await watched.page();
  await page.goto(`${site.origin}/`);
  await assert.rejects(watched.gallery(page, "bad"), /wider than the screen/);
  await assert.rejects(watched.axe(page), /color-contrast[^]*label/);
  await assert.rejects(watched.keyboard.tabTo(page, page.getByRole("textbox")), /focus cannot be seen/);
  const budget = await watched.budget(page);
  await page.reload();
  await assert.rejects(budget.within({ requests: 1 }), /more than .* or 1 requests/);
  await assert.rejects(budget.within({ bytes: 600 }), /more than 600 bytes/);

  const key = await openpgp.generateKey({ userIDs: [{ name: "Eve" }], passphrase: "correct horse", format: "armored" });
  const [words, number] = ["a passphrase with spaces & signs", "\u0001binary and long enough"];
  for (const secret of [words, number, key.privateKey]) {
    await Promise.all([
      page.waitForResponse("**/beacon"),
      page.waitForResponse("**/form"),
      page.evaluate((it) => globalThis.eval("send")(it), secret),
    ]);
  }
  watched.expect("a complaint");
  watched.expect("something that does not happen");
  watched.secret(words, "words");
  watched.secret(number, "a number");
  await watched.privateKey(key.privateKey, "correct horse");
  const seen = await watched.finish().then(() => "", (error) => error.message);
  for (const words of [
    "page error: Error: a mistake",
    "dialog: alert: hello",
    "CSP violation: img-src: ",
    "foreign request: GET http://third.test:8079/collect",
    "refused by the relay: GET http://third.test:8079/collect",
    "never came: something that does not happen",
    ...["words", "a number", "a private key", "a private key's secret"].flatMap((name) =>
      ["beacon", "form"].map((path) => `${name} was sent: POST ${site.origin}/${path}`)),
  ]) {
    assert(seen.includes(words), `${words} is not among what was seen: ${seen}`);
  }
  assert(!seen.includes("a complaint") && !seen.includes("a passphrase"), seen);
}

/** An hour passes at once: on the server, in the page, or both. */
export async function the_harness_moves_the_clock({ harness }) {
  const page = await (await harness.context()).newPage();
  await harness.holdClock(page);
  await page.goto(harness.url("/auth/capauth/login"));
  const serverTime = async () => {
    const answer = await page.context().request.get(harness.url("/auth/capauth/login"));
    return Date.parse(answer.headers().date);
  };
  const [theirs, ours] = [await serverTime(), await page.evaluate(() => Date.now())];
  await harness.pass(3600, { page, server: true });
  assert(await serverTime() - theirs >= 3_600_000);
  assert(await page.evaluate(() => Date.now()) - ours >= 3_600_000);
  await harness.axe(page);
}

/** A phone reads the QR code that the server made. */
export async function the_harness_reads_a_code({ harness }) {
  const page = await harness.page("/auth/capauth/login");
  const { qr_url, qr_data_url } = await page.evaluate(async () => {
    const headers = { "content-type": "application/json" };
    const answer = await fetch("/auth/capauth/qr-challenge", { method: "POST", headers, body: "{}" });
    return answer.json();
  });
  const site = await harness.site({ "/": `<!doctype html><title>Code</title><img src="${qr_data_url}">` });
  const screen = await harness.page();
  await screen.goto(site.origin);
  assert.equal(await harness.readQr(screen.locator("img")), qr_url);
  await assert.rejects(harness.readQr(page.locator("h1")), /no QR code/);
  const phone = await harness.phone("/auth/capauth/login");
  assert(await phone.evaluate(() => matchMedia("(pointer: coarse)").matches));
}
