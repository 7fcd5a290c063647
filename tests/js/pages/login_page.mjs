// The login page as a person goes through it.

import { run } from "./gpg.mjs";

export const LOGIN = "/auth/capauth/login";

/** Opens a way to sign, by the name that stands on it. */
export async function openWay(page, name) {
  const title = page.getByRole("button", { name, exact: true });
  await title.waitFor();
  if ((await title.getAttribute("aria-expanded")) === "false") await title.click();
}

/** Says who one is, at the way that uses gpg. */
export async function say_who(page, person) {
  await openWay(page, "gpg on this computer");
  await page.getByLabel("Your key’s fingerprint").fill(person.fingerprint);
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByText("CAPAUTH_NONCE_V2").waitFor();
}

/** What the button copies. With `isNew`, the command prints the public key as well. */
export async function copyCommand(harness, page, { isNew = false } = {}) {
  const box = page.getByLabel("I am new here");
  if (isNew !== (await box.isChecked())) await box.click();
  await page.getByRole("button", { name: "Copy the command" }).click();
  await page.getByText(/^Paste the signature within/).waitFor();
  return harness.clipboard(page);
}

/** Copies a text, and pastes it into the field for signatures. */
export async function paste(page, text) {
  await page.evaluate((it) => navigator.clipboard.writeText(it), text);
  await page.getByLabel("The signature").focus();
  await page.keyboard.press("ControlOrMeta+V");
}

/** Says who one is, runs the command in bash, and pastes what it prints. */
export async function signInByGpg(harness, page, person, { shell = "bash", isNew = true } = {}) {
  await say_who(page, person);
  await paste(page, await run(shell, await copyCommand(harness, page, { isNew })));
}
