// Where this browser's keys lie: IndexedDB, which all tabs of this site share. A secret key stands here only as OpenPGP
// locks it under its passphrase. Beside it, for a chosen time, a signing key that the browser itself does not give out.

const DATABASE = "capauth-keys";
const KEYS = "keys";
const UNLOCKED = "unlocked";

/** Something that is not done: `code` and `why` choose the words, in keys.js. */
export class Trouble extends Error {
  constructor(code, why = code) {
    super(why);
    Object.assign(this, { code, why });
  }
}

const settled = (request) => new Promise((resolve, reject) => {
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
});

let opened;

/** The database, opened once; anew when the browser or another version of this script closed it. */
function database() {
  opened ??= new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => {
      for (const name of [KEYS, UNLOCKED]) request.result.createObjectStore(name, { keyPath: "fingerprint" });
    };
    request.onerror = () => reject(request.error);
    request.onsuccess = () => {
      const forget = () => { opened = undefined; };
      request.result.onclose = forget;
      request.result.onversionchange = () => {
        request.result.close();
        forget();
      };
      resolve(request.result);
    };
  }).catch(() => {
    opened = undefined;
    throw new Trouble("broken", "storage");
  });
  return opened;
}

/** Does `work` in one transaction: other tabs see all of it or nothing, and it is on the disk when this answers. */
async function transact(mode, work) {
  const transaction = (await database()).transaction([KEYS, UNLOCKED], mode, { durability: "strict" });
  const done = new Promise((resolve, reject) => {
    transaction.oncomplete = resolve;
    transaction.onabort = () => reject(transaction.error ?? new Trouble("broken", "storage"));
  });
  try {
    const result = await work(transaction.objectStore(KEYS), transaction.objectStore(UNLOCKED));
    await done;
    return result;
  } catch (error) {
    done.catch(() => {});
    try {
      transaction.abort();
    } catch { /* it ended by itself */ }
    throw error instanceof Trouble ? error : new Trouble("broken", "storage");
  }
}

/** Whether it still counts. A clock that was set back before its beginning ends it, too. */
const lasts = ({ since, until }, now = Date.now()) => since <= now && now < until;

/** Takes out what has had its time; answers when the next one will have. */
function sweep() {
  return transact("readwrite", async (_, unlocked) => {
    const all = await settled(unlocked.getAll());
    for (const one of all) if (!lasts(one)) unlocked.delete(one.fingerprint);
    return Math.min(...all.filter((one) => lasts(one)).map(({ until }) => until));
  });
}

let timer;

/** Sweeps now, and again whenever another one has had its time. */
export async function keepSwept() {
  clearTimeout(timer);
  const next = await sweep();
  if (next !== Infinity) timer = setTimeout(() => keepSwept().catch(() => {}), Math.max(next - Date.now(), 0) + 50);
}

/** All keys, those used last first, with how long each signs without its passphrase, in milliseconds. */
export async function allKeys() {
  await keepSwept();
  return transact("readonly", async (keys, unlocked) => {
    const [all, open] = [await settled(keys.getAll()), await settled(unlocked.getAll())];
    const left = new Map(open.filter((one) => lasts(one)).map((one) => [one.fingerprint, one.until - Date.now()]));
    return all.sort((a, b) => b.used - a.used).map((key) => ({ ...key, unlocked: left.get(key.fingerprint) ?? 0 }));
  });
}

/** One key. Throws `none`. */
export async function key(fingerprint) {
  const found = await transact("readonly", (keys) => settled(keys.get(String(fingerprint))));
  if (!found) throw new Trouble("none");
  return found;
}

/** Puts a key in. A newer copy of one that is there takes its place, and what was unlocked of the old one ends. */
export function putKey(record) {
  return transact("readwrite", async (keys, unlocked) => {
    const old = await settled(keys.get(record.fingerprint));
    const merged = { ...record, label: record.label || old?.label || "", saved: record.saved || Boolean(old?.saved) };
    keys.put(merged);
    unlocked.delete(record.fingerprint);
    return merged;
  });
}

/** Changes what is noted beside a key, if it is still there. */
export function note(fingerprint, changes) {
  return transact("readwrite", async (keys) => {
    const found = await settled(keys.get(fingerprint));
    if (found) keys.put({ ...found, ...changes });
  });
}

/** Takes a key out, and what is unlocked of it. */
export function dropKey(fingerprint) {
  return transact("readwrite", (keys, unlocked) => {
    keys.delete(String(fingerprint));
    unlocked.delete(String(fingerprint));
  });
}

/** Lets a key sign for some seconds; the record is as keeper_unlocked.js makes it. Nothing of a key that is gone. */
export async function unlock(fingerprint, record, seconds) {
  const since = Date.now();
  await transact("readwrite", async (keys, unlocked) => {
    if (!(await settled(keys.get(fingerprint)))) throw new Trouble("none");
    unlocked.put({ ...record, fingerprint, since, until: since + seconds * 1000 });
  });
  await keepSwept();
}

/** What is unlocked of a key now, or `undefined`. */
export async function unlocked(fingerprint) {
  await keepSwept();
  const found = await transact("readonly", (_, records) => settled(records.get(String(fingerprint))));
  return found && lasts(found) ? found : undefined;
}

/** Ends it. */
export function lock(fingerprint) {
  return transact("readwrite", (_, records) => { records.delete(String(fingerprint)); });
}
