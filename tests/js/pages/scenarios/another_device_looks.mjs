// How the pages of a login by another device look in every state, to a screen reader, and without a mouse.

import assert from "node:assert/strict";

import { answer, askForDevice, desktop, enrol, LOGIN, payloadOf, phone, linkTo, scan, wrong } from "../devices.mjs";

const says = (page, words) => page.getByText(words).first().waitFor();

async function look(harness, page, name) {
  await harness.axe(page);
  await harness.gallery(page, name);
}

export async function every_state_of_the_desktop({ harness, facts }) {
  const { alice, bob } = facts.people;
  await enrol(harness, alice);
  const { page, told } = await desktop(harness, { at: `${LOGIN}?redirect=/capauth/admin` });
  await says(page, "The administrators’ page does not open by another device");
  await page.getByText("No camera at hand?").click();
  await look(harness, page, "code");
  await page.getByRole("button", { name: "Copy the link" }).click();
  await page.getByText("Copied").first().waitFor();
  assert.equal(await harness.clipboard(page), told.qr_url);
  assert.equal(await page.getByLabel("Link for your other device").inputValue(), told.qr_url);
  assert.equal((await answer(told.qr_url, bob)).status, 202);
  await says(page, "Is this your key?");
  await look(harness, page, "confirm");
  assert.equal((await answer(told.qr_url, alice, { code: told.code, decline: true })).status, 200);
  await says(page, "This sign-in was declined on the other device");
  await look(harness, page, "declined");
  // Elsewhere than at the administrators' page there is nothing to be said of it.
  await askForDevice(page, () => page.goto(harness.url(LOGIN)));
  assert.equal(await page.getByText("administrators’ page").count(), 0);
}

export async function every_state_of_the_phone({ harness, facts }) {
  const { alice } = facts.people;
  await enrol(harness, alice);
  harness.expect(/status of 401 .*qr-verify/);
  const { told } = await desktop(harness);
  const page = await phone(harness, alice, told.qr_url, { deviceScaleFactor: 1 });
  await page.getByLabel("The six digits").fill(wrong(told.code));
  await look(harness, page, "asks");
  const go = (name) => page.getByRole("button", { name }).click();
  await go("Continue");
  await says(page, "Nothing is shared but your key’s fingerprint.");
  await look(harness, page, "sign");
  await go("Share more");
  await look(harness, page, "sign-sharing");
  await go("Sign with the extension");
  await says(page, "The code does not match.");
  await look(harness, page, "wrong-code");
}

export async function every_end_on_the_phone({ harness, facts, base }) {
  const { alice } = facts.people;
  await enrol(harness, alice);
  const { told } = await desktop(harness);
  const page = await phone(harness, alice, told.qr_url, { deviceScaleFactor: 1 });
  const go = (name) => page.getByRole("button", { name }).click();
  await go("I did not ask for this");
  await look(harness, page, "decline");
  await page.getByLabel("The six digits").fill(told.code);
  await go("Go on to decline");
  await go("Sign with the extension");
  await says(page, "Nobody was signed in. You can close this page.");
  await look(harness, page, "declined");
  const ends = {
    none: `${base}/auth/capauth/qr`,
    elsewhere: linkTo(base, { ...payloadOf(told.qr_url), service: "evil.test" }),
  };
  for (const [name, link] of Object.entries(ends)) {
    await page.goto("about:blank");
    await page.goto(link);
    await page.locator("h2").waitFor();
    await look(harness, page, name);
  }
}

/** Nothing but keys on both devices; the focus is where the person goes on. */
export async function a_login_by_another_device_by_keyboard_alone({ harness, facts }) {
  const { alice } = facts.people;
  await enrol(harness, alice);
  const { keyboard } = harness;
  const screen = await harness.page(LOGIN);
  const way = screen.getByRole("button", { name: "Your phone, or another device" });
  await way.waitFor();
  if (await way.getAttribute("aria-expanded") === "true") await keyboard.press(screen, way);
  const told = await askForDevice(screen, () => keyboard.press(screen, way));
  await keyboard.press(screen, screen.locator("summary", { hasText: "No camera at hand?" }));
  await keyboard.press(screen, screen.getByRole("button", { name: "Copy the link" }));
  await screen.getByText("Copied").first().waitFor();
  const link = await harness.clipboard(screen);

  const hand = await phone(harness, alice, link, { isMobile: false, hasTouch: false });
  await keyboard.press(hand, hand.getByRole("button", { name: "Continue" }));
  const field = hand.getByLabel("The six digits");
  await says(hand, "The code has six digits.");
  assert(await field.evaluate((it) => it === document.activeElement), "the field to correct has the focus");
  await keyboard.type(hand, field, told.code);
  await hand.keyboard.press("Enter");
  const heading = hand.getByRole("heading", { name: `Sign in to ${told.service}`, exact: true });
  await heading.waitFor();
  assert(await heading.evaluate((it) => it === document.activeElement), "the next screen's heading has the focus");
  await keyboard.press(hand, hand.getByRole("button", { name: "Sign with the extension" }));
  await says(hand, "Signed in, on the device that shows the code");
  await harness.signedIn(screen, alice);
}

/** Dark on light with room around it, whatever the person's colours are. */
export async function a_picture_for_cameras_in_every_scheme({ harness }) {
  const { page, told } = await desktop(harness, { deviceScaleFactor: 2 });
  for (const media of [{ colorScheme: "dark" }, { forcedColors: "active" }, { colorScheme: "light", forcedColors: "none" }]) {
    await page.emulateMedia(media);
    assert.equal(await scan(harness, page), told.qr_url, JSON.stringify(media));
  }
  await page.setViewportSize({ width: 320, height: 640 });
  assert.equal(await scan(harness, page), told.qr_url, "on a narrow screen");
}
