// What the page is given, and what everything here is made with. Nothing that comes from the call is ever read as HTML.

/**
 * @typedef {{ atMs: number, level: 'bad' | 'slow' | 'note', text: string }} Finding
 * @typedef {[text: string, atMs: number, heard: boolean]} Word
 * @typedef {{ role: 'user' | 'assistant', itemId: string, words: Word[], left: number, startMs: number, endMs: number,
 *   interrupted: boolean, final: boolean }} Turn
 * @typedef {{ stoppedMs?: number, sentMs?: number, heardMs: number, itemId?: string }} Answer
 * @typedef {{ spokeMs?: number, clearMs: number, by?: string, lostMs: number }} CutIn
 * @typedef {{ name: string, startMs: number, endMs?: number, args: string, result: string, outcome?: string,
 *   isError: boolean, did: string[] }} FunctionCall
 * @typedef {[name: string, sentMs: number, backMs: number | null, fate: string]} Mark
 * @typedef {{ provider: string, model?: string, fromMs: number, toMs: number, why: string, connectMs: number }} ProviderSpan
 * @typedef {{ atMs: number, provider: string, phase: string, code: string }} ProviderFailure
 * @typedef {{ p50: number, max: number, count: number }} Spread
 * @typedef {[atMs: number, kind: number, dir: number, label: string, note: string, bad: number, detail?: string]} Event
 * @typedef {{
 *   findings: Finding[], turns: Turn[], answers: Answer[], cutIns: CutIn[], functions: FunctionCall[],
 *   keys: { atMs: number, key: string }[], notes: { atMs: number, text: string, bad: boolean }[], spans: ProviderSpan[], failures: ProviderFailure[],
 *   failovers: { atMs: number, from: string, to: string, why: string, gapMs: number }[],
 *   truncations: { atMs: number, itemId: string, heardMs: number }[], marks: Mark[],
 *   clears: { atMs: number, lostMs: number }[], holes: { atMs: number, ms: number }[], lead: [number, number][][],
 *   end?: { atMs: number, reason: string }, mediaMs?: number
 * }} Story
 * @typedef {{
 *   title: string, facts: [string, string][], lengthMs: number, story: Story, kinds: string[], events: Event[],
 *   peaks: { bucketMs: number, said: string, heard: string, unheard: string }, silent?: string,
 *   latencies: { firstSent?: number, firstHeard?: number, toSent?: Spread, toHeard?: Spread, toClear?: Spread,
 *     functions?: Spread }
 * }} Data
 */

/** @returns {Data} */
export function readData() {
  return JSON.parse(document.getElementById('data')?.textContent ?? '{}');
}

/** @param {string} text @returns {Uint8Array<ArrayBuffer>} */
export function bytesOf(text) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i += 1) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

/**
 * An element with attributes and children; texts become text.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} name
 * @param {Record<string, string | number | boolean | undefined>} [attributes]
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    element.setAttribute(key, value === true ? '' : String(value));
  }
  element.append(...children);
  return element;
}

/** `1:02.345`, with as many decimals as asked for. @param {number} ms @param {number} [decimals] */
export function clock(ms, decimals = 3) {
  const unit = 10 ** (3 - decimals);
  const whole = Math.round(Math.max(0, ms) / unit) * unit;
  const hours = Math.floor(whole / 3_600_000);
  const minutes = Math.floor(whole / 60_000) % 60;
  const seconds = ((whole % 60_000) / 1000)
    .toFixed(decimals)
    .padStart(decimals === 0 ? 2 : decimals + 3, '0');
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, '0')}:${seconds}` : `${minutes}:${seconds}`;
}

/** `320 ms`, `1.24 s`. @param {number | undefined | null} ms */
export function span(ms) {
  if (ms === undefined || ms === null) return '–';
  return Math.abs(ms) < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(2)} s`;
}

/** The words of a turn as one text. @param {Turn} turn */
export function textOf(turn) {
  return turn.words.map(([text]) => text).join(' ');
}

/**
 * First index whose value is not less than `wanted`, of a list in order.
 * @template T
 * @param {readonly T[]} list @param {number} wanted @param {(one: T) => number} timeOf
 */
export function firstFrom(list, wanted, timeOf) {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (timeOf(list[middle]) < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}
