// How a page looks and what it weighs: pictures, axe, bytes.

import { mkdirSync } from "node:fs";
import path from "node:path";

import { axeSource, readQrCode } from "./modules.mjs";

export const SCHEMES = ["light", "dark"];

/** Width and height of a small phone, a phone, a tablet, a laptop, a large screen. */
const SCREENS = [[320, 568], [390, 844], [768, 1024], [1280, 800], [2560, 1440]];

/** Waits until fonts are there and what was asked for is painted. */
async function settled(page) {
  await page.evaluate(async () => {
    await document.fonts.ready;
    // What moves for longer than this is no transition, but a countdown or the like.
    const isShort = (it) => it.playState === "running" && it.effect?.getComputedTiming().endTime <= 2000;
    await Promise.all(document.getAnimations().filter(isShort).map((it) => it.finished.catch(() => {})));
    // Twice: the first comes before the picture that it announces.
    for (let frame = 0; frame < 2; frame += 1) await new Promise((drawn) => requestAnimationFrame(drawn));
  });
}

/** Keeps a picture of the whole page; answers its path. */
export async function screenshot(page, name) {
  if (!/^[\w.-]+$/.test(name)) throw new Error(`${name} is no name for a file`);
  const folder = process.env.CAPAUTH_TEST_SCREENSHOTS ?? "screenshots";
  mkdirSync(folder, { recursive: true });
  const file = path.join(folder, `${name}.png`);
  await page.screenshot({ path: file, fullPage: true, animations: "disabled" });
  return file;
}

/** What the QR code in this element says, to a camera that sees the element as it is painted. */
export async function readQr(locator) {
  const picture = await locator.screenshot({ animations: "disabled" });
  // A page of its own has no policy that forbids to paint.
  const page = await locator.page().context().newPage();
  const [pixels, width, height] = await page.evaluate(async (base64) => {
    const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
    const image = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
    const canvas = new OffscreenCanvas(image.width, image.height).getContext("2d");
    canvas.drawImage(image, 0, 0);
    let pixels = ""; // Two million numbers would take seconds on their way.
    for (const byte of canvas.getImageData(0, 0, image.width, image.height).data) pixels += String.fromCharCode(byte);
    return [btoa(pixels), image.width, image.height];
  }, picture.toString("base64"));
  await page.close();
  const code = readQrCode(new Uint8ClampedArray(Buffer.from(pixels, "base64")), width, height);
  if (!code) throw new Error(`there is no QR code that can be read in ${locator}`);
  return code.data;
}

/** Fails when something sticks out at the side: nobody should have to scroll to two sides. */
export async function fits(page) {
  const out = await page.evaluate(() => {
    const width = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth <= width) return [];
    const wide = [...document.querySelectorAll("body *")].filter((it) => it.getBoundingClientRect().right > width + 1);
    return [`${document.documentElement.scrollWidth} > ${width}`, ...wide.map((it) => it.outerHTML.slice(0, 120))];
  });
  if (out.length) throw new Error(`wider than the screen at ${page.url()}:\n  ${out.slice(0, 6).join("\n  ")}`);
}

/** Calls `look(scheme, width)` in each scheme at each of these sizes; afterwards the page is as it was. */
export async function everyLook(page, screens, look) {
  const before = page.viewportSize();
  for (const scheme of SCHEMES) {
    await page.emulateMedia({ colorScheme: scheme });
    for (const [width, height] of screens) {
      await page.setViewportSize({ width, height });
      await settled(page);
      await look(scheme, width);
    }
  }
  await page.emulateMedia({ colorScheme: null });
  if (before) await page.setViewportSize(before);
}

/** Pictures of this state in both schemes at every width, none of them wider than its screen. */
export function gallery(page, name, { pictures = true } = {}) {
  return everyLook(page, pictures ? SCREENS : SCREENS.slice(0, 1), async (scheme, width) => {
    await fits(page);
    if (pictures) await screenshot(page, `${name}-${scheme}-${width}`);
  });
}

const TAGS = ["wcag2a", "wcag2aa", "wcag21aa", "wcag21a", "wcag22aa", "best-practice"];

/** What axe finds in the page as it is now. Serious and critical findings fail, others are printed. */
export async function axe(page, { schemes = SCHEMES, disable = [] } = {}) {
  const source = await axeSource();
  const grave = [];
  for (const colorScheme of schemes) {
    await page.emulateMedia({ colorScheme });
    await settled(page);
    // By the debugger, not as a script of the page: its policy forbids those.
    await page.evaluate(`typeof axe === "object" || (() => { ${source}\n })()\n;0`);
    const { violations } = await page.evaluate(([tags, rules]) => axe.run(document, {
      runOnly: { type: "tag", values: tags },
      rules: Object.fromEntries(rules.map((rule) => [rule, { enabled: false }])),
      resultTypes: ["violations"],
      preload: false,
    }), [TAGS, disable]);
    for (const { id, impact, help, nodes } of violations) {
      const where = nodes.map((node) => `    ${node.target.join(" ")}: ${node.failureSummary?.replace(/\s+/g, " ")}`);
      const words = [`axe, ${colorScheme}: ${impact}: ${id}: ${help}`, ...where].join("\n");
      console.log(words);
      if (["serious", "critical"].includes(impact)) grave.push(words);
    }
  }
  await page.emulateMedia({ colorScheme: null });
  if (grave.length) throw new Error(grave.join("\n"));
}

/** What is loaded from now on: requests, and bytes as they came over the wire, headers included. */
export async function budget(page) {
  const session = await page.context().newCDPSession(page);
  const loads = new Map();
  let tell = () => {};
  session.on("Network.requestWillBeSent", ({ requestId, request, type, redirectResponse: first }) => {
    if (first) loads.set(`${requestId} ${loads.size}`, { url: first.url, bytes: first.encodedDataLength });
    if (/^https?:/.test(request.url)) loads.set(requestId, { url: request.url, stream: type === "EventSource" });
  });
  const end = ({ requestId, encodedDataLength }) => {
    const load = loads.get(requestId);
    if (load) load.bytes = encodedDataLength ?? 0;
    tell();
  };
  session.on("Network.loadingFinished", end);
  session.on("Network.loadingFailed", end);
  await session.send("Network.enable");
  const budget = {
    /** `[{url, bytes}]`, in order. */
    get loads() {
      return [...loads.values()];
    },
    get requests() {
      return loads.size;
    },
    get bytes() {
      return budget.loads.reduce((sum, { bytes }) => sum + (bytes ?? 0), 0);
    },
    /** Waits until all is loaded (streams of events apart), and fails when it is more than this. */
    async within({ bytes = Infinity, requests = Infinity }) {
      await page.waitForLoadState("load");
      await settled(page);
      while (budget.loads.some((load) => load.bytes === undefined && !load.stream)) {
        await new Promise((told) => { tell = told; });
      }
      console.log(`budget: ${budget.requests} requests, ${budget.bytes} bytes`);
      if (budget.bytes > bytes || budget.requests > requests) {
        const list = budget.loads.map((load) => `  ${load.bytes} ${load.url}`).join("\n");
        throw new Error(`more than ${bytes} bytes or ${requests} requests:\n${list}`);
      }
    },
  };
  return budget;
}
