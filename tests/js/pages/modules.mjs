// The npm packages, from where `cargo xtask setup` put them or `CAPAUTH_TEST_NODE_MODULES` says they are.

import { readFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const folder = process.env.CAPAUTH_TEST_NODE_MODULES ?? fileURLToPath(new URL("../node_modules", import.meta.url));
const load = (file) => import(pathToFileURL(path.join(folder, file)).href);

export const { chromium } = await load("playwright-core/index.mjs");

/** OpenPGP.js, for scenarios that make or change keys outside of the page. */
export const openpgp = await load("openpgp/dist/node/openpgp.mjs");

/** Reads a QR code from pixels, four bytes each: `(pixels, width, height)`. */
export const { default: readQrCode } = (await load("jsqr/dist/jsQR.js")).default;

/** The source of axe-core. */
export const axeSource = () => readFile(path.join(folder, "axe-core/axe.min.js"), "utf8");
